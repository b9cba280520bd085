//! The only place that asks what time it is.
//!
//! Wall-clock time ([`Timestamp`]) is for people and records; it may jump. Waiting is measured
//! on the monotonic clock ([`Deadline`]), which may not.

mod plain;

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC with millisecond precision; text form RFC 3339, `2026-01-31T09:30:00.125Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The present moment by the wall clock.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Milliseconds since 1970-01-01T00:00:00Z, negative before.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 text; finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(millis) = plain::read(text.as_bytes()) {
            return Some(Self(millis));
        }
        let moment = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
        // An offset may move it into a year that has no such text.
        (0..=9999)
            .contains(&moment.year())
            .then(|| Self(moment.timestamp_millis()))
    }

    /// Whether a text has the form in which moments are written here.
    pub(crate) fn is_plain(text: &str) -> bool {
        plain::read(text.as_bytes()).is_some()
    }

    /// The text form, where the year has four digits.
    fn plain_text(self) -> Option<[u8; plain::LEN]> {
        plain::write(self.0)
    }

    /// So long before this moment.
    pub(crate) fn before(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// So many milliseconds after this moment.
    pub(crate) fn after_ms(self, millis: u64) -> Self {
        Self(self.0.saturating_add_unsigned(millis))
    }

    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds from `earlier` to this moment; 0 when the clock was set back in between.
    pub fn millis_since(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(moment: SystemTime) -> Self {
        let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        match moment.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(millis(since)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.plain_text()
            && let Ok(text) = std::str::from_utf8(&text)
        {
            return f.write_str(text);
        }
        let moment = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.plain_text();
        match text.as_ref().map(|text| std::str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not an RFC 3339 timestamp"))
        })
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339, UTC, with milliseconds",
        })
    }
}

/// A moment on the monotonic clock by which something must have happened, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No limit.
    pub const NEVER: Deadline = Deadline(None);

    /// `after` from now; no limit where the clock cannot count that far.
    pub fn after(after: Duration) -> Self {
        Self(Instant::now().checked_add(after))
    }

    /// What is left of it: `None` when there is no limit, zero when it has passed.
    pub fn remaining(self) -> Option<Duration> {
        self.0
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }

    /// The later of the two.
    pub fn later(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.max(b))),
            _ => Self::NEVER,
        }
    }

    /// The earlier of the two.
    pub fn sooner(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }
}

/// Measures how long something took, unmoved by changes of the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since it was started.
    pub fn elapsed_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_has_milliseconds_and_z() {
        let text = "2026-01-31T09:30:00.125Z";
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        assert_eq!(
            Timestamp::parse("2026-01-31T10:30:00.125999+01:00")
                .unwrap()
                .to_string(),
            text
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
        // They would be written in a way in which they cannot be read.
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59-00:01"), None);
        assert_eq!(Timestamp::parse("0000-01-01T00:00:00+00:01"), None);
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_duration() {
        let (early, late) = (Timestamp(5), Timestamp(9));
        assert_eq!(late.millis_since(early), 4);
        assert_eq!(early.millis_since(late), 0);
    }

    #[test]
    fn never_is_later_than_any_deadline() {
        let soon = Deadline::after(Duration::ZERO);
        assert!(soon.has_passed());
        assert_eq!(Deadline::NEVER.sooner(soon), soon);
        assert!(!Deadline::NEVER.has_passed());
    }
}
