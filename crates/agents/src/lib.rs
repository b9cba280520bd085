//! Coding agents as background tasks: what each CLI is told, and one reading of what they all print.
//!
//! Nothing here starts a process or knows a task folder; the program puts the pieces together.
//!
//! ```text
//! bytes -> transcript -> parser -> line -> provider::Read -> run -> verdict -> AgentEvent
//!         lines, runs   one run    JSON?      one CLI      held end
//! ```
//!
//! Read in that order: [`AgentEvent`] (what readers get), [`Parser`] (one run of one provider,
//! line by line), [`Transcript`] (a recorded log in any cuts), [`Provider`] and one file per CLI
//! below it. `category` says what kind of trouble an error text tells of, `tool` gives the tools of
//! all of them the same names.

mod category;
mod event;
mod evidence;
mod line;
mod object;
mod parser;
mod pattern;
mod provider;
mod reason;
mod run;
mod sign;
mod tail;
mod tool;
mod transcript;
mod verdict;

pub use event::{AgentError, AgentEvent, Category, Usage};
pub use parser::Parser;
pub use provider::Provider;
pub use transcript::{Include, MAX_LINE_BYTES, Transcript, TranscriptFrame};
pub use verdict::Outcome;
