//! The payload: one JSON value, from the command line, a file or standard input.

use std::fs::File;
use std::io::{self, Read};

use background_tasks_agents as agents;
use background_tasks_core::request::{self, MAX_PAYLOAD_BYTES, Request, Start};
use background_tasks_core::{Client, Error, Result};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::command::{Command, PayloadKind};

/// A payload text, shorthand resolved.
#[derive(Debug)]
pub(crate) struct Payload {
    text: Vec<u8>,
}

/// One request or an array of them.
pub(crate) enum OneOrBatch<R> {
    One(R),
    Batch(Vec<R>),
}

impl Payload {
    /// Reads the payload of a command from where the argument says.
    pub(crate) fn read(command: Command, argument: Option<&str>) -> Result<Self> {
        let text = match argument {
            None => b"{}".to_vec(),
            Some("-") => read_limited(io::stdin().lock(), "standard input")?,
            Some(path) if path.starts_with('@') => read_file(&path[1..])?,
            Some(text) => expand(command, text)?,
        };
        let text = text
            .strip_prefix(b"\xef\xbb\xbf")
            .map(<[u8]>::to_vec)
            .unwrap_or(text);
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::input(
                "the payload is empty",
                "Give one JSON value, {} at least.",
            ));
        }
        let payload = Self { text };
        if command.payload() == PayloadKind::Empty {
            payload.refuse_fields(command)?;
        }
        payload.expand_strings(command)
    }

    /// Decodes one request.
    pub(crate) fn one<R: Request>(&self) -> Result<R> {
        request::decode(&self.text)
    }

    /// Decodes one request or an array.
    pub(crate) fn one_or_batch<R: Request>(&self) -> Result<OneOrBatch<R>> {
        if self.is_array() {
            request::decode_batch(&self.text).map(OneOrBatch::Batch)
        } else {
            request::decode(&self.text).map(OneOrBatch::One)
        }
    }

    /// Decodes a start or an array of them, some of which may be about agents.
    pub(crate) fn starts(&self, client: &Client) -> Result<OneOrBatch<Start>> {
        if self.is_array() {
            agents::decode_starts(client, &self.text).map(OneOrBatch::Batch)
        } else {
            agents::decode_start(client, &self.text).map(OneOrBatch::One)
        }
    }

    /// Whether it says something to an agent.
    pub(crate) fn is_prompt(&self) -> bool {
        agents::is_prompt(&self.text)
    }

    /// Whether it asks for a conversation as text.
    pub(crate) fn asks_for_text(&self) -> bool {
        agents::asks_for_text(&self.text)
    }

    fn is_array(&self) -> bool {
        self.first_byte() == Some(b'[')
    }

    fn first_byte(&self) -> Option<u8> {
        self.text
            .iter()
            .copied()
            .find(|byte| !byte.is_ascii_whitespace())
    }

    /// A JSON string means the one field that the command is about, alone or in an array.
    fn expand_strings(self, command: Command) -> Result<Self> {
        let PayloadKind::Named(field) = command.payload() else {
            return Ok(self);
        };
        let expand = |item: &str| format!("{{\"{field}\":{item}}}");
        let text = match self.first_byte() {
            Some(b'"') if serde_json::from_slice::<String>(&self.text).is_ok() => {
                expand(&String::from_utf8_lossy(&self.text)).into_bytes()
            }
            Some(b'[') if command.takes_batch() => {
                let Ok(items) = serde_json::from_slice::<Vec<&RawValue>>(&self.text) else {
                    return Ok(self);
                };
                let expanded = items.iter().map(|item| match item.get() {
                    text if text.starts_with('"') => expand(text),
                    text => text.to_owned(),
                });
                format!("[{}]", expanded.collect::<Vec<_>>().join(",")).into_bytes()
            }
            _ => return Ok(self),
        };
        Ok(Self { text })
    }

    fn refuse_fields(&self, command: Command) -> Result<()> {
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&self.text)
            .map_err(|error| {
                Error::input(
                    format!("the payload is not a JSON object: {error}"),
                    format!("{} takes no payload.", command.name()),
                )
            })?;
        match fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::input(
                format!("unknown field `{name}`"),
                format!("{} takes no payload.", command.name()),
            )
            .with("field", name.as_str())
            .with("allowed", serde_json::json!([]))),
        }
    }
}

/// Text that is JSON is JSON; any other bare word is the field that the command is about.
fn expand(command: Command, text: &str) -> Result<Vec<u8>> {
    let is_json = match text.trim_start().bytes().next() {
        Some(b'{' | b'[' | b'"') => true,
        // `true`, `null`, `-1` are JSON; `test`, `next` and `1st` are words.
        Some(b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
            serde_json::from_str::<IgnoredAny>(text).is_ok()
        }
        _ => false,
    };
    match command.payload() {
        PayloadKind::Named(field) if !is_json && !text.trim().is_empty() => {
            Ok(format!("{{\"{field}\":{}}}", quoted(text)).into_bytes())
        }
        _ => {
            if text.len() > MAX_PAYLOAD_BYTES {
                return Err(too_large("the command line"));
            }
            Ok(text.as_bytes().to_vec())
        }
    }
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    // Strings always have a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

fn read_file(path: &str) -> Result<Vec<u8>> {
    let cannot = |error: &io::Error| {
        Error::input(
            format!("cannot read the payload from {path}: {error}"),
            "Name a readable file behind the @.",
        )
        .with("path", path)
    };
    let file = File::open(path).map_err(|error| cannot(&error))?;
    if file.metadata().is_ok_and(|data| data.is_dir()) {
        return Err(cannot(&io::Error::from(io::ErrorKind::IsADirectory)));
    }
    read_limited(file, path)
}

fn read_limited(source: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    source
        .take(MAX_PAYLOAD_BYTES as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| {
            Error::input(
                format!("cannot read the payload from {name}: {error}"),
                "Mend the source and try again.",
            )
        })?;
    if text.len() > MAX_PAYLOAD_BYTES {
        return Err(too_large(name));
    }
    Ok(text)
}

fn too_large(name: &str) -> Error {
    Error::input(
        format!("the payload from {name} is larger than 16 MiB"),
        "Put large input into a file that the command reads by itself.",
    )
    .with("max_bytes", MAX_PAYLOAD_BYTES)
}
