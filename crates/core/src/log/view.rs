//! What a reader is shown of a line: the text that a terminal would have ended with, or the bytes.
//!
//! ```text
//! bytes -> escape (sequences) -> decode (UTF-8) -> clean (a terminal's line) -> clip -> text
//! ```
//!
//! Most lines are plain; [`plain`] proves it and they are handed on as they are.

mod cells;
mod clean;
mod clip;
mod decode;
mod escape;
mod plain;
mod settled;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use clean::TerminalLine;
use clip::Clip;
use decode::Decoder;
use escape::{ESC, Sequence, Step};

pub(crate) use settled::settled_length;

/// How lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// What a terminal would show in the end: no escape sequences, of a line that was drawn
    /// several times the last state.
    #[default]
    Clean,
    /// As it was written, escape sequences included.
    Raw,
}

impl View {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Clean, Self::Raw];
}

/// Turns lines into text. One per reader: it keeps its buffers from line to line.
#[derive(Debug)]
pub(crate) struct Renderer {
    view: View,
    decoder: Decoder,
    sequence: Sequence,
    line: TerminalLine,
    clip: Clip,
}

/// A line as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    /// The text, with a mark at its end if it was cut.
    pub text: &'a str,
    /// Whether it was cut.
    pub clipped: bool,
}

impl Renderer {
    /// Text over `max_line_bytes` is cut. In [`View::Clean`] that is the length of what is left
    /// when escape sequences and redraws are gone.
    pub(crate) fn new(view: View, max_line_bytes: usize) -> Self {
        Self {
            view,
            decoder: Decoder::default(),
            sequence: Sequence::default(),
            line: TerminalLine::new(max_line_bytes),
            clip: Clip::new(max_line_bytes),
        }
    }

    /// A line that is wholly in memory, without its `\n`; `ended` tells whether there is one. What
    /// needs no change is lent on.
    pub(crate) fn whole<'a>(&'a mut self, line: &'a [u8], ended: bool) -> Shown<'a> {
        let unchanged = match self.view {
            View::Clean => plain::plain_text(line.strip_suffix(b"\r").unwrap_or(line)),
            View::Raw => std::str::from_utf8(line).ok(),
        };
        match unchanged {
            Some(text) if text.len() <= self.clip.limit() => Shown {
                text,
                clipped: false,
            },
            Some(text) => {
                self.clip.clear();
                self.clip.push_str(text);
                self.clip.shown()
            }
            None => {
                self.begin();
                self.feed(line);
                self.finish(ended)
            }
        }
    }

    /// The lines at the beginning of a block that are shown as they are stored, at most `most`, each
    /// with its `\n`; where each of them ends.
    pub(crate) fn plain_lines<'a>(
        &self,
        block: &'a [u8],
        most: usize,
        ends: &mut Vec<u32>,
    ) -> &'a str {
        let is_clean = self.view == View::Clean;
        plain::plain_lines(block, is_clean, (most, self.clip.limit()), ends)
    }

    /// Begins a line that comes in pieces: `begin`, `feed` as often as needed, `finish`. What is
    /// kept of it is bounded, however long it is.
    pub(crate) fn begin(&mut self) {
        self.decoder = Decoder::default();
        self.sequence = Sequence::default();
        self.line.clear_for_next();
        self.clip.clear();
    }

    /// The next bytes of the line, split anywhere.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        match self.view {
            View::Raw => {
                let clip = &mut self.clip;
                self.decoder.decode(piece, |text| clip.push_str(text));
            }
            View::Clean => self.feed_terminal(piece),
        }
    }

    /// The line is over; `ended` tells whether by a `\n`.
    ///
    /// The blanks at the end of a line that was drawn several times are what a tool wrote over the
    /// longer text before; they go. They stay in a line that was drawn once, and in one that may
    /// go on behind them.
    pub(crate) fn finish(&mut self, ended: bool) -> Shown<'_> {
        let (line, clip) = (&mut self.line, &mut self.clip);
        match self.view {
            View::Raw => self.decoder.finish(|text| clip.push_str(text)),
            View::Clean => {
                self.decoder.finish(|text| line.print(text));
                line.read(ended, clip);
            }
        }
        clip.shown()
    }

    fn feed_terminal(&mut self, piece: &[u8]) {
        let line = &mut self.line;
        let mut rest = piece;
        while let Some((&byte, behind)) = rest.split_first() {
            if self.sequence.is_open() {
                match self.sequence.step(byte) {
                    Step::Nothing => {}
                    Step::Control(control) => line.control(char::from(control)),
                    Step::Escape(command) => line.escape(command),
                    Step::Csi(command, params) => line.csi(command, params),
                    // Nothing of it was used up: it is the first byte of text.
                    Step::Text => continue,
                }
                rest = behind;
            } else if byte == ESC {
                self.decoder.finish(|text| line.print(text));
                self.sequence.open();
                rest = behind;
            } else {
                let length = rest.iter().position(|&byte| byte == ESC);
                let (text, behind) = rest.split_at(length.unwrap_or(rest.len()));
                self.decoder.decode(text, |text| line.print(text));
                rest = behind;
            }
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
