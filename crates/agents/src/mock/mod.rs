//! The mock agent: a CLI in the shape of claude's that follows a script instead of a model.
//!
//! ```text
//! prompt -> script (directives) -> play (lines, on a Stage) -> process (the Stage that is real)
//! ```

mod play;
mod process;
mod script;

pub use process::run_mock;

/// The program's own subcommand that is the mock.
pub(crate) const SUBCOMMAND: &str = "__mock";

/// The session of a conversation: the same in every repetition.
pub(crate) fn session_id(conversation: &str) -> String {
    format!("mock-{conversation}")
}
