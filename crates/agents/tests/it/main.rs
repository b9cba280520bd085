//! What each CLI prints, and the events that are made of it. The samples are written for these
//! tests after the shapes that the CLIs have.

#![expect(
    clippy::needless_pass_by_value,
    reason = "samples are written where they are used"
)]

mod claude;
mod codex;
mod cuts;
mod gemini;
mod goose;
mod opencode;
mod outcomes;
mod pi;

use background_tasks_agents::{AgentEvent, Include, Outcome, Parser, Provider, Transcript};
use serde_json::{Value, json};

/// The frames of a log, as `agent parse` would print them.
fn frames(provider: Provider, log: &str) -> Vec<Value> {
    let mut frames = Vec::new();
    let mut sink = |frame| frames.push(serde_json::to_value(frame).expect("frames are JSON"));
    let mut transcript = Transcript::new(provider, Include::default());
    transcript.feed(log.as_bytes(), &mut sink);
    transcript.finish(&mut sink);
    frames
}

/// How many sessions, texts, beginnings and ends of tools, and ends there are.
fn counts(frames: &[Value]) -> [usize; 5] {
    let of = |name: &str| frames.iter().filter(|frame| frame["type"] == name).count();
    [
        of("agent.session"),
        of("agent.text"),
        of("agent.tool_start"),
        of("agent.tool_end"),
        of("agent.end") + of("agent.crashed"),
    ]
}

/// The data of the last frame, which is the end.
fn end(frames: &[Value]) -> &Value {
    let last = frames.last().expect("there are frames");
    assert_eq!(last["type"], "agent.end", "{last}");
    &last["data"]
}

/// The data of the frames of a type.
fn data<'a>(frames: &'a [Value], name: &str) -> Vec<&'a Value> {
    let of_type = frames.iter().filter(|frame| frame["type"] == name);
    of_type.map(|frame| &frame["data"]).collect()
}

/// The log that these lines are.
fn log(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A run whose lines are from both streams, and how it ended.
fn run(provider: Provider, stdout: &str, stderr: &str, outcome: Outcome) -> Vec<AgentEvent> {
    let mut parser = Parser::new(provider);
    let mut events: Vec<_> = stdout
        .lines()
        .flat_map(|line| parser.line(line.as_bytes()))
        .collect();
    stderr
        .lines()
        .for_each(|line| parser.stderr(line.as_bytes()));
    events.extend(parser.finish(outcome));
    events
}

/// The data of the last event.
fn last(events: &[AgentEvent]) -> Value {
    let last = events.last().expect("there are events");
    assert!(last.is_terminal(), "{last:?}");
    let before = &events[..events.len() - 1];
    assert!(!before.iter().any(AgentEvent::is_terminal), "{events:?}");
    json!({ "type": last.name(), "data": last.clone().into_data(1) })
}
