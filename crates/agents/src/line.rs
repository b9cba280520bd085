//! From the bytes of a line to what a reader is given.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr, memmem};
use regex::Regex;

use crate::object::Object;

/// What a line is.
pub(crate) enum Line<'a> {
    /// A JSON object with a `type`.
    Json(&'a str, Object<'a>),
    /// Anything else: banners, warnings, lines that were cut.
    Plain(&'a str),
}

/// A line without what terminals and pipes add to it: colours, `data: `, CR, BOM.
pub(crate) struct Cleaned<'a>(Cow<'a, str>);

impl<'a> Cleaned<'a> {
    /// Bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn new(raw: &'a [u8]) -> Self {
        let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
        // Looking for what is wrong is three times as slow as finding that nothing is.
        let mut text = match str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(raw),
        };
        if memchr(0x1b, raw).is_some() {
            text = Cow::Owned(ESCAPES.replace_all(&text, "").into_owned());
        }
        if [br"\ud", br"\uD"]
            .iter()
            .any(|half| memmem::find(text.as_bytes(), *half).is_some())
        {
            text = pair_surrogates(text);
        }
        Self(text)
    }

    /// Looks at it.
    pub(crate) fn line(&self) -> Line<'_> {
        let text = self.0.trim();
        let json = text.strip_prefix("data: ").unwrap_or(text).trim_start();
        if json.starts_with('{')
            && let Some(object) = Object::parse(json)
            && let Some(kind) = object.raw("type").and_then(plain_string)
        {
            return Line::Json(kind, object);
        }
        Line::Plain(self.0.trim_end())
    }
}

/// No CLI escapes anything in the names of its types.
fn plain_string(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// Control sequences, titles and the like, and single escapes.
static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|\x1b")
        .expect("the pattern is fixed")
});

/// Programs in JavaScript cut texts between the halves of a character and write `\ud83d` alone,
/// which is no character: without this a whole tool result would be lost for it.
fn pair_surrogates(text: Cow<'_, str>) -> Cow<'_, str> {
    static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\\(?:u(d[89ab][0-9a-f]{2})(\\ud[c-f][0-9a-f]{2})?|u(d[c-f][0-9a-f]{2})|.)")
            .expect("the pattern is fixed")
    });
    let alone = |found: &regex::Captures<'_>| {
        (found.get(1).is_some() && found.get(2).is_none()) || found.get(3).is_some()
    };
    if !ESCAPE.captures_iter(&text).any(|found| alone(&found)) {
        return text;
    }
    let mended = ESCAPE.replace_all(&text, |found: &regex::Captures<'_>| {
        if alone(found) {
            r"\ufffd".to_owned()
        } else {
            found[0].to_owned()
        }
    });
    Cow::Owned(mended.into_owned())
}
