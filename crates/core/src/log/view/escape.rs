//! Where escape sequences end, and what they ask for.
//!
//! The transitions are `anstyle-parse`'s table. Its function is used rather than its parser, or
//! `vte`'s: those do not tell whether a sequence is open, and `vte` searches for the next one with
//! memchr, whose first call costs more than most answers (see `find_newline`).

use anstyle_parse::state::{Action, State, state_change};

/// What every sequence begins with.
pub(super) const ESC: u8 = 0x1b;

/// Numbers in a sequence that anyone here asks for.
const NUMBERS: usize = 2;

/// A sequence, as far as it is known; none at first.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    state: State,
    params: Params,
    /// The number that is being read.
    reading: usize,
    /// Whether it has `?`, `(` or the like in it: it then means something else altogether.
    is_special: bool,
}

/// The numbers of a CSI sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Params([u16; NUMBERS]);

/// What a byte of a sequence did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing that a line shows.
    Nothing,
    /// A control character, carried out within the sequence.
    Control(u8),
    /// `ESC` and this.
    Escape(u8),
    /// `ESC [`, numbers and this.
    Csi(u8, Params),
    /// The sequence was broken off, the byte is not part of it.
    Text,
}

impl Params {
    /// A number as it is; 0 if it is not there.
    pub(super) fn value(self, index: usize) -> u16 {
        self.0[index]
    }

    /// A number of columns or rows, or a position counted from 1: at least 1.
    pub(super) fn count(self, index: usize) -> usize {
        usize::from(self.0[index].max(1))
    }
}

impl Sequence {
    /// An `ESC` was read. Within a sequence it begins another.
    pub(super) fn open(&mut self) {
        *self = Self {
            state: State::Escape,
            ..Self::default()
        };
    }

    pub(super) fn is_open(&self) -> bool {
        self.state != State::Ground
    }

    /// Whether it is one that holds text of any length, up to a terminator.
    pub(super) fn is_string(&self) -> bool {
        matches!(
            self.state,
            State::OscString
                | State::SosPmApcString
                | State::DcsEntry
                | State::DcsIgnore
                | State::DcsIntermediate
                | State::DcsParam
                | State::DcsPassthrough
        )
    }

    /// The next byte of an open sequence.
    pub(super) fn step(&mut self, byte: u8) -> Step {
        if byte == ESC {
            self.open();
            return Step::Nothing;
        }
        if !byte.is_ascii() {
            // Part of a character: of a title, say. Elsewhere no sequence has one. The table
            // knows 0x9C as a terminator, but in UTF-8 that is the end of a check mark.
            if self.is_string() {
                return Step::Nothing;
            }
            self.state = State::Ground;
            return Step::Text;
        }
        let (next, action) = state_change(self.state, byte);
        if next != State::Anywhere {
            self.state = next;
        }
        match action {
            Action::Execute => return Step::Control(byte),
            Action::Collect => self.is_special = true,
            Action::Param => self.read_number(byte),
            Action::EscDispatch if byte == b'k' && !self.is_special => {
                // A window title of screen and tmux, which ends like an OSC.
                self.state = State::SosPmApcString;
            }
            Action::EscDispatch if !self.is_special => return Step::Escape(byte),
            Action::CsiDispatch if !self.is_special => return Step::Csi(byte, self.params),
            _ => {}
        }
        Step::Nothing
    }

    fn read_number(&mut self, byte: u8) {
        if !byte.is_ascii_digit() {
            self.reading += 1;
        } else if let Some(number) = self.params.0.get_mut(self.reading) {
            let digit = u16::from(byte - b'0');
            *number = number.saturating_mul(10).saturating_add(digit);
        }
    }
}
