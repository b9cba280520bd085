//! `send`.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Request, invalid};
use crate::error::Result;
use crate::task::{Task, TaskId, TaskStatus};

/// Write to a task's standard input.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SendRequest")]
pub struct Send {
    /// The task, started with `"stdin": "open"` or with a terminal.
    pub id: TaskId,
    /// What to write; nothing is added, so a line needs its `\n`. Nothing is written when it and
    /// `base64` are left out.
    #[schemars(extend("examples" = ["yes\n"]))]
    pub text: Option<String>,
    /// Instead of `text`, for bytes that are no text: in base64, with or without padding. `text` is
    /// written when it is left out.
    #[schemars(regex(pattern = BASE64_PATTERN), extend("examples" = ["AP+A"]))]
    pub base64: Option<String>,
    /// Whether this is all that will be sent: the command then sees the end.
    #[schemars(extend("default" = false))]
    pub eof: Option<bool>,
}

/// What is sent may be a secret.
impl fmt::Debug for Send {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send")
            .field("id", &self.id)
            .field("text", &self.text.as_ref().map(String::len))
            .field("base64", &self.base64.as_ref().map(String::len))
            .field("eof", &self.eof)
            .finish()
    }
}

/// What is base64 matches it; blanks and line ends are passed over.
const BASE64_PATTERN: &str = "^[A-Za-z0-9+/ \\t\\r\\n\\f]*[= \\t\\r\\n\\f]*$";

/// The usual alphabet.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Request for Send {
    const COMMAND: &'static str = "send";
    const ELSEWHERE: &'static [&'static str] = &["prompt"];

    fn task_id(&self) -> Option<&TaskId> {
        Some(&self.id)
    }

    fn check(&self) -> Result<()> {
        match (&self.text, &self.base64) {
            (Some(_), Some(_)) => Err(invalid(
                "base64",
                "`text` and `base64` exclude each other",
                "Give one of them; send twice for both.",
            )),
            (None, None) if !self.says_end() => Err(invalid(
                "text",
                "there is nothing to send",
                "Give `text` or `base64`, or `\"eof\": true` to end the input.",
            )),
            _ => self.bytes().map(drop),
        }
    }
}

impl Send {
    /// Whether this is all.
    pub(crate) fn says_end(&self) -> bool {
        self.eof.unwrap_or(false)
    }

    /// What is to be written.
    ///
    /// # Errors
    /// [`crate::Error::CommandInput`] when it is not base64.
    pub(crate) fn bytes(&self) -> Result<Cow<'_, [u8]>> {
        let Some(encoded) = &self.base64 else {
            let text = self.text.as_deref().unwrap_or_default();
            return Ok(Cow::Borrowed(text.as_bytes()));
        };
        // base64(1) breaks lines.
        let digits: Vec<u8> = encoded
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        BASE64.decode(digits).map(Cow::Owned).map_err(|error| {
            invalid(
                "base64",
                format!("it is not base64: {error}"),
                "Encode the bytes with the usual alphabet (A-Z a-z 0-9 + /), or give `text`.",
            )
        })
    }
}

/// What `send` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SendAnswer {
    /// The task's id.
    pub task_id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// How many bytes were written: all of them.
    pub written_bytes: usize,
    /// Whether its input has ended with this.
    pub eof: bool,
    /// The task.
    pub task: Task,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::decode;

    fn bytes(payload: &str) -> Result<Vec<u8>> {
        decode::<Send>(payload.as_bytes()).and_then(|send| Ok(send.bytes()?.into_owned()))
    }

    #[test]
    fn text_is_sent_as_it_is_and_base64_decoded() {
        assert_eq!(
            bytes(r#"{"id":"a","text":"é\n"}"#).unwrap(),
            "é\n".as_bytes()
        );
        for encoded in ["AP+A", "AP+\\nA\\n", " AP+A"] {
            let payload = format!(r#"{{"id":"a","base64":"{encoded}"}}"#);
            assert_eq!(bytes(&payload).unwrap(), [0, 255, 128], "{encoded}");
        }
        for encoded in ["YQ==", "YQ"] {
            let payload = format!(r#"{{"id":"a","base64":"{encoded}"}}"#);
            assert_eq!(bytes(&payload).unwrap(), b"a", "{encoded}");
        }
        assert_eq!(bytes(r#"{"id":"a","eof":true}"#).unwrap(), b"");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_field() {
        for (fields, field) in [
            ("", "text"),
            (r#","eof":false"#, "text"),
            (r#","text":"a","base64":"YQ==""#, "base64"),
            (r#","base64":"Y""#, "base64"),
            (r#","base64":"YQ==YQ==""#, "base64"),
            (r#","base64":"a-_b""#, "base64"),
        ] {
            let error = bytes(&format!(r#"{{"id":"a"{fields}}}"#)).unwrap_err();
            assert_eq!(error.details()["field"], field, "{fields}");
        }
    }

    #[test]
    fn what_is_sent_is_not_shown() {
        let send: Send = decode(br#"{"id":"a","text":"hunter2"}"#).unwrap();
        assert!(!format!("{send:?}").contains("hunter2"));
    }
}
