//! Run local work in the background under one small supervisor process per task, and ask later
//! what became of it.
//!
//! The crate is the engine; surfaces such as the `background-tasks` program turn text into its
//! requests and its answers into text.
//!
//! ```text
//! payload text -> decode -> request -> operation -> store / supervisor -> answer -> envelope
//!    (cli)        request    request       op         store, supervisor      request    (cli)
//! ```
//!
//! Read in that order: [`request`] (what can be asked, what is answered), [`op`] (one verb per
//! file), [`store`] (the folder with the tasks), [`supervisor`] (the process that looks after one
//! task), with [`task`] for the nouns, [`event`] and [`log`] for what a task leaves behind.
//!
//! A program that embeds the crate calls [`supervisor::take_over`] first thing in its `main`:
//! the supervisor of a task is this very program, executed again.
//!
//! ```no_run
//! use background_tasks_core::{Client, Deadline, op, request};
//!
//! background_tasks_core::supervisor::take_over();
//! let client = Client::from_environment()?;
//! let request: request::Start = request::decode(br#"{"shell": "echo hello"}"#)?;
//! let answer = op::start(&client, request, op::StartOptions::default(), Deadline::NEVER)?;
//! println!("{} is {}", answer.task.id, answer.task.status.as_str());
//! # Ok::<(), background_tasks_core::Error>(())
//! ```

mod bounds;
mod client;
mod clock;
mod env_file;
mod error;
pub mod event;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod log;
pub mod op;
mod process;
mod random;
pub mod request;
pub mod store;
pub mod supervisor;
pub mod task;
mod wait;

pub use bounds::Bounds;
pub use client::Client;
pub use clock::{Deadline, Timestamp};
pub use error::{Error, ErrorKind, Result, SpawnStep};
pub use process::{Arena, Arguments, allow_many_descriptors, enlarge_pipe, prepare_process};
