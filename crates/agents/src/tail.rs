//! The end of what a run printed that was no event.

/// How much of it is kept, in bytes.
const KEPT: usize = 4096;

/// The last 4 KiB.
#[derive(Default)]
pub(crate) struct Tail(String);

impl Tail {
    /// Adds a line.
    pub(crate) fn push(&mut self, line: &str) {
        self.0.push_str(last(line));
        self.0.push('\n');
        if self.0.len() > 4 * KEPT {
            self.0 = last(&self.0).to_owned();
        }
    }

    /// All that is kept.
    pub(crate) fn into_text(self) -> String {
        last(&self.0).to_owned()
    }
}

fn last(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(KEPT))..]
}
