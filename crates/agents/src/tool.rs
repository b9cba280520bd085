//! The tools of all providers by the same names, and their inputs with the same fields.

use serde_json::{Map, Value};

/// Provider's name to common name.
pub(crate) type Names = &'static [(&'static str, &'static str)];

/// A tool call as events tell it.
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) raw_name: String,
    pub(crate) input: Map<String, Value>,
}

impl Tool {
    /// Names that are in no table are passed on in lower case.
    pub(crate) fn new(raw_name: &str, input: Value, names: Names) -> Self {
        let known = names.iter().find(|(theirs, _)| *theirs == raw_name);
        let name = known.map_or_else(|| raw_name.to_lowercase(), |(_, ours)| (*ours).to_owned());
        Self::named(name, raw_name, input)
    }

    /// For what needs no table.
    pub(crate) fn named(name: String, raw_name: &str, input: Value) -> Self {
        let mut input = match input {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        for (field, sources) in fields_of(&name) {
            let given = sources.iter().find_map(|source| {
                let value = input.get(*source)?;
                value.is_string().then(|| value.clone())
            });
            if let Some(value) = given {
                input.entry(*field).or_insert(value);
            }
        }
        Self {
            name,
            raw_name: raw_name.to_owned(),
            input,
        }
    }
}

type Field = (&'static str, &'static [&'static str]);

const FILE: Field = ("file_path", &["file_path", "filePath", "path", "target"]);
const PATTERN: Field = ("pattern", &["pattern", "query", "search"]);
const COMMAND: Field = ("command", &["command", "cmd", "script"]);

/// The fields that readers may rely on, and where providers put them.
fn fields_of(name: &str) -> &'static [Field] {
    match name {
        "read" | "write" | "edit" => &[FILE],
        "glob" | "grep" => &[PATTERN, FILE],
        "shell" => &[COMMAND],
        _ => &[],
    }
}

/// What a tool answered, from the shapes that answers have: a text, an array of parts, or an object.
pub(crate) fn output_text(output: Value) -> String {
    match output {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(parts) if parts.iter().all(|part| part["type"].is_string()) => {
            let texts: Vec<String> = parts.into_iter().map(part_text).collect();
            texts.join("\n")
        }
        other => other.to_string(),
    }
}

fn part_text(mut part: Value) -> String {
    match part["text"].take() {
        Value::String(text) => text,
        // A picture is megabytes of base64 that nobody reads.
        _ => format!("[{}]", part["type"].as_str().unwrap_or("part")),
    }
}
