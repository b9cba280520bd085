//! Reading a generated schema: what a field may be, and how it is said.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

/// The schemas of which one must fit, but for that of null; the schema itself where it has none, or
/// where they tell forms of its one type.
pub(super) fn alternatives(schema: &Value) -> Vec<&Value> {
    let branches = ["anyOf", "oneOf"]
        .into_iter()
        .find_map(|name| schema.get(name)?.as_array());
    match branches {
        Some(branches) if schema.get("type").is_none() => branches
            .iter()
            .filter(|branch| branch.get("type").is_none_or(|kind| kind != "null"))
            .flat_map(alternatives)
            .collect(),
        _ => vec![schema],
    }
}

/// The schema of this field, as it or an earlier client spells it.
pub(super) fn property<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    static ON_FAILURE: LazyLock<Value> = LazyLock::new(|| json!({ "type": "boolean" }));
    // Of `restart`, for earlier clients; no schema tells of it.
    if matches!(name, "onFailure" | "on_failure") && property(schema, "policy").is_some() {
        return Some(&ON_FAILURE);
    }
    alternatives(schema)
        .into_iter()
        .find_map(|schema| match schema.get("properties") {
            Some(known) => [name, &snake_case(name), alias_of(name).unwrap_or(name)]
                .into_iter()
                .find_map(|name| known.get(name)),
            None => schema.get("additionalProperties"),
        })
}

pub(super) fn items(schema: &Value) -> Option<&Value> {
    alternatives(schema)
        .into_iter()
        .find_map(|schema| schema.get("items"))
}

/// The words that an enumeration knows, those that go with a value among them.
pub(super) fn words(schema: &Value) -> Vec<String> {
    let all = alternatives(schema);
    let is_enumeration = |it: &&Value| it.get("const").or_else(|| it.get("enum")).is_some();
    if !all.iter().any(is_enumeration) {
        return Vec::new();
    }
    let words = all.into_iter().flat_map(|it| {
        let known = it.get("enum").and_then(Value::as_array);
        let text = known.into_iter().flatten().chain(it.get("const"));
        let with_value = it.get("properties").and_then(Value::as_object);
        text.filter_map(Value::as_str)
            .map(str::to_owned)
            .chain(with_value.into_iter().flat_map(|it| it.keys().cloned()))
            .collect::<Vec<_>>()
    });
    words.collect()
}

/// What would fit, in words.
pub(super) fn describe(schema: &Value) -> Option<String> {
    let mut all = Vec::new();
    for branch in alternatives(schema) {
        let known = branch.get("enum").and_then(Value::as_array);
        let texts = known.into_iter().flatten().chain(branch.get("const"));
        let before = all.len();
        all.extend(texts.map(Value::to_string));
        if all.len() == before {
            all.push(describe_type(branch)?);
        }
    }
    match all.pop() {
        Some(last) if !all.is_empty() => Some(format!("{} or {last}", all.join(", "))),
        last => last,
    }
}

/// An object by the names of its fields.
pub(super) fn sketch(fields: &Map<String, Value>) -> String {
    let names: Vec<String> = fields.keys().map(|name| json!(name).to_string()).collect();
    match names.as_slice() {
        [only] => format!("{{{only}: …}}"),
        all => format!("{{{}}}", all.join(", ")),
    }
}

fn describe_type(schema: &Value) -> Option<String> {
    let kind = schema.get("type")?;
    let kinds = kind
        .as_array()
        .map_or_else(|| vec![kind], |all| all.iter().collect());
    let kind = kinds
        .into_iter()
        .filter_map(Value::as_str)
        .find(|it| *it != "null")?;
    Some(match kind {
        "boolean" => "true or false".to_owned(),
        "string" => "a string".to_owned(),
        "integer" => {
            let least = schema.get("minimum").and_then(Value::as_i64);
            let most = schema.get("maximum").and_then(Value::as_u64);
            match (least, most) {
                (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
                (Some(least), None) => format!("a whole number from {least}"),
                _ => "a whole number".to_owned(),
            }
        }
        "array" => match schema.get("items").and_then(describe).as_deref() {
            Some("a string") => "an array of strings".to_owned(),
            Some(item) if item.starts_with("an object") => {
                item.replacen("an object", "an array of objects", 1)
            }
            _ => "an array".to_owned(),
        },
        "object" => match schema.get("properties").and_then(Value::as_object) {
            Some(fields) if !fields.is_empty() && fields.len() <= 12 => {
                format!("an object {}", sketch(fields))
            }
            _ => "an object".to_owned(),
        },
        _ => return None,
    })
}

/// Spellings of earlier clients that are not just another case.
fn alias_of(name: &str) -> Option<&'static str> {
    match name {
        "cwd" => Some("workdir"),
        "restartPolicy" | "restart_policy" => Some("restart"),
        "healthProbe" | "health_probe" => Some("health"),
        _ => None,
    }
}

pub(in crate::request) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}
