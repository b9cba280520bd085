//! The `background-tasks` program: text in, JSON out. What it does is in `background-tasks-core`.
//!
//! ```text
//! argv -> args -> payload -> run (one arm per command) -> envelope -> print -> exit status
//! ```

// Not in the unit tests, whose harness brings a main of its own.
#![cfg_attr(not(test), no_main)]

mod agent;
mod args;
mod command;
mod discover;
mod envelope;
mod line_block;
mod line_frame;
mod payload;
mod piece;
mod print;
mod run;

use std::ffi::OsString;

#[global_allocator]
static ALLOCATOR: background_tasks_core::Arena = background_tasks_core::Arena;

#[cfg(not(test))]
background_tasks_core::entry!(begin);

#[cfg_attr(test, allow(dead_code, reason = "the tests call what it calls"))]
fn begin(arguments: Vec<OsString>) -> u8 {
    print::tell_of_panics();
    if let Some(code) = background_tasks_agents::take_over(&arguments) {
        return code;
    }
    run::run(arguments)
}
