//! `status` of a task that has ended, against a static program that reads one file.
//!
//! How a program got into the page cache moves these figures by a sixth: large pieces of it map
//! faster than single pages. So both are written in the same way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::Setup;
use super::home::{Home, scratch, text};
use super::race::{Contender, race, timed};
use super::report::Row;
use crate::{Result, command, static_build};

/// The least that a program can do about the question.
const READER: &str = "fn main() {
    let path = std::env::args_os().nth(1).expect(\"a path\");
    std::fs::read(path).expect(\"the file\");
}
";

/// One ended task, asked for again and again.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let home = Home::new(setup, "status")?;
    let (_, task) = home.start(&json!({"command": "true"}), &["--wait"])?;
    let id = text(&task, "id")?;
    let record = home.folder.join("tasks").join(&id).join("task.json");
    let reader = fresh_copy(setup, &build_reader(setup)?)?;
    let program = fresh_copy(setup, &setup.binary)?;
    let contenders = vec![
        Contender::new("static program that reads a file", || {
            Ok(timed(Command::new(&reader).arg(&record))?.0)
        }),
        Contender::new("status of an ended task", || {
            let mut command = Command::new(&program);
            command.env("BACKGROUND_TASKS_HOME", &home.folder);
            Ok(timed(command.arg("status").arg(json!({"id": id}).to_string()))?.0)
        }),
    ];
    race(setup.rounds(200, 30), contenders, |_| Ok(()))
}

/// A copy that is written at once, as an installer would.
fn fresh_copy(setup: &Setup, program: &Path) -> Result<PathBuf> {
    let name = program.file_name().ok_or("a program has a name")?;
    let copy = scratch(setup, "copies")?.join(name);
    fs::write(&copy, fs::read(program)?)?;
    fs::set_permissions(&copy, fs::metadata(program)?.permissions())?;
    Ok(copy)
}

fn build_reader(setup: &Setup) -> Result<PathBuf> {
    let folder = scratch(setup, "reader")?;
    let (source, program) = (folder.join("reader.rs"), folder.join("reader"));
    fs::write(&source, READER)?;
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition",
        "2024",
        "-C",
        "opt-level=3",
        "-C",
        "panic=abort",
        "-C",
        "strip=symbols",
    ]);
    if let Some(triple) = static_build::triple()? {
        rustc.args(["--target", &triple, "-C", "relocation-model=static"]);
    }
    command::run(rustc.arg("-o").arg(&program).arg(&source))?;
    Ok(program)
}
