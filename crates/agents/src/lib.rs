//! Coding agents as background tasks: what each CLI is told, and one reading of what they all print.
//!
//! Nothing here knows a task folder, and no agent is started; the program puts the pieces together.
//!
//! ```text
//! request -> spec -> provider::Cli -> invocation        what is asked, kept, executed
//! bytes -> transcript -> parser -> line -> provider::Read -> run -> verdict -> AgentEvent
//!         lines, runs   one run    JSON?      one CLI      held end
//! ```
//!
//! Read in that order: [`AgentEvent`] (what readers get), [`Parser`] (one run of one provider,
//! line by line), [`Transcript`] (a recorded log in any cuts), [`Provider`] and one file per CLI
//! below it. `category` says what kind of trouble an error text tells of, `tool` gives the tools of
//! all of them the same names. On the way in: [`AgentRequest`] (what can be asked), [`AgentSpec`]
//! (what is kept of it), [`Turn`] and [`Invocation`] (what is executed for one prompt); `list` finds
//! out which CLIs there are, `mock` is one that is built in.

mod category;
mod event;
mod evidence;
mod install;
mod invocation;
mod line;
mod list;
mod login;
mod mock;
mod object;
mod parser;
mod pattern;
mod provider;
mod reason;
mod request;
mod run;
mod sign;
mod spec;
mod supports;
mod surroundings;
mod tail;
mod tool;
mod transcript;
mod verdict;
mod version;

pub use event::{AgentError, AgentEvent, Category, Usage};
pub use install::{Installed, Installer, NotInstalled};
pub use invocation::{DonePattern, Invocation, Program, Says, Stdin, Stream, Turn};
pub use list::{ProviderFacts, list};
pub use login::Login;
pub use mock::run_mock;
pub use parser::Parser;
pub use provider::Provider;
pub use request::{
    AgentRequest, Mcp, Mode, Prompt, PromptFile, Resolved, Role, Said, check_prompt, check_session,
    name_of,
};
pub use spec::{AgentSpec, McpSource, Version};
pub use supports::Supports;
pub use surroundings::Surroundings;
pub use transcript::{Include, MAX_LINE_BYTES, Transcript, TranscriptFrame};
pub use verdict::Outcome;
