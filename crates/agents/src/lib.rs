//! Coding agents as background tasks: what each CLI is told, and one reading of what they all print.
//!
//! A conversation is a task whose runs are about one prompt each (see
//! [`background_tasks_core::op::give_work`]). What a CLI is told and how it is read is pure; few
//! modules know of tasks.
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
//!
//! ```text
//! request -> spec -> start -> (a task) -> turn -> provider::Cli -> invocation -> exec
//! send    -> conversation -> (its next piece of work) -> turn ...
//! ```
//!
//! On the way in: [`AgentRequest`] (what can be asked), [`AgentSpec`] (what is kept of it), `start`
//! (the task that it becomes), `turn` (the command of each run), [`Turn`] and [`Invocation`] (what is
//! executed for one prompt). `translate` tells what a task has printed as events, `conversation` how
//! it stands, `text` how it reads. `list` finds out which CLIs there are, `mock` is one that is built
//! in.

mod category;
mod child;
mod conversation;
mod event;
mod evidence;
mod install;
mod invocation;
mod kept;
mod line;
mod list;
mod login;
mod mock;
mod object;
mod parser;
mod pattern;
mod preview;
mod provider;
mod reason;
mod request;
mod run;
mod sign;
mod spec;
mod start;
mod supports;
mod surroundings;
mod tail;
mod text;
mod tool;
mod transcript;
mod translate;
mod turn;
mod verdict;
mod version;

pub use conversation::{AgentStatus, SendPrompt, agent_status, describe, is_prompt, send_prompt};
pub use event::{AgentError, AgentEvent, Category, Usage};
pub use install::{Installed, Installer, NotInstalled};
pub use invocation::{DonePattern, Invocation, Program, Says, Stdin, Stream, Turn};
pub use list::{ProviderFacts, list};
pub use login::Login;
pub use mock::run_mock;
pub use parser::Parser;
pub use preview::{CommandAnswer, CommandAsked, preview};
pub use provider::Provider;
pub use request::{
    AgentRequest, Mcp, Mode, Prompt, PromptFile, Resolved, Role, Said, check_prompt, check_session,
    name_of,
};
pub use spec::{AgentSpec, McpSource, Version};
pub use start::{
    AgentStart, DEFAULT_STDERR, DEFAULT_TIMEOUT_MS, DONE_GRACE_MS, decode_start, decode_starts,
};
pub use supports::Supports;
pub use surroundings::Surroundings;
pub use text::{LogsText, TextAnswer, TextView, asks_for_text, logs_text};
pub use transcript::{Include, MAX_LINE_BYTES, Transcript, TranscriptFrame};
pub use translate::open_translator;
pub use turn::take_over;
pub use verdict::Outcome;
