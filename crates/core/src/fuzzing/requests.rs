//! What callers give.

use std::fmt::Debug;
use std::path::Path;

use serde_json::Value;

use super::{GENERATION, id};
use crate::log::Cursor;
use crate::request::{self, Request};
use crate::{Error, ErrorKind};

/// The command's name on the first line, its payload behind that.
pub(super) fn payload(_: &Path, input: &[u8]) {
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (command, text) = (&input[..end], &input[end + 1..]);
    match command {
        b"start" => judge::<request::Start>(text),
        b"status" => judge::<request::Status>(text),
        b"list" => judge::<request::List>(text),
        b"wait" => judge::<request::Wait>(text),
        b"stop" => judge::<request::Stop>(text),
        b"restart" => judge::<request::Restart>(text),
        b"recover" => judge::<request::Recover>(text),
        b"send" => judge::<request::Send>(text),
        b"signal" => judge::<request::Signal>(text),
        b"pause" => judge::<request::Pause>(text),
        b"resume" => judge::<request::Resume>(text),
        b"remove" => judge::<request::Remove>(text),
        b"prune" => judge::<request::Prune>(text),
        b"logs" => judge::<request::Logs>(text),
        b"events" => judge::<request::Events>(text),
        _ => {}
    }
}

fn judge<R: Request + PartialEq + Debug>(text: &[u8]) {
    if text.trim_ascii_start().starts_with(b"[") {
        match request::decode_batch::<R>(text) {
            Ok(requests) => assert!(!requests.is_empty()),
            Err(error) => must_explain(&error),
        }
        return;
    }
    match request::decode::<R>(text) {
        Ok(request) => must_be_strict(text, &request),
        Err(error) => must_explain(&error),
    }
}

/// What was accepted means the same however it is written, and holds no field that nobody knows.
fn must_be_strict<R: Request + PartialEq + Debug>(text: &[u8], request: &R) {
    let mut value: Value = serde_json::from_slice(text).expect("it was accepted as JSON");
    let again = serde_json::to_vec(&value).expect("it came from JSON");
    let again = request::decode::<R>(&again).expect("it was accepted before");
    assert_eq!(again, *request);
    let fields = value.as_object_mut().expect("a request is an object");
    fields.insert("no such field".to_owned(), Value::Null);
    let unknown = serde_json::to_vec(&value).expect("it came from JSON");
    let error = request::decode::<R>(&unknown).expect_err("a field is unknown");
    assert!(error.to_string().contains("no such field"), "{error}");
}

fn must_explain(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::CommandInputError, "{error}");
    assert!(!error.to_string().is_empty() && !error.hint().is_empty());
    serde_json::to_string(&error.details()).expect("details are JSON");
}

/// A cursor; without its checksum, which is added then: whoever means harm can count it.
pub(super) fn cursor(_: &Path, input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for text in [text.to_owned(), with_checksum(text)] {
        match Cursor::parse("cursor", &text, &id()) {
            Ok(cursor) => assert_eq!(cursor.encode(&id()).as_str(), text),
            Err(error) => must_explain(&error),
        }
    }
}

/// A cursor of the task, of what stands between its generation and its checksum.
pub(super) fn forged(numbers: &str) -> String {
    with_checksum(&format!("v1.{GENERATION}.{numbers}"))
}

fn with_checksum(body: &str) -> String {
    let checksum = crc32fast::hash(format!("{}/{body}", id()).as_bytes());
    format!("{body}.{checksum:x}")
}
