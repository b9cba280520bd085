//! What an agent is told, and in which form that may be given.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use background_tasks_core::Error;
use background_tasks_core::request::{MAX_PAYLOAD_BYTES, invalid};
use background_tasks_core::task::WITHOUT_NUL;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Role, Said};
use crate::provider::Provider;

/// What the agent is told.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Prompt {
    /// These words.
    Text(#[schemars(regex(pattern = r"\S"))] String),
    /// What the file holds when the task is started.
    File(PromptFile),
}

/// A file with a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptFile {
    /// Where it is; a relative path is the caller's.
    #[schemars(length(min = 1), regex(pattern = WITHOUT_NUL), extend("examples" = ["prompt.md"]))]
    pub file: PathBuf,
}

/// MCP servers.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Mcp {
    /// Described in this file.
    File(#[schemars(length(min = 1), regex(pattern = WITHOUT_NUL))] PathBuf),
    /// Described here.
    Object(Map<String, Value>),
}

/// By hand, so that what is wrong within the object is told by its field.
impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrFile;
        impl<'de> Visitor<'de> for TextOrFile {
            type Value = Prompt;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or {\"file\": a path}")
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Prompt::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                PromptFile::deserialize(MapAccessDeserializer::new(fields)).map(Prompt::File)
            }
        }
        deserializer.deserialize_any(TextOrFile)
    }
}

impl<'de> Deserialize<'de> for Mcp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FileOrObject;
        impl<'de> Visitor<'de> for FileOrObject {
            type Value = Mcp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or an object")
            }
            fn visit_str<E>(self, path: &str) -> Result<Self::Value, E> {
                Ok(Mcp::File(path.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                Map::deserialize(MapAccessDeserializer::new(fields)).map(Mcp::Object)
            }
        }
        deserializer.deserialize_any(FileOrObject)
    }
}

impl Prompt {
    /// The words; `field` is where it was given.
    ///
    /// # Errors
    /// [`Error::CommandInput`] when the file cannot be read, is too long or
    /// is not UTF-8.
    pub fn read(&self, field: &str) -> Result<String, Error> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(PromptFile { file }) => read_file(&format!("{field}.file"), file),
        }
    }
}

fn read_file(field: &str, path: &Path) -> Result<String, Error> {
    let refuse = |problem: &dyn fmt::Display, hint: &str| {
        let problem = format!("cannot read {}: {problem}", path.display());
        invalid(field, problem, hint)
    };
    let limit = MAX_PAYLOAD_BYTES as u64;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| refuse(&error, "Name a file that exists and may be read."))?;
    if bytes.len() > MAX_PAYLOAD_BYTES {
        let problem = format!("it holds more than {MAX_PAYLOAD_BYTES} bytes");
        return Err(refuse(&problem, "Let the agent read long texts itself."));
    }
    String::from_utf8(bytes).map_err(|_| refuse(&"it is not UTF-8", "Convert it to UTF-8."))
}

/// Refuses a prompt that the provider's CLI would refuse, wait for ever at, or cut; `field` is
/// where it was given.
///
/// # Errors
/// [`Error::CommandInput`] that names the field.
pub fn check_prompt(provider: Provider, field: &str, prompt: &str) -> Result<(), Error> {
    if prompt.trim().is_empty() {
        let hint = "Say what the agent is to do.";
        return Err(invalid(field, "it is empty", hint));
    }
    let longest = provider.cli().longest_prompt();
    if prompt.len() > longest {
        let problem = format!(
            "it has {} bytes, and {provider} reads {longest} at most",
            prompt.len()
        );
        let hint = "Put long texts into files, and let the agent read them.";
        return Err(invalid(field, problem, hint));
    }
    Ok(())
}

/// What was said elsewhere becomes part of the first prompt: no CLI takes a conversation in any
/// other way.
pub(crate) fn with_history(history: &[Said], prompt: &str) -> String {
    if history.is_empty() {
        return prompt.to_owned();
    }
    let mut text = String::from("This conversation began elsewhere. So far:\n");
    for Said { role, content } in history {
        let who = match role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
        };
        text.push_str(&format!("\n<{who}>\n{content}\n</{who}>\n"));
    }
    text.push_str("\nGo on with it. The user now says:\n\n");
    text.push_str(prompt);
    text
}

/// A name for the task: the prompt's first words, on one line.
pub fn name_of(prompt: &str) -> String {
    const LONGEST: usize = 60;
    let mut name = String::new();
    for word in prompt.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        let gap = usize::from(!name.is_empty());
        if name.chars().count() + gap + word.chars().count() > LONGEST {
            // One word that is longer than a name can be is cut, so that there is a name.
            if name.is_empty() {
                name.extend(word.chars().take(LONGEST - 1));
            }
            name.push('…');
            break;
        }
        if gap == 1 {
            name.push(' ');
        }
        name.push_str(word);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_the_first_words_on_one_line() {
        let long = "word ".repeat(40);
        let wide = "ä".repeat(100);
        let cases = [
            ("Fix the build", "Fix the build".to_owned()),
            (
                "  Fix\n\tthe\u{1b}[1m build  ",
                "Fix the [1m build".to_owned(),
            ),
            (&long, format!("{}…", ["word"; 12].join(" "))),
            (&wide, format!("{}…", "ä".repeat(59))),
            (" \n ", String::new()),
        ];
        for (prompt, name) in cases {
            assert_eq!(name_of(prompt), name);
        }
    }

    #[test]
    fn history_stands_before_the_prompt_in_its_order() {
        let said = |role, content: &str| Said {
            role,
            content: content.to_owned(),
        };
        let history = [
            said(Role::User, "What is 2 + 2?"),
            said(Role::Assistant, "4"),
        ];
        let text = with_history(&history, "Twice that?");
        let places = [
            "What is 2 + 2?",
            "<assistant>\n4\n</assistant>",
            "Twice that?",
        ]
        .map(|part| text.find(part).expect(part));
        assert!(places.is_sorted(), "{text}");
        assert!(text.ends_with("Twice that?"), "{text}");
        assert_eq!(with_history(&[], "-x"), "-x");
    }
}
