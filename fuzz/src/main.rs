//! The fuzz targets as one program: libFuzzer's, with the target named by an environment variable.
//! `cargo xtask fuzz` builds and runs it. What the targets of the library do is in
//! `crates/core/src/fuzzing`; those of the program and of its agents are in here.
//!
//! One program, for linking one takes as long as linking any, and what a target does not reach
//! counts for nothing.

#![no_main]

mod arguments;
mod frames;
mod transcript;

#[path = "../../crates/cli/src/command.rs"]
#[allow(dead_code, reason = "only payloads are looked at")]
mod command;
#[path = "../../crates/cli/src/line_frame.rs"]
mod line_frame;
#[path = "../../crates/cli/src/payload.rs"]
#[allow(dead_code, reason = "only payloads are looked at")]
mod payload;

use std::path::Path;
use std::sync::OnceLock;

use background_tasks_core::fuzzing::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Names the target.
const VARIABLE: &str = "FUZZ_TARGET";
/// The targets of the program.
const OURS: [(&str, Target); 3] = [
    ("arguments", arguments::arguments),
    ("frames", frames::frames),
    ("transcript", transcript::transcript),
];

struct Chosen {
    target: Target,
    /// In memory where that can be had: files are written for each input.
    folder: TempDir,
}

fn chosen() -> &'static Chosen {
    static CHOSEN: OnceLock<Chosen> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var(VARIABLE).unwrap_or_default();
        let mut all = TARGETS.iter().chain(&OURS);
        let Some((_, target)) = all.find(|(known, _)| *known == name) else {
            let known: Vec<_> = TARGETS.iter().chain(&OURS).map(|(name, _)| *name).collect();
            panic!("{VARIABLE} must be one of {}", known.join(", "));
        };
        let memory = Path::new("/dev/shm");
        let folder = tempfile::Builder::new()
            .prefix("background-tasks-fuzz-")
            .tempdir_in(memory);
        let folder = folder.or_else(|_| tempfile::tempdir());
        Chosen {
            target: *target,
            folder: folder.expect("a folder can be made"),
        }
    })
}

fuzz_target!(|input: &[u8]| {
    let chosen = chosen();
    (chosen.target)(chosen.folder.path(), input);
});
