//! JSON text to requests, with errors that tell how to mend the text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Request;
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
    deserializer.end().map_err(|error| malformed(&error))?;
    request.check()?;
    Ok(request)
}

/// Decodes an array of requests; all of them, or none.
///
/// # Errors
/// As [`decode`], with `details.index` of the item; also when there is no item or a task is named twice.
pub fn decode_batch<R: Request>(text: &[u8]) -> Result<Vec<R>> {
    let items: Vec<&RawValue> = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
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
pub(super) fn refuse_nul(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(invalid(
            field,
            "it holds a NUL byte",
            "No path, argument or variable can hold NUL.",
        ));
    }
    Ok(())
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::input(
        format!("the payload is not valid JSON: {error}"),
        "Give one JSON value: inline, @path for a file, or - for standard input.",
    )
    .with("line", error.line())
    .with("column", error.column())
}

fn explain<R: Request>(
    text: &[u8],
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Error {
    let inner = error.inner();
    // Where an enumeration meets another kind of value, serde_json speaks of syntax.
    let is_json = inner.is_data() || serde_json::from_slice::<IgnoredAny>(text).is_ok();
    if !is_json {
        return malformed(inner);
    }
    let hint = format!(
        "schema show {0} and examples show {0} tell what it takes.",
        R::COMMAND
    );
    if let Ok(value) = serde_json::from_slice(text)
        && let Some(unknown) = find_unknown(&value, &schema_of::<R>(), "")
    {
        return unknown.into_error(hint);
    }
    let path = error.path().to_string();
    let problem = inner.to_string();
    // serde_json appends the place in the text, which says less than the field does, and names
    // our types where it means an object.
    let problem = problem.split(" at line ").next().unwrap_or(&problem);
    let problem = match problem.split_once("expected struct ") {
        Some((found, _)) => format!("{found}expected a JSON object"),
        None if problem == "expected value" => "a value of another kind is expected".to_owned(),
        None => problem.to_owned(),
    };
    match path.as_str() {
        "." | "" => Error::input(problem, hint),
        field => Error::input(format!("{field}: {problem}"), hint).with("field", field),
    }
}

fn schema_of<R: Request>() -> Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<R>()
        .to_value()
}

/// A field that no request of this kind has.
struct UnknownField {
    path: String,
    name: String,
    allowed: Vec<String>,
}

impl UnknownField {
    fn into_error(self, hint: String) -> Error {
        let nearest = nearest(&self.name, self.allowed.iter().map(String::as_str));
        let message = match &nearest {
            Some(known) => format!("unknown field `{}`: did you mean `{known}`?", self.path),
            None => format!("unknown field `{}`", self.path),
        };
        let mut details = Map::new();
        details.insert("field".to_owned(), json!(self.path));
        details.insert("nearest".to_owned(), json!(nearest));
        details.insert("allowed".to_owned(), json!(self.allowed));
        Error::CommandInput {
            message,
            hint,
            details,
        }
    }
}

/// Walks the value along the schema that was generated from the decoding types, down to the
/// first field that the schema does not know.
fn find_unknown(value: &Value, schema: &Value, path: &str) -> Option<UnknownField> {
    match value {
        Value::Object(object) => {
            let known = fields_of(schema);
            // Also where any name will do, as in `env`.
            if known.is_empty() {
                return None;
            }
            object.iter().find_map(|(name, inner)| {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                let field = known
                    .get(name.as_str())
                    .or_else(|| known.get(snake_case(name).as_str()))
                    .or_else(|| known.get(alias_of(name)?));
                match field {
                    Some(schema) => find_unknown(inner, schema, &path),
                    None => Some(UnknownField {
                        path,
                        name: name.clone(),
                        allowed: known.keys().map(|&name| name.to_owned()).collect(),
                    }),
                }
            })
        }
        Value::Array(items) => {
            let schema = items_of(schema)?;
            let find = |(index, item)| find_unknown(item, schema, &format!("{path}[{index}]"));
            items.iter().enumerate().find_map(find)
        }
        _ => None,
    }
}

fn branches_of(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|branch| schema.get(branch)?.as_array())
        .flatten()
}

/// Of all objects that may stand here, whichever is meant.
fn fields_of(schema: &Value) -> BTreeMap<&str, &Value> {
    let own = schema.get("properties").and_then(Value::as_object);
    let own = own.into_iter().flatten();
    own.map(|(name, field)| (name.as_str(), field))
        .chain(branches_of(schema).flat_map(fields_of))
        .collect()
}

/// Of the array that may stand here.
fn items_of(schema: &Value) -> Option<&Value> {
    let own = schema.get("items");
    own.or_else(|| branches_of(schema).find_map(items_of))
}

/// Spellings of earlier clients that are not just another case.
fn alias_of(name: &str) -> Option<&'static str> {
    match name {
        "cwd" => Some("workdir"),
        "healthProbe" => Some("health"),
        "restartPolicy" => Some("restart"),
        "onFailure" | "on_failure" => Some("policy"),
        _ => None,
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// The known name that is nearest to what was typed, if any is near enough to be meant.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let typed = snake_case(typed);
    known
        .map(|name| (strsim::damerau_levenshtein(&typed, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(typed.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}
