//! Signals by name: numbers differ between systems, names do not.

use std::borrow::Cow;
use std::fmt;

use nix::sys::signal::Signal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A signal that may be sent to a task or that ended one; text form `SIGTERM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalNumber(i32);

/// The largest signal number of any system: `SIGRTMAX` on Linux. Schemas are the same everywhere.
const LARGEST_ANYWHERE: i32 = 64;
/// The largest signal number; macOS ends at 31.
const LARGEST: i32 = if cfg!(target_os = "linux") {
    LARGEST_ANYWHERE
} else {
    31
};

/// Which processes of a task get a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// The main process.
    #[default]
    Main,
    /// Every process.
    Tree,
}

impl SignalNumber {
    /// The polite request to end.
    pub const TERM: SignalNumber = SignalNumber(Signal::SIGTERM as i32);
    /// The end that no process can refuse.
    pub const KILL: SignalNumber = SignalNumber(Signal::SIGKILL as i32);
    /// Wakes a supervisor for a wish.
    pub(crate) const USR1: SignalNumber = SignalNumber(Signal::SIGUSR1 as i32);
    /// Stands still until SIGCONT.
    pub const STOP: SignalNumber = SignalNumber(Signal::SIGSTOP as i32);
    /// Goes on after a stop.
    pub const CONT: SignalNumber = SignalNumber(Signal::SIGCONT as i32);

    /// The number on this system, 1 to 64.
    pub fn number(self) -> i32 {
        self.0
    }

    /// Takes a number as the kernel reports it.
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=LARGEST).contains(&number).then_some(Self(number))
    }

    /// Reads `SIGTERM`, `TERM`, `term`, `15` or `SIG35` (for a signal without a name).
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Ok(number) = bare.parse::<i32>() {
            return Self::from_number(number);
        }
        let named: Signal = format!("SIG{bare}").parse().ok()?;
        Some(Self(named as i32))
    }
}

impl fmt::Display for SignalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Signal::try_from(self.0) {
            Ok(named) => f.write_str(named.as_str()),
            Err(_) => write!(f, "SIG{}", self.0),
        }
    }
}

impl Serialize for SignalNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SignalNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrNumber)
    }
}

struct NameOrNumber;

impl Visitor<'_> for NameOrNumber {
    type Value = SignalNumber;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signal name such as SIGTERM")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SignalNumber, E> {
        SignalNumber::parse(text)
            .ok_or_else(|| E::custom(format!("`{text}` is not a signal name such as SIGTERM")))
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<SignalNumber, E> {
        i32::try_from(number)
            .ok()
            .and_then(SignalNumber::from_number)
            .ok_or_else(|| E::custom(format!("{number} is not the number of a signal")))
    }
}

impl JsonSchema for SignalNumber {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Signal".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let read = generator.contract().is_deserialize();
        let mut schema = json_schema!({
            "type": if read { &["string", "integer"][..] } else { &["string"] },
            "description": "A signal name such as SIGTERM; TERM and 15 are read as well",
            "examples": ["SIGTERM", "SIGINT", "SIGKILL"],
        });
        if read {
            schema.insert("minimum".to_owned(), 1.into());
            schema.insert("maximum".to_owned(), LARGEST_ANYWHERE.into());
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_prefix_and_numbers() {
        for text in ["SIGTERM", "TERM", "term", "15"] {
            assert_eq!(
                SignalNumber::parse(text),
                Some(SignalNumber::TERM),
                "{text}"
            );
        }
        for text in ["", "SIG", "SIGNOPE", "0", "65", "-9", "SIG0"] {
            assert_eq!(SignalNumber::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_signal_survives_its_text_form() {
        for number in 1..=LARGEST {
            let signal = SignalNumber::from_number(number).unwrap();
            assert_eq!(SignalNumber::parse(&signal.to_string()), Some(signal));
        }
    }
}
