//! `start` with `agent`: from the payload to a task whose command takes one prompt a run.

use background_tasks_core::event::StreamName;
use background_tasks_core::request::{Start, decode, decode_batch};
use background_tasks_core::task::{Done, Extension, LinePattern, Stderr};
use background_tasks_core::{Client, Error, Result};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::asked::Asked;
use crate::invocation::{Says, Stream};
use crate::kept::{Kept, Piece};
use crate::provider::Provider;

/// The program's own subcommand that is the command of an agent's task.
pub(crate) const SUBCOMMAND: &str = "__agent";

/// Milliseconds that a run may last, unless told.
pub const DEFAULT_TIMEOUT_MS: u64 = 3_600_000;
/// Milliseconds that a CLI has to exit after its last line, unless told.
pub const DONE_GRACE_MS: u64 = 30_000;
/// Where standard error goes, unless told.
pub const DEFAULT_STDERR: Stderr = Stderr::Separate;

/// The payload of `start` for an agent, taken apart.
struct Prepared {
    /// What is left is the payload of an ordinary start.
    payload: Value,
    /// What is kept with its task.
    extension: Extension,
}

/// Checks the payload of a start that is about an agent, before anything is touched.
///
/// # Errors
/// [`Error::CommandInput`], [`Error::Unsupported`]; [`Error::ProviderNotInstalled`].
fn prepare(client: &Client, payload: Map<String, Value>) -> Result<Prepared> {
    let mut asked = Asked::read(client, payload)?;
    let provider = asked.resolved.spec.provider;
    let program =
        provider
            .find(&asked.surroundings)
            .map_err(|absent| Error::ProviderNotInstalled {
                message: absent.to_string(),
                hint: absent.hint(),
                searched: absent.searched.clone(),
            })?;
    let piece = Piece {
        prompt: asked.resolved.prompt.clone(),
        program,
    };
    asked.set_defaults()?;
    let millis = |name: &str| asked.payload.get(name).and_then(Value::as_u64);
    let (timeout_ms, idle_timeout_ms) = (millis("timeout_ms"), millis("idle_timeout_ms"));
    let Asked {
        payload,
        resolved,
        session,
        ..
    } = asked;
    let spec = resolved.spec;
    let shown = json!({
        "provider": spec.provider,
        "model": spec.model,
        "mode": spec.mode,
    });
    let kept = Kept {
        spec,
        resume: session,
        mcp: resolved.mcp,
        timeout_ms,
        idle_timeout_ms,
    };
    let kept = serde_json::to_value(&kept).map_err(|error| Error::Internal {
        message: format!("an agent's request cannot be written down: {error}"),
    })?;
    let extension = Extension {
        shown,
        kept,
        done: Some(done(provider, resolved.exit_grace_ms)),
        first_work: piece.encode()?,
    };
    Ok(Prepared {
        payload: payload.into(),
        extension,
    })
}

fn done(provider: Provider, grace_ms: u64) -> Done {
    let patterns = |says: Says| {
        let patterns = provider.done_patterns().iter();
        let patterns = patterns.filter(move |pattern| pattern.says == says);
        let patterns = patterns.map(|pattern| LinePattern {
            stream: match pattern.stream {
                Stream::Stdout => StreamName::STDOUT,
                Stream::Stderr => StreamName::STDERR,
            },
            pattern: pattern.pattern.to_owned(),
        });
        patterns.collect()
    };
    Done {
        lines: patterns(Says::Done),
        revoked_by: patterns(Says::GoesOn),
        grace_ms,
    }
}

/// Decodes a start that may be about an agent.
///
/// # Errors
/// As [`decode`]; [`Error::Unsupported`] and [`Error::ProviderNotInstalled`] before anything is
/// touched.
pub fn decode_start(client: &Client, text: &[u8]) -> Result<Start> {
    match agent_payload(text) {
        None => decode(text),
        Some(payload) => {
            let prepared = prepare(client, payload)?;
            let mut start: Start = decode(prepared.payload.to_string().as_bytes())?;
            start.extension = Some(Box::new(prepared.extension));
            Ok(start)
        }
    }
}

/// The same for an array of starts.
///
/// # Errors
/// As [`decode_start`], with `details.index` of the item.
pub fn decode_starts(client: &Client, text: &[u8]) -> Result<Vec<Start>> {
    let items: Vec<&RawValue> = match may_be_about_agent(text) {
        true => serde_json::from_slice(text).unwrap_or_default(),
        false => Vec::new(),
    };
    let mut extensions = Vec::new();
    let mut payloads = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let text = item.get();
        match agent_payload(text.as_bytes()) {
            None => payloads.push(text.to_owned()),
            Some(payload) => {
                let prepared =
                    prepare(client, payload).map_err(|error| error.with("index", index))?;
                extensions.push((index, prepared.extension));
                payloads.push(prepared.payload.to_string());
            }
        }
    }
    if extensions.is_empty() {
        return decode_batch(text);
    }
    let text = format!("[{}]", payloads.join(","));
    let mut starts: Vec<Start> = decode_batch(text.as_bytes())?;
    for (index, extension) in extensions {
        starts[index].extension = Some(Box::new(extension));
    }
    Ok(starts)
}

/// Whether a name stands in a payload, perhaps as a field's. Without a search that first looks at the
/// processor: most payloads are short, and have nothing to do with agents.
pub(crate) fn mentions(payload: &[u8], name: &[u8]) -> bool {
    payload.windows(name.len()).any(|window| window == name)
}

/// Most starts are not, and need no second look.
fn may_be_about_agent(text: &[u8]) -> bool {
    mentions(text, b"\"agent\"")
}

/// The payload of a start that is about an agent.
fn agent_payload(text: &[u8]) -> Option<Map<String, Value>> {
    may_be_about_agent(text)
        .then(|| serde_json::from_slice(text).ok())?
        .filter(|payload: &Map<String, Value>| payload.contains_key("agent"))
}
