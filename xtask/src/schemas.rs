//! `cargo xtask schemas`: the JSON Schemas that the program shows, as files in `schemas/`.
//!
//! They are what `schema show` prints, so they come from the very types that decode payloads and
//! encode answers. The gate fails when the files are not what the program would print.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::workspace::Workspace;
use crate::{Result, command};

const FOLDER: &str = "schemas";

/// Writes the files, and removes those that are not there any more.
pub fn write(workspace: &Workspace) -> Result {
    let folder = workspace.root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let wanted = wanted(workspace)?;
    for name in present(workspace)?.keys() {
        if !wanted.contains_key(name) {
            fs::remove_file(folder.join(name))?;
        }
    }
    for (name, text) in &wanted {
        fs::write(folder.join(name), text)?;
    }
    println!("{}: {} files", folder.display(), wanted.len());
    Ok(())
}

/// Fails when a file is not as [`write()`] would leave it. Returns how many there are.
pub fn check(workspace: &Workspace) -> Result<usize> {
    let (wanted, present) = (wanted(workspace)?, present(workspace)?);
    let names = wanted.keys().chain(present.keys());
    let stale: Vec<&str> = names
        .filter(|name| wanted.get(*name) != present.get(*name))
        .map(String::as_str)
        .collect();
    if let Some(first) = stale.first() {
        return Err(format!("{FOLDER}/{first} is not up to date: run cargo xtask schemas").into());
    }
    Ok(wanted.len())
}

/// File names and texts, as the program has them.
fn wanted(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    command::run(&mut workspace.cargo(&["build", "--quiet", "--package", "background-tasks"]))?;
    let list = ask(workspace, &["schema", "list"])?;
    let mut files = BTreeMap::new();
    for entry in list["schemas"].as_array().into_iter().flatten() {
        let name = entry["command"].as_str().unwrap_or_default();
        for part in ["input", "output"] {
            let payload = json!({ "name": name, "part": part }).to_string();
            let shown = ask(workspace, &["schema", "show", &payload])?;
            // A document that is no command's has one side only.
            let id = shown["schema_id"].as_str().unwrap_or_default().to_owned();
            let file = id
                .trim_start_matches("background-tasks.")
                .trim_end_matches("/v1");
            let mut schema = shown["schema"].clone();
            schema["$id"] = json!(format!("urn:{}", id.replace('/', ":")));
            let mut text = serde_json::to_string_pretty(&schema)?;
            text.push('\n');
            files.insert(format!("{file}.json"), text);
        }
    }
    Ok(files)
}

fn ask(workspace: &Workspace, words: &[&str]) -> Result<Value> {
    let program: PathBuf = workspace.target.join("debug/background-tasks");
    let mut call = workspace.command(&program.to_string_lossy());
    let printed = command::output(call.args(words))?;
    let mut envelope: Value = serde_json::from_slice(&printed)?;
    Ok(envelope["data"].take())
}

fn present(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let Ok(entries) = fs::read_dir(workspace.root.join(FOLDER)) else {
        return Ok(BTreeMap::new());
    };
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fs::read_to_string(entry.path())?);
    }
    Ok(files)
}
