//! Which CLIs there are: facts for `agent list` and `doctor`.

use std::path::PathBuf;

use background_tasks_core::op::in_parallel;
use schemars::JsonSchema;
use serde::Serialize;

use crate::install::NotInstalled;
use crate::invocation::Program;
use crate::login::Login;
use crate::provider::Provider;
use crate::supports::Supports;
use crate::surroundings::Surroundings;
use crate::version::ask_version;

/// What there is to know of one provider on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProviderFacts {
    /// Which one.
    pub provider: Provider,
    /// Whether its program is on the PATH.
    pub installed: bool,
    /// Where; `null` for what is built in.
    pub path: Option<PathBuf>,
    /// What it says that its version is; `null` when it does not say so within a few seconds.
    pub version: Option<String>,
    /// What shows that somebody has logged in; `null` when nothing does.
    pub login: Option<Login>,
    /// What to do about that, when nothing does or it is not installed.
    pub hint: Option<String>,
    /// What it can do.
    pub supports: Supports,
}

impl Provider {
    /// Looks this provider up. Runs its program for the version, and nothing that costs anything.
    pub fn facts(self, surroundings: &Surroundings) -> ProviderFacts {
        let cli = self.cli();
        let traces = cli.login();
        let login = traces.find(surroundings);
        let found = self.find(surroundings);
        let needs_login = !(traces.variables.is_empty() && traces.files.is_empty());
        let hint = match &found {
            Err(absent) => Some(absent.hint()),
            Ok(_) => (needs_login && login.is_none()).then(|| traces.advice.to_owned()),
        };
        let path = found.as_ref().ok().cloned().flatten();
        let version = match (&found, &path) {
            (Ok(_), Some(path)) => ask_version(path, surroundings),
            (Ok(_), None) => Some(env!("CARGO_PKG_VERSION").to_owned()),
            (Err(_), _) => None,
        };
        ProviderFacts {
            provider: self,
            installed: found.is_ok(),
            path,
            version,
            login,
            hint,
            supports: cli.supports(),
        }
    }

    /// Its program; `None` for what is built in.
    ///
    /// # Errors
    /// [`NotInstalled`] with where it was looked for and how it is installed.
    pub fn find(self, surroundings: &Surroundings) -> Result<Option<PathBuf>, NotInstalled> {
        match self.cli().program() {
            Program::Itself => Ok(None),
            Program::Named(program) => match surroundings.find(program) {
                Some(path) => Ok(Some(path)),
                None => Err(NotInstalled::new(self, program, surroundings)),
            },
        }
    }

    /// The same for a task: on the caller's PATH, or else on the one that its own `env` gives it.
    pub(crate) fn find_for_task(
        self,
        own_path: Option<&str>,
    ) -> Result<Option<PathBuf>, NotInstalled> {
        let found = self.find(&Surroundings::of_this_process());
        match (found, own_path) {
            (Err(mut absent), Some(path)) => {
                let own = Surroundings::of_path(path);
                self.find(&own).map_err(|_| {
                    absent.searched.extend(own.search_path());
                    absent
                })
            }
            (found, _) => found,
        }
    }
}

/// The facts of every provider, in their order; the programs are asked at the same time.
pub fn list(surroundings: &Surroundings) -> Vec<ProviderFacts> {
    let all = Provider::ALL;
    in_parallel(all.to_vec(), all.len(), |provider| {
        provider.facts(surroundings)
    })
}
