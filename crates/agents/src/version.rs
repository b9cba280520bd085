//! What a program says that its version is, from one that may hang.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use background_tasks_core::Deadline;

use crate::child;
use crate::surroundings::Surroundings;

/// So long a program may think about its version.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than a version has.
const LONGEST: usize = 4096;

/// The first line that it prints for `--version`.
pub(crate) fn ask_version(program: &Path, surroundings: &Surroundings) -> Option<String> {
    let mut text = Vec::new();
    let mut take = |bytes: &[u8]| {
        let room = LONGEST - text.len();
        text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        bytes.len() <= room
    };
    let (output, printed) = io::pipe().ok()?;
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(printed)
        .stderr(Stdio::null());
    let deadline = Deadline::after(PATIENCE);
    let status = child::run(&mut command, surroundings, output, deadline, &mut take).ok()?;
    status.filter(ExitStatus::success)?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(
        line.chars()
            .filter(|letter| !letter.is_control())
            .take(200)
            .collect(),
    )
}
