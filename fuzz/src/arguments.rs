//! A command and its argument as they are typed: words, shorthand, JSON.

use std::path::Path;

use background_tasks_core::request::{Logs, Start, Status, Stop};
use background_tasks_core::{Error, ErrorKind};

use crate::command::Command;
use crate::payload::Payload;

/// The command on the first line, its argument behind that.
pub fn arguments(_: &Path, input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Some((line, argument)) = text.split_once('\n') else {
        return;
    };
    let words: Vec<&str> = line.split(' ').collect();
    let Some((command, _)) = Command::find(&words) else {
        return;
    };
    // They name files to be read.
    if argument.starts_with('@') || argument == "-" {
        return;
    }
    match Payload::read(command, Some(argument)) {
        Ok(payload) => decode(command, &payload),
        Err(error) => must_explain(&error),
    }
}

fn decode(command: Command, payload: &Payload) {
    let error = match command {
        Command::Start => payload.one_or_batch::<Start>().err(),
        Command::Stop => payload.one_or_batch::<Stop>().err(),
        Command::Status => payload.one::<Status>().err(),
        Command::Logs => payload.one::<Logs>().err(),
        _ => None,
    };
    if let Some(error) = error {
        must_explain(&error);
    }
}

fn must_explain(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::CommandInputError, "{error}");
    assert!(!error.hint().is_empty());
}
