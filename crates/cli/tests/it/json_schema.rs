//! A judge of JSON values by JSON Schema, for the part of 2020-12 that the program's schemas use.
//! Stricter than the standard: a field that no schema mentions is a fault, so that an answer
//! cannot grow behind its schema's back.

use serde_json::Value;

/// What is wrong with a value, each with the path to it.
pub fn faults(value: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Judge { root: schema }.judge(value, schema, "$", &mut found);
    found
}

struct Judge<'a> {
    root: &'a Value,
}

impl Judge<'_> {
    fn judge(&self, value: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
        let Some(rules) = schema.as_object() else {
            if schema == false {
                found.push(format!("{path}: nothing is allowed here"));
            }
            return;
        };
        for (rule, expected) in rules {
            let is_kept = match rule.as_str() {
                "$ref" => {
                    self.judge(value, self.resolve(expected), path, found);
                    true
                }
                "type" => has_type(value, expected),
                "const" => value == expected,
                "enum" => expected.as_array().is_some_and(|all| all.contains(value)),
                "exclusiveMinimum" => value.as_f64() > expected.as_f64() || !value.is_number(),
                "minimum" => value.as_f64() >= expected.as_f64() || !value.is_number(),
                "maximum" => value.as_f64() <= expected.as_f64() || !value.is_number(),
                "anyOf" | "oneOf" => self.fits_one_of(value, expected),
                "minLength" => length(value) >= expected.as_u64() || !value.is_string(),
                "maxLength" => length(value) <= expected.as_u64() || !value.is_string(),
                "minItems" => {
                    let count = value.as_array().map(|items| items.len() as u64);
                    count >= expected.as_u64() || !value.is_array()
                }
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.judge(item, expected, &format!("{path}[{at}]"), found);
                    }
                    true
                }
                "properties" => {
                    self.judge_fields(value, schema, path, found);
                    true
                }
                // Names are no more looked at than other texts with a pattern.
                "patternProperties" => {
                    for inner in expected.as_object().into_iter().flatten() {
                        for (name, field) in value.as_object().into_iter().flatten() {
                            self.judge(field, inner.1, &format!("{path}.{name}"), found);
                        }
                    }
                    true
                }
                "required" => {
                    let mut names = expected.as_array().into_iter().flatten();
                    let is_there = |name: &Value| value.get(name.as_str().unwrap_or("")).is_some();
                    !value.is_object() || names.all(is_there)
                }
                "$schema"
                | "$defs"
                | "title"
                | "description"
                | "format"
                | "pattern"
                | "not"
                | "propertyNames"
                | "default"
                | "examples"
                | "additionalProperties" => true,
                unknown => panic!("this judge does not know the rule {unknown}"),
            };
            if !is_kept {
                found.push(format!("{path}: {value} breaks {rule}: {expected}"));
            }
        }
    }

    fn resolve(&self, reference: &Value) -> &Value {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let target = pointer.and_then(|pointer| self.root.pointer(pointer));
        target.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    fn fits_one_of(&self, value: &Value, branches: &Value) -> bool {
        let branches = branches.as_array().expect("branches are an array");
        branches.iter().any(|branch| {
            let mut faults = Vec::new();
            self.judge(value, branch, "", &mut faults);
            faults.is_empty()
        })
    }

    fn judge_fields(&self, value: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
        for (name, inner) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            match (
                schema["properties"].get(name),
                schema.get("additionalProperties"),
            ) {
                (Some(known), _) => self.judge(inner, known, &path, found),
                (None, Some(other)) => self.judge(inner, other, &path, found),
                (None, None) => found.push(format!("{path}: no schema mentions it")),
            }
        }
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn has_type(value: &Value, expected: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => panic!("{name} is no type"),
    };
    match expected.as_array() {
        Some(several) => several.iter().any(is),
        None => is(expected),
    }
}

#[test]
fn faults_are_found() {
    use serde_json::json;
    let schema = json!({
        "type": "object", "required": ["a"],
        "properties": { "a": { "$ref": "#/$defs/A" }, "b": { "type": ["array", "null"], "items": { "enum": [1] } } },
        "$defs": { "A": { "oneOf": [{ "const": "x" }, { "type": "integer", "minimum": 3 }] } },
    });
    for good in [
        json!({ "a": "x" }),
        json!({ "a": 3, "b": null }),
        json!({ "a": 4, "b": [1, 1] }),
    ] {
        assert_eq!(faults(&good, &schema), [""; 0], "{good}");
    }
    for bad in [
        json!([]),
        json!({}),
        json!({ "a": "y" }),
        json!({ "a": 2 }),
        json!({ "a": 3, "b": [2] }),
        json!({ "a": 3, "c": 1 }),
    ] {
        assert_ne!(faults(&bad, &schema), [""; 0], "{bad}");
    }
}
