//! Every answer that a test sees, held against `schemas/` by a validator of others. The gate sees to
//! it that those files are what the program shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// The validators of answers and documents, by name.
fn validators() -> &'static BTreeMap<String, Validator> {
    static VALIDATORS: OnceLock<BTreeMap<String, Validator>> = OnceLock::new();
    VALIDATORS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let entries = fs::read_dir(folder).expect("the schemas are there");
        let files = entries.map(|entry| entry.expect("it can be read").path());
        let outputs = files.filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let name = name.strip_suffix(".output.json")?.to_owned();
            let text = fs::read(&path).expect("it can be read");
            let schema: Value = serde_json::from_slice(&text).expect("it is JSON");
            let validator = jsonschema::validator_for(&schema);
            Some((name, validator.expect("it is a schema of 2020-12")))
        });
        outputs.collect()
    })
}

/// Asserts that a document is as its schema says, if it has one.
#[track_caller]
pub fn assert_fits(name: &Value, document: &Value) {
    let of = |name: &str| validators().get(&name.replace(' ', "."));
    let Some(validator) = name.as_str().and_then(of) else {
        return;
    };
    let faults: Vec<String> = validator
        .iter_errors(document)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {faults:#?}\n{document}");
}

#[test]
fn what_does_not_fit_is_found() {
    let frame = json!({
        "type": "task.started", "task_id": "a", "sequence": 0, "cursor": "c",
        "timestamp": "2026-11-21T16:03:43.657Z", "data": { "pid": 5, "run": 1 }
    });
    assert_fits(&json!("frame"), &frame);
    for (field, wrong) in [
        ("type", json!("task.begun")),
        ("task_id", json!("..")),
        ("sequence", json!(-1)),
        ("data", json!({ "pid": "5" })),
    ] {
        let mut frame = frame.clone();
        frame[field] = wrong;
        assert!(!validators()["frame"].is_valid(&frame), "{frame}");
    }
    let mut frame = json!({
        "type": "agent.tool_end", "task_id": "a", "sequence": 0, "cursor": "c",
        "timestamp": "2026-11-21T16:03:43.657Z",
        "data": { "tool_id": "t", "output": "x", "is_error": false, "run": 1 }
    });
    assert_fits(&json!("frame"), &frame);
    frame["data"]["run"].take();
    assert!(!validators()["frame"].is_valid(&frame), "{frame}");
    assert!(validators().len() > 15);
}
