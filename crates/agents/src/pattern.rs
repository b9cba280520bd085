//! Patterns over bytes, letters of either case alike. What they look for is ASCII; without the tables
//! of Unicode they compile in a fraction of the time, which every short run would pay for.

use regex::bytes::{RegexSet, RegexSetBuilder};

/// Several fixed ones, which are looked for in one pass.
pub(crate) fn patterns<'a>(texts: impl IntoIterator<Item = &'a str>) -> RegexSet {
    RegexSetBuilder::new(texts)
        .unicode(false)
        .case_insensitive(true)
        .build()
        .expect("the patterns are fixed")
}
