//! Coding agents as background tasks: what each CLI is told, and one reading of what they all print.
//!
//! Nothing here starts a process or knows a task folder; the program puts the pieces together.
//!
//! ```text
//! bytes -> transcript -> parser -> line -> provider::Read -> run -> AgentEvent
//!          (lines, runs)  (one run)  (JSON?)   (one CLI)      (held end)
//! ```
//!
//! Read in that order: [`AgentEvent`] (what readers get), `parser` (one run of one provider,
//! line by line), `transcript` (a recorded log in any cuts), [`Provider`] and one file per CLI
//! below it. `category` says what kind of trouble an error text tells of, `tool` gives the tools of
//! all of them the same names.

mod event;
mod line;
mod provider;
mod run;

pub use event::{AgentError, AgentEvent, Category, Usage};
pub use provider::Provider;
