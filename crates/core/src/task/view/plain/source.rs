//! Reading a record as text: what is copied is what would be made of its value.

use crate::clock::Timestamp;

pub(super) const NULL: &str = "null";
/// What fits 32 and 64 bits, whatever the digits.
pub(super) const SHORT: usize = 9;
pub(super) const LONG: usize = 19;
pub(super) const BOOL: &[&str] = &["false", "true"];
pub(super) const SIGNALS: &[&str] = &[
    r#""SIGTERM""#,
    r#""SIGKILL""#,
    r#""SIGINT""#,
    r#""SIGHUP""#,
    r#""SIGQUIT""#,
    r#""SIGABRT""#,
    r#""SIGSEGV""#,
    r#""SIGPIPE""#,
    r#""SIGUSR1""#,
    r#""SIGUSR2""#,
];

pub(super) struct Strings<'a> {
    pub(super) text: &'a str,
    pub(super) items: Vec<&'a str>,
}

/// What is still to be read of a record.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    rest: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn of(record: &'a str) -> Self {
        Self { rest: record }
    }

    /// Nothing but this is left.
    pub(super) fn end(&self, text: &str) -> Option<()> {
        (self.rest == text).then_some(())
    }

    pub(super) fn skip(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// What is read behind a text.
    pub(super) fn field<T>(
        &mut self,
        before: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        self.skip(before)?;
        read(self)
    }

    /// The text of what is read.
    pub(super) fn all_of<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<&'a str> {
        let before = self.rest;
        read(self)?;
        before.get(..before.len() - self.rest.len())
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// A string in which nothing is escaped, nor would be.
    pub(super) fn string(&mut self) -> Option<&'a str> {
        let inside = self.rest.strip_prefix('"')?.as_bytes();
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
        let end = inside.iter().position(is_special)?;
        (inside[end] == b'"').then(|| self.take(end + 2)).flatten()
    }

    pub(super) fn number(&mut self, most_digits: usize) -> Option<&'a str> {
        let is_digit = |byte: &&u8| byte.is_ascii_digit();
        let len = self.rest.as_bytes().iter().take_while(is_digit).count();
        let fits = len == 1 || (2..=most_digits).contains(&len) && !self.rest.starts_with('0');
        fits.then(|| self.take(len)).flatten()
    }

    pub(super) fn moment(&mut self) -> Option<&'a str> {
        let moment = self.string()?;
        Timestamp::is_plain(inside(moment)).then_some(moment)
    }

    pub(super) fn or_null(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<&'a str>,
    ) -> Option<&'a str> {
        match self.skip(NULL) {
            Some(()) => Some(NULL),
            None => read(self),
        }
    }

    pub(super) fn count(&mut self) -> Option<&'a str> {
        self.or_null(|it| it.number(LONG))
    }

    pub(super) fn one_of(&mut self, words: &[&str]) -> Option<&'a str> {
        let word = words.iter().find(|word| self.rest.starts_with(**word))?;
        self.take(word.len())
    }

    pub(super) fn strings(&mut self) -> Option<Strings<'a>> {
        let mut items = Vec::new();
        let text = self.all_of(|it| {
            it.skip("[")?;
            while it.skip("]").is_none() {
                if !items.is_empty() {
                    it.skip(",")?;
                }
                items.push(inside(it.string()?));
            }
            Some(())
        })?;
        Some(Strings { text, items })
    }

    /// The names of variables, in the order in which they are shown.
    pub(super) fn names(&mut self) -> Option<Vec<&'a str>> {
        let mut names: Vec<&str> = Vec::new();
        self.skip("{")?;
        while self.skip("}").is_none() {
            if !names.is_empty() {
                self.skip(",")?;
            }
            let name = self.string()?;
            if names
                .last()
                .is_some_and(|last| inside(last) >= inside(name))
            {
                return None;
            }
            self.field(":", Self::string)?;
            names.push(name);
        }
        Some(names)
    }

    pub(super) fn stop(&mut self) -> Option<()> {
        self.field(r#"{"signal":"#, |it| it.one_of(SIGNALS))?;
        self.field(r#","grace_ms":"#, |it| it.number(LONG))?;
        self.skip("}")
    }

    pub(super) fn limits(&mut self) -> Option<()> {
        self.field(r#"{"log_bytes":"#, |it| it.number(LONG))?;
        self.field(r#","memory_bytes":"#, Self::count)?;
        self.field(r#","cpu_percent":"#, |it| it.or_null(|it| it.number(SHORT)))?;
        self.field(r#","processes":"#, |it| it.or_null(|it| it.number(SHORT)))?;
        self.field(r#","open_files":"#, Self::count)?;
        self.skip("}")
    }

    pub(super) fn restart(&mut self) -> Option<()> {
        let policies = [r#""never""#, r#""on_failure""#, r#""always""#];
        let delays = [r#""constant""#, r#""linear""#, r#""exponential""#];
        self.field(r#"{"policy":"#, |it| it.one_of(&policies))?;
        self.field(r#","max_retries":"#, |it| it.number(SHORT))?;
        self.field(r#","delay_ms":"#, |it| it.number(LONG))?;
        self.field(r#","backoff":"#, |it| it.one_of(&delays))?;
        self.field(r#","max_delay_ms":"#, |it| it.number(LONG))?;
        self.field(r#","reset_after_ms":"#, |it| it.number(LONG))?;
        self.skip("}")
    }
}

/// What is between the quotes of a string.
pub(super) fn inside(string: &str) -> &str {
    string.get(1..string.len().saturating_sub(1)).unwrap_or("")
}

pub(super) fn text(value: &str) -> Option<&str> {
    (value != NULL).then(|| inside(value))
}
