//! `cargo xtask assets`: shell completions and man pages, in `assets/`.
//!
//! They are made from what the program tells about itself, so they name the commands and flags that
//! there are. The gate fails when the files are not what this makes.

mod completions;
mod man;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::workspace::Workspace;
use crate::{Result, command};

const FOLDER: &str = "assets";

/// A command of the program, as `capabilities` tells it.
struct Told {
    name: String,
    purpose: String,
    /// Whether a bare word is the id of a task.
    takes_id: bool,
    flags: Vec<String>,
    /// As `help COMMAND` prints it.
    usage: String,
}

/// Writes the files.
pub fn write(workspace: &Workspace) -> Result {
    let wanted = wanted(workspace)?;
    for (name, text) in &wanted {
        let path = workspace.root.join(FOLDER).join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(path, text)?;
    }
    println!("{FOLDER}: {} files", wanted.len());
    Ok(())
}

/// Fails when a file is not as [`write()`] would leave it. Returns how many there are.
pub fn check(workspace: &Workspace) -> Result<usize> {
    let wanted = wanted(workspace)?;
    for (name, text) in &wanted {
        let found = fs::read_to_string(workspace.root.join(FOLDER).join(name)).unwrap_or_default();
        if found != *text {
            return Err(
                format!("{FOLDER}/{name} is not up to date: run cargo xtask assets").into(),
            );
        }
    }
    completions::try_out(workspace)?;
    Ok(wanted.len())
}

fn wanted(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let commands = commands(workspace)?;
    let version = ask(workspace, &["version"])?;
    let version = version["version"].as_str().unwrap_or_default().to_owned();
    let mut files = completions::files(&commands);
    files.extend(man::files(&commands, &version));
    Ok(files)
}

fn commands(workspace: &Workspace) -> Result<Vec<Told>> {
    command::run(&mut workspace.cargo(&["build", "--quiet", "--package", "background-tasks"]))?;
    let told = ask(workspace, &["capabilities"])?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = told["commands"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            let name = text(&entry["name"]);
            let words: Vec<&str> = std::iter::once("help").chain(name.split(' ')).collect();
            let flags = entry["flags"].as_array().into_iter().flatten();
            Ok(Told {
                purpose: text(&entry["purpose"]),
                takes_id: entry["shorthand"] == "id",
                flags: flags.map(text).collect(),
                usage: text(&ask(workspace, &words)?["usage"]),
                name,
            })
        })
        .collect()
}

fn ask(workspace: &Workspace, words: &[&str]) -> Result<Value> {
    let program = workspace.target.join("debug/background-tasks");
    let mut call = workspace.command(&program.to_string_lossy());
    let printed = command::output(call.args(words))?;
    let mut envelope: Value = serde_json::from_slice(&printed)?;
    Ok(envelope["data"].take())
}
