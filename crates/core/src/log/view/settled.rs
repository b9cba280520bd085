//! How much of an unfinished line can be told apart from what will follow.

use super::View;
use super::decode::half_character;
use super::escape::{ESC, Sequence};

/// A sequence that is longer than this is no sequence, or one of those that carry pictures.
const LONGEST: usize = 256;

/// How many bytes of an unfinished line (what stands behind the last `\n`) can be given to a reader
/// now, so that one that goes on behind them meets no rest of an escape sequence, no half
/// character, and no `\n` whose `\r` has gone before. In [`View::Raw`] only half characters are
/// held back. At most 256 bytes are: what is still not complete then never will be.
pub(crate) fn settled_length(view: View, unfinished: &[u8]) -> usize {
    let open = match view {
        View::Clean => open_sequence(unfinished),
        View::Raw => None,
    };
    open.unwrap_or_else(|| {
        let held = half_character(unfinished)
            + usize::from(view == View::Clean && unfinished.ends_with(b"\r"));
        unfinished.len() - held
    })
}

/// Where the sequence begins that is not complete.
fn open_sequence(unfinished: &[u8]) -> Option<usize> {
    // An `ESC` means the same after anything, so looking at the end of the line is enough.
    let from = unfinished.len().saturating_sub(LONGEST);
    let mut sequence = Sequence::default();
    let mut begin = None;
    let mut terminator = None;
    for (at, &byte) in (from..).zip(&unfinished[from..]) {
        if byte == ESC {
            if sequence.is_string() {
                // With a `\` it ends the string, with anything else it begins a sequence.
                terminator = Some(at);
            } else {
                (begin, terminator) = (Some(at), None);
            }
            sequence.open();
        } else if sequence.is_open() {
            if let Some(at) = terminator.take()
                && byte != b'\\'
            {
                begin = Some(at);
            }
            sequence.step(byte);
        }
    }
    begin.filter(|_| sequence.is_open())
}
