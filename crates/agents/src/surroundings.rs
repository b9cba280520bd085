//! The environment that decides which CLIs there are, and where they keep what.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

/// Environment variables, as the agent will have them.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    variables: BTreeMap<OsString, OsString>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        std::env::vars_os().collect()
    }

    /// With nothing but a PATH.
    pub(crate) fn of_path(path: &str) -> Self {
        [("PATH".into(), path.into())].into_iter().collect()
    }

    /// The value of a variable; an empty one counts as none.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name));
        value
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// All of them.
    pub(crate) fn variables(&self) -> &BTreeMap<OsString, OsString> {
        &self.variables
    }

    /// The folders in which programs are looked up; empty entries mean the working directory.
    pub(crate) fn search_path(&self) -> Vec<PathBuf> {
        /// What execvp(3) takes where there is no PATH.
        const DEFAULT: &str = "/bin:/usr/bin";
        let path = self.variables.get(OsStr::new("PATH"));
        let path = path.map_or(OsStr::new(DEFAULT), OsString::as_os_str);
        std::env::split_paths(path)
            .map(|folder| match folder.as_os_str().is_empty() {
                true => PathBuf::from("."),
                false => folder,
            })
            .collect()
    }

    /// Finds a program as an exec would; absolute.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        let candidates = self
            .search_path()
            .into_iter()
            .map(|folder| folder.join(program));
        let found = candidates.into_iter().find(|path| is_executable(path))?;
        std::path::absolute(found).ok()
    }
}

impl FromIterator<(OsString, OsString)> for Surroundings {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(variables: T) -> Self {
        Self {
            variables: variables.into_iter().collect(),
        }
    }
}

/// A folder "may be executed" too, for entering it.
pub(crate) fn is_executable(path: &Path) -> bool {
    let here = nix::fcntl::AT_FDCWD;
    path.is_file() && faccessat(here, path, AccessFlags::X_OK, AtFlags::AT_EACCESS).is_ok()
}
