//! The caller's side: where the tasks are, and what becomes their supervisor.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::event::OpenTranslator;
use crate::store::{Home, Observed, observe};
use crate::supervisor::Program;
use crate::task::TaskId;

/// What every operation needs to know about its surroundings.
#[derive(Clone, Debug)]
pub struct Client {
    home: PathBuf,
    supervisor: Program,
    translators: Option<OpenTranslator>,
}

impl Client {
    /// With the home that the environment names (see [`Home::locate`]) and this very program as
    /// supervisor.
    ///
    /// # Errors
    /// [`Error::Store`] when the environment names none.
    pub fn from_environment() -> Result<Self> {
        Ok(Self::new(Home::locate()?, Program::Current))
    }

    /// With a home and a supervisor of the caller's choice.
    pub fn new(home: PathBuf, supervisor: Program) -> Self {
        Self {
            home,
            supervisor,
            translators: None,
        }
    }

    /// Where the tasks are.
    pub fn home_path(&self) -> &Path {
        &self.home
    }

    /// The same, with tasks whose lines are told in frames of another kind (see [`Translate`]).
    ///
    /// [`Translate`]: crate::event::Translate
    #[must_use]
    pub fn translating(self, translators: OpenTranslator) -> Self {
        Self {
            translators: Some(translators),
            ..self
        }
    }

    pub(crate) fn translators(&self) -> Option<OpenTranslator> {
        self.translators
    }

    pub(crate) fn supervisor(&self) -> &Program {
        &self.supervisor
    }

    /// The home, made where it is missing: for verbs that may create a task.
    pub(crate) fn home(&self) -> Result<Home> {
        Home::open_or_create(&self.home)
    }

    /// The home if it is there: for verbs that only look. None means that there are no tasks.
    pub(crate) fn existing_home(&self) -> Result<Option<Home>> {
        Home::open_existing(&self.home)
    }

    /// The home of a task that must exist.
    pub(crate) fn home_of(&self, id: &TaskId) -> Result<Home> {
        self.existing_home()?.ok_or_else(|| not_found(id))
    }
}

/// A task that must exist, as a reader finds it.
pub(crate) fn find(home: &Home, id: &TaskId) -> Result<Observed> {
    observe(home, id)?.ok_or_else(|| not_found(id))
}

pub(crate) fn not_found(id: &TaskId) -> Error {
    Error::TaskNotFound { id: id.to_string() }
}
