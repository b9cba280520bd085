//! Logs with all that is noted about them, each of it as damaged as can be.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::requests::forged;
use super::{Frames, GENERATION, client_of, ended_record, generation, home_in, id, write};
use crate::log::timeline::{self, Lengths, Timeline};
use crate::log::{Cut, LogSource, LogStream, lines_before, total_lines};
use crate::op::{self, ArtifactMode, Follow};
use crate::request::{Events, Logs, LogsReply, Request, decode};
use crate::store::{FORMAT_VERSION, Home, read_all};

/// Between the parts of an input.
const BORDER: &[u8] = b"\n%%\n";

/// A `logs` request (where its cursor is `~` and numbers, they become a cursor), the log, that of
/// standard error, marks of the timeline, the journal, the cut.
pub(super) fn history(folder: &Path, input: &[u8]) {
    let mut parts = split(input);
    let mut part = || parts.next().unwrap_or_default();
    let Some(request) = request(part()) else {
        return;
    };
    let (home, _dir) = home_in(folder);
    write(
        &home,
        "tasks/t/task.json",
        ended_record("separate").as_bytes(),
    );
    write(&home, "tasks/t/log", part());
    write(&home, "tasks/t/log.stderr", part());
    let marks = part();
    write_timeline(&home, marks);
    check_timeline(&home, marks);
    write(&home, "tasks/t/events.ndjson", part());
    let cut = part();
    write(&home, "tasks/t/cut", cut);
    write(&home, "tasks/t/cut.stderr", cut);
    read_as(&home, &request);
}

fn split(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let now = rest?;
        let at = now.windows(BORDER.len()).position(|it| it == BORDER);
        rest = at.map(|at| &now[at + BORDER.len()..]);
        Some(&now[..at.unwrap_or(now.len())])
    })
}

fn request(text: &[u8]) -> Option<Logs> {
    let mut request: Logs = decode(text).ok()?;
    // Only the one task that is there, and no more memory than a fuzzer has.
    request.id.as_ref().filter(|it| **it == id())?;
    if let Some(numbers) = request
        .cursor
        .as_deref()
        .and_then(|it| it.strip_prefix('~'))
    {
        request.cursor = Some(forged(numbers));
    }
    request.check().ok()?;
    Some(request)
}

fn read_as(home: &Home, request: &Logs) {
    let client = client_of(home);
    let most = request.max_bytes.unwrap_or(Logs::DEFAULT_MAX_BYTES);
    if let Ok(LogsReply::Inline(answer)) = op::logs(&client, request, ArtifactMode::Inline) {
        let text = serde_json::to_value(&answer).expect("an answer has a JSON form");
        let lines = text["lines"].as_array().map_or(0, Vec::len);
        assert!(
            request.grep.is_some() || lines == answer.shown_lines,
            "{text}"
        );
        // One line is always shown, with the mark that it was cut.
        let bytes: usize = match &answer.lines {
            crate::request::LogLines::Plain(lines) if lines.len() > 1 => {
                lines.iter().map(String::len).sum()
            }
            _ => 0,
        };
        assert!(bytes <= most, "{bytes} bytes, {most} are allowed");
        // Reading on from there works.
        let behind = Logs {
            cursor: Some(answer.cursor),
            cursors: None,
            head: None,
            ..request.clone()
        };
        op::logs(&client, &behind, ArtifactMode::Inline).expect("its own cursor is taken");
    }
    let events = Events {
        cursor: request.cursor.clone(),
        lines: request.lines,
        view: request.view,
        max_line_bytes: request.max_line_bytes,
        ..Events::of(id())
    };
    let _ = op::stream_events(&client, &events, Follow::No, &mut Frames::default());
    let _ = op::stream_logs(&client, request, Follow::No, &mut Frames::default());
}

fn write_timeline(home: &Home, marks: &[u8]) {
    let bytes = [&timeline::header(&generation())[..], marks].concat();
    write(home, "tasks/t/timeline", &bytes);
}

/// The times of lines do not depend on the order of the questions.
fn check_timeline(home: &Home, marks: &[u8]) {
    let dir = home.task_dir(&id()).ok().flatten().expect("it is there");
    let timeline = Timeline::load(&dir, &generation());
    let mut ends: Vec<u64> = vec![0, 1, u64::MAX];
    for mark in marks.as_chunks::<{ timeline::MARK }>().0 {
        let Lengths { main, stderr } = timeline::Mark::decode(*mark).lengths;
        ends.extend([main, stderr, main.wrapping_add(1)]);
    }
    for stream in [LogStream::Main, LogStream::Stderr] {
        let forward: Vec<_> = ends
            .iter()
            .map(|&end| timeline.time_of(stream, end))
            .collect();
        let back = ends.iter().rev().map(|&end| timeline.time_of(stream, end));
        assert!(back.eq(forward.iter().rev().copied()));
        for &end in &ends {
            let moment = i64::try_from(end).unwrap_or(-1);
            timeline.offset_range(stream, Some(moment), None, end, moment);
            timeline.offset_range(stream, None, Some(moment), end, moment);
        }
    }
}

/// `cut` on the first line; behind it the counts of a `lines` file, whose checksum and identity are
/// made to fit, about a log that is large enough for one. Whatever they say, the count comes to an
/// end, and without what they say it is right.
pub(super) fn lines(folder: &Path, input: &[u8]) {
    const SIZE: u64 = (2 << 20) + 7;
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (cut, counts) = (&input[..end], &input[end + 1..]);
    let Ok(counts) = std::str::from_utf8(counts) else {
        return;
    };
    let (home, dir) = home_in(folder);
    write(&home, "tasks/t/cut", cut);
    let path = home.path().join("tasks/t/log");
    let file = std::fs::File::create_new(&path).expect("it is not there");
    file.set_len(SIZE).expect("a hole costs nothing");
    drop(file);
    let file = std::fs::File::open(path).expect("it was just made");
    let log = file.metadata().expect("it is open");
    let latest = serde_json::from_str::<serde_json::Value>(counts).ok();
    let latest = latest.and_then(|counts| counts["latest"][0].as_u64());
    let witness = crc32fast::hash(&vec![0; latest.map_or(64, |at| at.min(64) as usize)]);
    let json = format!(
        r#"{{"version":{FORMAT_VERSION},"generation":"{GENERATION}","dev":{},"ino":{},"witness":{witness},"counts":{counts}}}"#,
        log.dev(),
        log.ino(),
    );
    let text = format!("{:08x} {json}", crc32fast::hash(json.as_bytes()));
    write(&home, "tasks/t/lines", text.as_bytes());
    let generation = generation();
    let source = LogSource {
        file: &file,
        dir: &dir,
        stream: LogStream::Main,
        generation: &generation,
    };
    let _ = lines_before(source, SIZE / 2);
    let _ = total_lines(source, SIZE);
    if let Ok(left) = read_all(dir.as_fd(), "lines") {
        assert!(left.len() < 1 << 16, "{} bytes are kept", left.len());
    }
    write(&home, "tasks/t/lines", b"");
    let begin = Cut::read(&dir, LogStream::Main, &generation);
    if begin.offset == 0 || begin.offset > SIZE {
        // It holds zeros, so one line that has no end.
        assert_eq!(
            total_lines(source, SIZE).ok(),
            Some(1 + begin_lines(begin, SIZE))
        );
    }
}

/// Lines before a place that is not behind the log's end.
fn begin_lines(cut: Cut, size: u64) -> u64 {
    if cut.offset <= size { cut.lines } else { 0 }
}
