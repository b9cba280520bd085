//! Payloads of `start`, of which some are about agents.

use background_tasks_core::request::{Start, decode, decode_batch};
use background_tasks_core::{Client, Result};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::prepare;

/// Decodes a start that may be about an agent.
///
/// # Errors
/// [`background_tasks_core::Error`] of what is wrong with the agent, before anything is touched; as [`decode`].
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
