//! The files of a task's folder, and names that mean something.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Frames, client_of, ended_record, generation, home_in, id, write};
use crate::Timestamp;
use crate::event::{EventData, Journal, read_journal};
use crate::log::timeline::Lengths;
use crate::log::{Cut, LogStream};
use crate::op::{self, ArtifactMode, Follow};
use crate::request::{Events, List, Logs, Status};
use crate::store::{Awaited, FORMAT_VERSION, Home, Line, TaskDir, kept_environment, marked_until};
use crate::task::{GroupName, TaskRecord};

/// `task.json`, whatever it holds: the task can be asked about, and what can be read can be written.
pub(super) fn record(folder: &Path, input: &[u8]) {
    let (home, dir) = home_in(folder);
    write(&home, "tasks/t/task.json", input);
    write(&home, "tasks/t/log", b"one\ntwo");
    if let Ok(record) = dir.read_record() {
        same_again(&record);
    }
    ask(&home);
}

/// Every question; an error is an answer.
fn ask(home: &Home) {
    let client = client_of(home);
    let text = |answer: &dyn erased::Answer| assert!(answer.has_text());
    let status = Status {
        id: id(),
        ..serde_json::from_str(r#"{"id":"t"}"#).expect("a good request")
    };
    match op::status(&client, &status) {
        Ok(answer) => text(&answer),
        Err(error) => assert!(!error.hint().is_empty()),
    }
    text(&op::list(&client, &List::default()).expect("one task hurts no list"));
    if let Ok(answer) = op::logs(&client, &Logs::of(id()), ArtifactMode::Auto) {
        text(&answer);
    }
    if let Ok(answer) = op::events(&client, &Events::of(id())) {
        text(&answer);
    }
    let mut frames = Frames::default();
    let _ = op::stream_events(&client, &Events::of(id()), Follow::No, &mut frames);
}

mod erased {
    use serde::Serialize;

    /// What can be told as JSON.
    pub(super) trait Answer {
        fn has_text(&self) -> bool;
    }

    impl<T: Serialize> Answer for T {
        fn has_text(&self) -> bool {
            serde_json::to_vec(self).is_ok_and(|text| text.starts_with(b"{"))
        }
    }
}

fn same_again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_vec(value).expect("it has a JSON form");
    let again: T = serde_json::from_slice(&text).expect("what is written is read");
    assert_eq!(again, *value);
}

/// A file's name on the first line, its content behind that; or the name of a mark.
pub(super) fn stored(folder: &Path, input: &[u8]) {
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (home, dir) = home_in(folder);
    let (name, content) = (&input[..end], &input[end + 1..]);
    let Ok(name) = std::str::from_utf8(name) else {
        return;
    };
    match name {
        "want.json" | "end" | "after.json" | "environ" | "cut" | "task.prev.json" => {
            write(&home, &format!("tasks/t/{name}"), content);
        }
        "ticket" | "mark" => return named(&home, name, content),
        // An end with a checksum, which whoever means harm can count.
        "checked end" => {
            let checksum = crc32fast::hash(content);
            let text = [format!("{checksum:08x} ").as_bytes(), content, b"\n"].concat();
            write(&home, "tasks/t/end", &text);
        }
        _ => return,
    }
    write(&home, "tasks/t/task.json", ended_record("merge").as_bytes());
    let mut facts = facts(&dir);
    if let Some(want) = dir.read_want() {
        same_again(&want);
        let next = crate::store::Want::next(&facts, Some(want), crate::store::Verb::Pause);
        assert!(next.is_for(&facts));
        same_again(&next);
    }
    if let Some(end) = dir.read_end() {
        same_again(&end);
        let _ = end.complete(&mut facts);
        same_again(&facts);
    }
    if let Some(awaited) = Awaited::read(&dir, &generation()) {
        same_again(&awaited);
    }
    for variable in kept_environment(&dir).unwrap_or_default() {
        assert!(!variable.is_empty());
    }
    Cut::read(&dir, LogStream::Main, &generation());
    if let Some(previous) = dir.read_previous() {
        same_again(&previous);
    }
    ask(&home);
}

fn facts(dir: &TaskDir) -> crate::task::Facts {
    let record: TaskRecord = dir.read_record().expect("it was just written");
    record.facts
}

/// A file in a folder whose names are read.
fn named(home: &Home, kind: &str, name: &[u8]) {
    let Ok(name) = std::str::from_utf8(name) else {
        return;
    };
    if name.is_empty() || name.len() > 255 || name.contains(['/', '\0']) {
        return;
    }
    let folder = match kind {
        "ticket" => home.path().join("queues/g"),
        _ => home.path().join("ttl"),
    };
    fs::create_dir_all(&folder).expect("a folder can be made");
    let path = folder.join(name);
    if fs::write(&path, "").is_err() {
        return;
    }
    if kind == "ticket" {
        let group: GroupName = serde_json::from_str("\"g\"").expect("a good name");
        let line = Line::find(home, &group).expect("it can be opened");
        let tickets = line.expect("it is there").tickets();
        assert!(tickets.expect("it can be read").len() <= 1);
    } else {
        let now = Timestamp::from_millis(i64::MAX);
        assert!(marked_until(home, now).len() <= 1);
    }
    fs::remove_file(path).expect("it was just made");
}

/// `events.ndjson`: each entry that is read can be written, and a supervisor can go on behind any.
pub(super) fn journal(folder: &Path, input: &[u8]) {
    let (home, dir) = home_in(folder);
    write(&home, "tasks/t/task.json", ended_record("merge").as_bytes());
    write(&home, "tasks/t/events.ndjson", input);
    let before = read_journal(&dir);
    for entry in &before {
        assert!(entry.version <= FORMAT_VERSION);
        same_again(entry);
    }
    ask(&home);
    let appended = Journal::continued(&dir).append(
        &dir,
        &facts(&dir),
        Lengths::default(),
        EventData::Resumed {},
    );
    appended.expect("a line can be appended");
    let after = read_journal(&dir);
    let (last, others) = after.split_last().expect("one was appended");
    assert_eq!(last.event, EventData::Resumed {});
    assert_eq!(others, before);
    let highest = before.last().map_or(0, |entry| entry.number);
    assert!(last.number > highest || highest == u64::MAX);
}
