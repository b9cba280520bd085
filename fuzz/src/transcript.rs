//! What agents' CLIs print, in any cuts: a reader gets the same, and each run has one end.

use std::collections::BTreeSet;
use std::path::Path;

use background_tasks_agents::{Include, Provider, Transcript, TranscriptFrame};

/// A byte that names the provider, one for where the log is cut, then the log.
pub fn transcript(_: &Path, input: &[u8]) {
    let [provider, cut, log @ ..] = input else {
        return;
    };
    let provider = Provider::ALL[usize::from(*provider) % Provider::ALL.len()];
    let whole = frames(provider, [log]);
    let size = usize::from(*cut) + 1;
    assert_eq!(whole, frames(provider, log.chunks(size)), "cut at {size}");
    must_be_told_well(&whole);
}

fn frames<'a>(
    provider: Provider,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<TranscriptFrame> {
    let include = Include {
        thinking: true,
        raw: true,
    };
    let mut transcript = Transcript::new(provider, include);
    let mut frames = Vec::new();
    let mut keep = |frame| frames.push(frame);
    for piece in pieces {
        transcript.feed(piece, &mut keep);
    }
    transcript.finish(&mut keep);
    frames
}

/// Frames are numbered; a run has one end, which is its last frame; a tool that began has an end.
fn must_be_told_well(frames: &[TranscriptFrame]) {
    let (mut run, mut is_over) = (1, false);
    let mut open = BTreeSet::new();
    for (number, frame) in (0..).zip(frames) {
        assert_eq!(frame.sequence, number);
        let of = frame.data["run"].as_u64().expect("runs are counted");
        if of != run {
            assert!(is_over && of == run + 1, "run {of} follows {run}");
            (run, is_over) = (of, false);
        }
        assert!(!is_over, "{} after the end of run {run}", frame.r#type);
        let tool = frame.data.get("tool_id").map(ToString::to_string);
        match (frame.r#type, tool) {
            ("agent.tool_start", Some(tool)) => drop(open.insert(tool)),
            ("agent.tool_end", Some(tool)) => drop(open.remove(&tool)),
            ("agent.end" | "agent.crashed", _) => {
                assert_eq!(open, BTreeSet::new(), "they have begun");
                is_over = true;
            }
            _ => {}
        }
    }
    assert!(is_over || frames.is_empty(), "run {run} has no end");
}
