//! A moment as callers give it.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::clock::Timestamp;

/// A moment: RFC 3339, or how long ago it was (`"90s"`, `"5m"`, `"2h"`, `"1d"`, `"250ms"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// By the clock.
    At(Timestamp),
    /// Before now.
    Ago(Duration),
}

impl Moment {
    /// Reads either form.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Timestamp::parse(text).map(Self::At),
        };
        let millis = number.parse::<u64>().ok()?.checked_mul(millis)?;
        Some(Self::Ago(Duration::from_millis(millis)))
    }

    /// By the clock.
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(duration) => now.before(duration),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is neither an RFC 3339 timestamp nor a time ago such as 90s, 5m, 2h or 1d"
            ))
        })
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "RFC 3339, or how long ago: a number and ms, s, m, h or d",
            "anyOf": [{ "format": "date-time" }, { "pattern": "^[0-9]+(ms|s|m|h|d)$" }],
            "examples": ["5m", "2026-11-21T16:03:43.657Z"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let ago = |millis| Some(Moment::Ago(Duration::from_millis(millis)));
        assert_eq!(Moment::parse("5m"), ago(300_000));
        assert_eq!(Moment::parse("250ms"), ago(250));
        assert_eq!(Moment::parse("1d"), ago(86_400_000));
        let text = "2026-01-31T09:30:00.125Z";
        assert_eq!(Moment::parse(text), Timestamp::parse(text).map(Moment::At));
        for text in [
            "",
            "m",
            "5",
            "-5m",
            "5 m",
            "yesterday",
            "99999999999999999999s",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
