//! The words of an error, out of the objects and texts that hold them.

use serde_json::Value;

/// The words of an error object: messages first, wherever they hide, then names and codes, then all of it.
pub(crate) fn reason(value: &Value) -> String {
    let text = message_of(value, 6)
        .or_else(|| {
            let plain = ["finalError", "detail", "description", "reason", "name"];
            plain.into_iter().find_map(|field| text_of(&value[field]))
        })
        .or_else(|| text_of(&value["error"]["name"]))
        .or_else(|| text_of(&value["code"]));
    text.unwrap_or_else(|| value.to_string())
}

fn message_of(value: &Value, depth: u8) -> Option<String> {
    if depth == 0 || !value.is_object() {
        return None;
    }
    let (data, error) = (&value["data"], &value["error"]);
    text_of(&data["message"])
        .or_else(|| text_of(&value["message"]))
        .or_else(|| message_of(error, depth - 1))
        .or_else(|| text_of(error))
        .or_else(|| message_of(data, depth - 1))
        .or_else(|| {
            let body = serde_json::from_str(value["responseBody"].as_str()?).ok()?;
            message_of(&body, depth - 1)
        })
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `400 {"error": {"message": "no credit"}}` is `400 no credit` to a person.
pub(crate) fn unwrapped(text: &str, depth: u8) -> String {
    let inner = || {
        let (before, json) = text.split_at(text.find('{')?);
        let value: Value = serde_json::from_str(json).ok()?;
        let message = unwrapped(message_of(&value, 6)?.trim(), depth.checked_sub(1)?);
        Some(format!("{before}{message}"))
    };
    inner().unwrap_or_else(|| text.to_owned())
}
