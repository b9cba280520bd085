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
mod install;
mod invocation;
mod line;
mod list;
mod login;
mod mock;
mod provider;
mod request;
mod run;
mod spec;
mod supports;
mod surroundings;
mod version;

pub use event::{AgentError, AgentEvent, Category, Usage};
pub use install::{Installed, Installer, NotInstalled};
pub use invocation::{DonePattern, Invocation, Program, Says, Stdin, Stream, Turn};
pub use list::{ProviderFacts, list};
pub use login::Login;
pub use mock::run_mock;
pub use provider::Provider;
pub use request::{
    AgentRequest, Mcp, Mode, Prompt, PromptFile, Resolved, Role, Said, check_prompt, check_session,
    name_of,
};
pub use spec::{AgentSpec, McpSource, Version};
pub use supports::Supports;
pub use surroundings::Surroundings;
