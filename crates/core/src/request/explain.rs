//! Why a payload does not fit its request, in the words of JSON: which field, what it may be, and
//! what was found there.
//!
//! The schema that is generated from the decoding types says what would fit, so it cannot differ
//! from what is decoded. It is walked only when something is wrong.

mod schema;

use schema::{alternatives, describe, items, property, sketch, words};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;

use super::Request;
use super::decode::{invalid, malformed, nearest};
use crate::error::Error;

pub(super) use schema::snake_case;

/// What is wrong with `text`.
pub(super) fn explain<R: Request>(
    text: &[u8],
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Error {
    let inner = error.inner();
    // Where an enumeration meets another kind of value, serde_json speaks of syntax.
    let is_json = inner.is_data() || serde_json::from_slice::<IgnoredAny>(text).is_ok();
    if !is_json {
        return malformed::<R>(inner);
    }
    let hint = format!(
        "schema show {0} and examples show {0} tell what it takes.",
        R::COMMAND
    );
    let schema = schema_of::<R>();
    let value = serde_json::from_slice(text).unwrap_or(Value::Null);
    if let Some(mut unknown) = find_unknown(&value, &schema, "") {
        if unknown.path == unknown.name {
            let elsewhere = R::ELSEWHERE.iter().map(|&name| name.to_owned());
            unknown.allowed.extend(elsewhere);
            unknown.allowed.sort();
        }
        return unknown.into_error(hint);
    }
    // serde_json appends the place in the text, which says less than the field does.
    let problem = inner.to_string();
    let problem = problem.split(" at line ").next().unwrap_or(&problem);
    let place = Place::of(&value, &schema, error.path());
    if let Some(name) = quoted_after(problem, "missing field ") {
        let inside = place.schema.and_then(|schema| property(schema, name));
        let expected = inside.and_then(describe);
        let problem = expected.map_or_else(
            || "it is missing".to_owned(),
            |expected| format!("it is missing; it must be {expected}"),
        );
        return invalid(&join(&place.path, name), problem, hint);
    }
    if let Some(name) = quoted_after(problem, "duplicate field ") {
        return invalid(&join(&place.path, name), "it occurs twice", hint);
    }
    let is_of_serde = problem == "expected value"
        || ["invalid type: ", "invalid value: ", "unknown variant "]
            .iter()
            .any(|start| problem.starts_with(start));
    match place.schema.and_then(describe).filter(|_| is_of_serde) {
        Some(expected) => place.mismatch(&expected, hint),
        None if place.path.is_empty() => Error::input(problem, hint),
        None => invalid(&place.path, problem, hint),
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

/// Where in the payload something does not fit.
struct Place<'a> {
    path: String,
    value: &'a Value,
    schema: Option<&'a Value>,
}

impl<'a> Place<'a> {
    /// As far as the payload goes: the path of an enumeration may name what is not there.
    fn of(value: &'a Value, schema: &'a Value, path: &serde_path_to_error::Path) -> Self {
        let mut place = Self {
            path: String::new(),
            value,
            schema: Some(schema),
        };
        for segment in path {
            let (path, value, schema) = match segment {
                Segment::Seq { index } => (
                    format!("{}[{index}]", place.path),
                    place.value.get(index),
                    place.schema.and_then(items),
                ),
                Segment::Map { key: name } | Segment::Enum { variant: name } => (
                    join(&place.path, name),
                    place.value.get(name),
                    place.schema.and_then(|schema| property(schema, name)),
                ),
                Segment::Unknown => break,
            };
            let (Some(value), Some(_)) = (value, schema) else {
                break;
            };
            place = Self {
                path,
                value,
                schema,
            };
        }
        place
    }

    fn mismatch(&self, expected: &str, hint: String) -> Error {
        let found = found(self.value);
        let words = self.schema.map(words).unwrap_or_default();
        let typed = match self.value {
            Value::String(text) => Some(text.as_str()),
            Value::Object(fields) => fields.keys().next().map(String::as_str),
            _ => None,
        };
        let nearest = typed
            .filter(|typed| !words.iter().any(|word| word == typed))
            .and_then(|typed| nearest(typed, words.iter().map(String::as_str)));
        let meant = nearest.as_ref().map_or_else(String::new, |nearest| {
            format!("; did you mean {}?", json!(nearest))
        });
        let problem = format!("it must be {expected}, not {found}{meant}");
        let error = match self.path.as_str() {
            "" => Error::input(format!("the payload: {problem}"), hint),
            field => invalid(field, problem, hint),
        };
        if words.is_empty() {
            return error;
        }
        error.with("allowed", words).with("nearest", nearest)
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The name in backticks behind `start`.
fn quoted_after<'a>(problem: &'a str, start: &str) -> Option<&'a str> {
    problem.strip_prefix(start)?.split('`').nth(1)
}

/// A value as it is told: short.
fn found(value: &Value) -> String {
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(fields) => sketch(fields),
        Value::String(text) if text.chars().count() > 40 => {
            let beginning: String = text.chars().take(40).collect();
            format!("{}", json!(format!("{beginning}…")))
        }
        simple => simple.to_string(),
    }
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

/// Walks the value along the schema, down to the first field that the schema does not know.
fn find_unknown(value: &Value, schema: &Value, path: &str) -> Option<UnknownField> {
    let all = alternatives(schema);
    if let Value::Array(values) = value {
        let schema = items(schema)?;
        return values
            .iter()
            .enumerate()
            .find_map(|(index, value)| find_unknown(value, schema, &format!("{path}[{index}]")));
    }
    // Where several objects would do, which one was meant is not known.
    let mut objects = all
        .iter()
        .filter_map(|it| it.get("properties")?.as_object());
    let (Some(object), Some(properties), None) =
        (value.as_object(), objects.next(), objects.next())
    else {
        return None;
    };
    for (name, inner) in object {
        let path = join(path, name);
        let Some(known) = property(schema, name) else {
            return Some(UnknownField {
                path,
                name: name.clone(),
                allowed: properties.keys().cloned().collect(),
            });
        };
        if let Some(unknown) = find_unknown(inner, known, &path) {
            return Some(unknown);
        }
    }
    None
}
