//! The end of what a run printed that was no event.

/// How much of it is shown, in bytes.
const SHOWN: usize = 4 << 10;
/// How much of it is searched for a reason, in bytes.
const SEARCHED: usize = 16 << 10;

/// The last lines.
#[derive(Default)]
pub(crate) struct Tail {
    text: String,
    /// Where the lines begin that came after the last progress.
    fresh: usize,
}

impl Tail {
    /// Adds a line.
    pub(crate) fn push(&mut self, line: &str) {
        self.text.push_str(last(line, SEARCHED));
        self.text.push('\n');
        let surplus = self.text.len() - last(&self.text, SEARCHED).len();
        // Not with every line: what is behind moves.
        if surplus > SEARCHED {
            self.text.drain(..surplus);
            self.fresh = self.fresh.saturating_sub(surplus);
        }
    }

    /// The run went on, so that the lines so far do not tell how it ended.
    pub(crate) fn progress(&mut self) {
        self.fresh = self.text.len();
    }

    /// The lines since.
    pub(crate) fn since_progress(&self) -> &str {
        last(&self.text[self.fresh..], SEARCHED)
    }

    /// All of them.
    pub(crate) fn whole(&self) -> &str {
        last(&self.text, SEARCHED)
    }

    /// What is shown.
    pub(crate) fn shown(&self) -> &str {
        last(&self.text, SHOWN)
    }
}

fn last(text: &str, size: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(size))..]
}
