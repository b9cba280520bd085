//! JSON objects that are looked into, not built: a line of megabytes may matter for one word of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The members of an object as they were written. A member of another kind than is asked for is as
/// good as absent: what one version of a CLI calls a number may be a text in the next.
#[derive(Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads the object that a text is.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// A member; the last one of that name, as JavaScript has it.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, raw) = self.0.iter().rev().find(|(key, _)| key == name)?;
        Some(raw.get())
    }

    fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// An object among the members; empty if there is none.
    pub(crate) fn object(&self, name: &str) -> Object<'a> {
        self.read(name).unwrap_or_default()
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let raw = self.raw(name)?;
        if !raw.starts_with('"') {
            return None;
        }
        let inner = &raw[1..raw.len() - 1];
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(raw).ok().map(Cow::Owned)
    }

    /// A text that is not empty, for ids.
    pub(crate) fn word(&self, name: &str) -> Option<Cow<'a, str>> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A text, or nothing.
    pub(crate) fn text_or_empty(&self, name: &str) -> Cow<'a, str> {
        self.text(name).unwrap_or_default()
    }

    /// Whether a member is `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.raw(name) == Some("true")
    }

    /// A count.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.read(name)
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.read(name).filter(|number: &f64| number.is_finite())
    }

    /// The objects of an array; others in it are left out.
    pub(crate) fn objects(
        &self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = Object<'a>> + use<'a> {
        let items: Vec<&RawValue> = self.read(name).unwrap_or_default();
        items.into_iter().filter_map(|item| Self::parse(item.get()))
    }

    /// Anything, built; `null` if absent.
    pub(crate) fn value(&self, name: &str) -> Value {
        self.read(name).unwrap_or_default()
    }

    /// Itself, built.
    pub(crate) fn to_value(&self) -> Value {
        let member = |(key, raw): &(Cow<'_, str>, &RawValue)| {
            let value = serde_json::from_str(raw.get()).unwrap_or_default();
            (key.clone().into_owned(), value)
        };
        Value::Object(self.0.iter().map(member).collect())
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            members.push((key, map.next_value()?));
        }
        Ok(Object(members))
    }
}

/// A name, borrowed where it has no escapes; `Cow` by itself would always be copied.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Borrowing<'a>(#[serde(borrow)] Cow<'a, str>);
        Borrowing::deserialize(deserializer).map(|Borrowing(key)| Self(key))
    }
}
