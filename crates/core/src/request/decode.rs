//! JSON text to requests, with errors that tell how to mend the text.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::value::RawValue;

use super::Request;
use super::explain::{explain, snake_case};
use crate::error::{Error, Result};

/// The largest payload, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 16 << 20;

/// Decodes one request.
///
/// # Errors
/// [`Error::CommandInput`] with what is wrong, where, and what would be right.
pub fn decode<R: Request>(text: &[u8]) -> Result<R> {
    // An array would be taken for the fields in their order.
    if text.trim_ascii_start().starts_with(b"[") {
        return Err(Error::input(
            format!("{} takes one JSON object, not an array", R::COMMAND),
            format!(
                "schema show {0} and examples show {0} tell what it takes.",
                R::COMMAND
            ),
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let request: R = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| explain::<R>(text, &error))?;
    deserializer.end().map_err(|error| malformed::<R>(&error))?;
    request.check()?;
    Ok(request)
}

/// Decodes an array of requests; all of them, or none.
///
/// # Errors
/// As [`decode`], with `details.index` of the item; also when there is no item or a task is named twice.
pub fn decode_batch<R: Request>(text: &[u8]) -> Result<Vec<R>> {
    let items: Vec<&RawValue> =
        serde_json::from_slice(text).map_err(|error| malformed::<R>(&error))?;
    if items.is_empty() {
        return Err(Error::input(
            "the array of payloads is empty",
            format!("Give {} at least one payload.", R::COMMAND),
        ));
    }
    let decode_item = |(index, item): (usize, &RawValue)| {
        decode(item.get().as_bytes())
            .and_then(named_if_needed)
            .map_err(|error| error.with("index", index))
    };
    let requests: Vec<R> = items
        .into_iter()
        .enumerate()
        .map(decode_item)
        .collect::<Result<_>>()?;
    refuse_duplicates(&requests)?;
    Ok(requests)
}

fn named_if_needed<R: Request>(request: R) -> Result<R> {
    if R::ITEMS_NAME_A_TASK && request.task_id().is_none() {
        let hint = "Give a filter by itself, not in an array.";
        return Err(invalid("id", "an item of an array names one task", hint));
    }
    Ok(request)
}

/// Two items about one task would race each other. Ids that differ only in case are one.
fn refuse_duplicates<R: Request>(requests: &[R]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (index, request) in requests.iter().enumerate() {
        if let Some(id) = request.task_id()
            && !seen.insert(id.as_str().to_ascii_lowercase())
        {
            let problem = format!("{id} occurs twice in the array");
            return Err(invalid("id", problem, "Name each task once.").with("index", index));
        }
    }
    Ok(())
}

/// A request whose `field` has a value that cannot be used.
pub fn invalid(field: &str, problem: impl fmt::Display, hint: impl Into<String>) -> Error {
    Error::input(format!("{field}: {problem}"), hint).with("field", field)
}

/// The kernel ends every text at its first NUL: what stands behind would be lost silently.
///
/// # Errors
/// [`Error::CommandInput`] that names the field.
pub fn refuse_nul(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(invalid(
            field,
            "it holds a NUL byte",
            "No path, argument or variable can hold NUL.",
        ));
    }
    Ok(())
}

pub(super) fn malformed<R: Request>(error: &serde_json::Error) -> Error {
    Error::input(
        format!("the payload is not valid JSON: {error}"),
        format!(
            "Give one JSON value: inline, @path for a file, or - for standard input. \
             examples show {} has some.",
            R::COMMAND
        ),
    )
    .with("line", error.line())
    .with("column", error.column())
}

/// The known name that is nearest to what was typed, if any is near enough to be meant: the only
/// one that begins so, or one that differs in few letters.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let typed = snake_case(typed);
    let known: Vec<&str> = known.collect();
    let mut longer = known
        .iter()
        .filter(|name| typed.len() >= 3 && name.starts_with(&typed));
    if let (Some(only), None) = (longer.next(), longer.next()) {
        return Some((*only).to_owned());
    }
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(typed.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}
