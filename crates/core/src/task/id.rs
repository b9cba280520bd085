//! Task ids. An id is also a folder name, a log file name and a lock file name, which is why it
//! is checked here, once, before any file is touched.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// The id of a task: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, not ending in `.stderr`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct TaskId(String);

/// Why a text is no task id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// It has no characters.
    #[error("a task id may not be empty")]
    Empty,
    /// It is longer than [`TaskId::MAX_LEN`].
    #[error("a task id has at most 64 characters, this one has {0}")]
    TooLong(usize),
    /// It holds a character that is not allowed at that place.
    #[error(
        "`{id}` is not a task id: it must match [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}, and {character:?} does not fit"
    )]
    Character {
        /// The text as given.
        id: String,
        /// The first character that does not fit.
        character: char,
    },
    /// It ends in `.stderr`, which names the second log of another task.
    #[error("`{0}` is not a task id: the ending .stderr is kept for logs of standard error")]
    Reserved(String),
}

impl TaskId {
    /// The longest id, in characters (all of them ASCII).
    pub const MAX_LEN: usize = 64;
    /// What [`TaskId::parse`] takes, as a regular expression; names of queues are the same.
    pub(crate) const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
    /// Besides, an id does not match this.
    const RESERVED: &str = "[.][sS][tT][dD][eE][rR][rR]$";

    /// Checks and takes a text as an id.
    ///
    /// # Errors
    /// [`InvalidId`] says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() {
            return Err(InvalidId::Empty);
        }
        let fits = |(at, c): (usize, char)| {
            c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '.' | '_' | '-'))
        };
        if let Some((_, character)) = text.char_indices().find(|&place| !fits(place)) {
            let id = text.chars().take(Self::MAX_LEN).collect();
            return Err(InvalidId::Character { id, character });
        }
        if text.len() > Self::MAX_LEN {
            return Err(InvalidId::TooLong(text.len()));
        }
        if text.to_ascii_lowercase().ends_with(".stderr") {
            return Err(InvalidId::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// A fresh id, `bg_` and 8 random hex digits. It may be taken: claiming it is the caller's work.
    pub fn generate() -> Self {
        Self(format!("bg_{:08x}", crate::random::u32()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for TaskId {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "TaskId".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": Self::PATTERN,
            "not": { "type": "string", "pattern": Self::RESERVED },
            "minLength": 1,
            "maxLength": Self::MAX_LEN,
            "description": "The id of a task. It may not end in .stderr.",
            "examples": ["dev"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_file_names_and_nothing_else() {
        for good in ["a", "bg_demo", "A.b-c_9", "0", &"x".repeat(64)] {
            assert_eq!(TaskId::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "-x",
            "_x",
            "a b",
            "a\0b",
            "é",
            "x.stderr",
            "x.STDERR",
            "a\n",
            &"x".repeat(65),
        ] {
            assert!(TaskId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn generated_ids_are_ids() {
        let id = TaskId::generate();
        assert_eq!(id.as_str().len(), 11);
        assert_eq!(TaskId::parse(id.as_str()), Ok(id));
    }
}
