//! The `background-tasks` program: text in, JSON out. What it does is in `background-tasks-core`.
//!
//! ```text
//! argv -> args -> payload -> run (one arm per command) -> envelope -> print -> exit status
//! ```

mod args;
mod command;
mod discover;
mod envelope;
mod payload;
mod print;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else, allocations included: a supervisor is to stay small.
    background_tasks_core::supervisor::take_over();
    print::tell_of_panics();
    run::run(std::env::args_os().skip(1).collect())
}
