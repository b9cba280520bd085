//! Whether somebody has logged in to a provider: where it is seen, never what the secret is.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::surroundings::Surroundings;

/// What shows that somebody has logged in. No proof: a key may be wrong or out of date, which only
/// a paid call could tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// An environment variable of this name is set.
    Variable(String),
    /// This file is there.
    File(PathBuf),
}

/// Where it is seen that somebody has logged in.
pub(crate) struct LoginTraces {
    /// Variables that hold a key or a token.
    pub(crate) variables: &'static [&'static str],
    /// Files that a login leaves behind.
    pub(crate) files: &'static [LoginFile],
    /// How to log in.
    pub(crate) advice: &'static str,
}

/// A file that a login leaves behind.
pub(crate) struct LoginFile {
    /// A variable that names the folder.
    variable: Option<&'static str>,
    /// Where that is below the home folder when there is no such variable.
    folder: &'static str,
    file: &'static str,
}

impl LoginFile {
    pub(crate) const fn new(
        variable: Option<&'static str>,
        folder: &'static str,
        file: &'static str,
    ) -> Self {
        Self {
            variable,
            folder,
            file,
        }
    }

    fn path(&self, surroundings: &Surroundings) -> Option<PathBuf> {
        let named = self.variable.and_then(|name| surroundings.variable(name));
        let folder = match named {
            Some(folder) => PathBuf::from(folder),
            None => Path::new(surroundings.variable("HOME")?).join(self.folder),
        };
        Some(folder.join(self.file))
    }
}

impl LoginTraces {
    /// The first that is there; an empty file is none.
    pub(crate) fn find(&self, surroundings: &Surroundings) -> Option<Login> {
        let variable = self
            .variables
            .iter()
            .find(|name| surroundings.variable(name).is_some())
            .map(|name| Login::Variable((*name).to_owned()));
        variable.or_else(|| {
            let is_there = |path: &PathBuf| {
                std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0)
            };
            let mut paths = self.files.iter().filter_map(|file| file.path(surroundings));
            paths.find(is_there).map(Login::File)
        })
    }
}
