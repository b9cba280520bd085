//! One line of a terminal: what is left when everything in it has been carried out.
//!
//! Characters are put at the cursor, `\r` and `\b` move it, and so do the CSI sequences that move,
//! erase, insert or delete within a line. Colours, titles, links and other control characters show
//! nothing.
//!
//! Some things are simpler than in a terminal:
//!
//! - **Redraws.** Text that is drawn right behind a `\r` is the new state of the line, all of it. In
//!   a terminal the tail of a longer text before would stay; tools that mean their reader well pad
//!   or erase it, and of the others nobody wants to read `Doneloading`. What moves the cursor first
//!   changes the line where it gets to, and leaves the rest.
//! - **Width.** Every character is one column wide, but for those that modify the one before.
//!   A tab stays a tab; only what is drawn over it turns it into blanks.
//! - **Rows.** There is only one. What is put into another row (the bars of `docker pull`, the
//!   status line of `apt`) does not mix with what is there: it replaces it where it would overlap.
//! - **The right edge** is unknown: a sequence moves to column 80 at most, or to the end of the
//!   text, and no line wraps.

use std::cmp::Ordering;

use super::cells::Cells;
use super::clip::Clip;
use super::escape::Params;

/// How far to the right a sequence moves if there is no text.
const WIDTH: usize = 80;
/// Columns from one tab stop to the next.
const TAB: usize = 8;
/// Behind the rows that are counted from the one that the line began in, which is 0, those that
/// are counted from the top of the screen.
const TOP: i64 = 1 << 32;

/// Where the next character goes.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    column: usize,
    row: i64,
}

/// The line and its cursor.
#[derive(Debug)]
pub(super) struct TerminalLine {
    cells: Cells,
    /// The row in which they are.
    row: i64,
    cursor: Cursor,
    saved: Cursor,
    /// A `\r` was the last thing that moved the cursor.
    returned: bool,
}

impl TerminalLine {
    /// Remembers as much as is needed to show `shown_bytes` of it.
    pub(super) fn new(shown_bytes: usize) -> Self {
        Self {
            cells: Cells::new(shown_bytes),
            row: 0,
            cursor: Cursor::default(),
            saved: Cursor::default(),
            returned: false,
        }
    }

    /// Begins another line.
    pub(super) fn clear_for_next(&mut self) {
        self.cells.clear_for_next();
        self.row = 0;
        self.cursor = Cursor::default();
        self.saved = Cursor::default();
        self.returned = false;
    }

    /// Text, and the control characters in it.
    pub(super) fn print(&mut self, text: &str) {
        let mut rest = text;
        loop {
            let run = rest.bytes().position(|byte| !matches!(byte, b' '..=b'~'));
            let (run, behind) = rest.split_at(run.unwrap_or(rest.len()));
            if !run.is_empty() {
                let column = self.prepare();
                self.cells.put_run(column, run.as_bytes());
                self.cursor.column += run.len();
            }
            let mut others = behind.chars();
            match others.next() {
                None => return,
                Some(control) if control.is_control() => self.control(control),
                Some(character) => self.put(character),
            }
            rest = others.as_str();
        }
    }

    /// A control character.
    pub(super) fn control(&mut self, control: char) {
        self.returned = control == '\r' || self.returned && !matches!(control, '\u{8}'..='\u{c}');
        match control {
            '\r' => self.cursor.column = 0,
            '\u{8}' => self.move_left(1),
            '\t' => self.tab(),
            // Vertical tab and form feed.
            '\u{b}' | '\u{c}' => self.move_rows(1),
            _ => {}
        }
    }

    /// `ESC` and a letter or digit.
    pub(super) fn escape(&mut self, command: u8) {
        match command {
            b'7' => self.saved = self.cursor,
            b'8' => self.cursor = self.saved,
            b'D' => self.move_rows(1),
            b'E' => {
                self.move_rows(1);
                self.cursor.column = 0;
            }
            b'M' => self.move_rows(-1),
            _ => {}
        }
    }

    /// A CSI sequence without special characters.
    pub(super) fn csi(&mut self, command: u8, params: Params) {
        // Colours move nothing; neither does erasing.
        self.returned &= matches!(command, b'm' | b'K' | b'J');
        let count = params.count(0);
        let rows = i64::from(params.value(0).max(1));
        match command {
            b'C' | b'a' => self.move_to(self.cursor.column.saturating_add(count)),
            b'D' => self.move_left(count),
            b'G' | b'`' => self.move_to(count - 1),
            b'A' => self.move_rows(-rows),
            b'B' | b'e' => self.move_rows(rows),
            b'E' | b'F' => {
                self.move_rows(if command == b'E' { rows } else { -rows });
                self.cursor.column = 0;
            }
            b'H' | b'f' => {
                self.cursor.row = TOP + rows;
                self.move_to(params.count(1) - 1);
            }
            b'd' => self.cursor.row = TOP + rows,
            b's' => self.saved = self.cursor,
            b'u' => self.cursor = self.saved,
            b'J' => self.erase_in_screen(params.value(0)),
            _ if self.cursor.row == self.row => self.change(command, params),
            _ => {}
        }
    }

    /// What is left in the end. `drop_padding`: without the blanks at its end if it was drawn
    /// several times.
    pub(super) fn read(&self, drop_padding: bool, clip: &mut Clip) {
        self.cells.read(drop_padding, clip);
    }

    fn put(&mut self, character: char) {
        let Cursor { column, row } = self.cursor;
        let is_mark = modifies_previous(character) && column > 0 && row == self.row;
        if is_mark && self.cells.put_mark(column - 1, character) {
            return;
        }
        let column = self.prepare();
        self.cells.put(column, character);
        self.cursor.column += 1;
    }

    /// Makes the cursor's row the one that is kept; gives the column to draw in.
    fn prepare(&mut self) -> usize {
        let Cursor { column, row } = self.cursor;
        let replaces = row != self.row && column < self.cells.length();
        if replaces || self.returned {
            self.cells.truncate(0);
        }
        self.returned = false;
        self.row = row;
        column
    }

    /// At the end of the text a tab is put there; within it, it only moves.
    fn tab(&mut self) {
        let column = self.cursor.column;
        let stop = (column / TAB + 1) * TAB;
        if column == self.cells.length() {
            self.row = self.cursor.row;
            self.cells.append_tab(stop);
        }
        self.move_to(stop);
    }

    fn move_to(&mut self, column: usize) {
        let edge = self.cells.length().max(self.cursor.column).max(WIDTH);
        self.cursor.column = column.min(edge);
    }

    fn move_left(&mut self, columns: usize) {
        self.cursor.column = self.cursor.column.saturating_sub(columns);
    }

    fn move_rows(&mut self, rows: i64) {
        self.cursor.row = self.cursor.row.saturating_add(rows);
    }

    /// Carries out what changes the row of the cursor, which is the one that is kept.
    fn change(&mut self, command: u8, params: Params) {
        let column = self.cursor.column;
        let behind = column.saturating_add(params.count(0));
        match (command, params.value(0)) {
            (b'K', 0) => self.cells.truncate(column),
            (b'K', 1) => self.cells.blank_out(0, column + 1),
            (b'K', 2) => self.cells.truncate(0),
            (b'X', _) => self.cells.blank_out(column, behind),
            (b'P', _) => self.cells.delete(column, behind),
            (b'@', count) => self
                .cells
                .insert(column, usize::from(count.max(1)).min(WIDTH)),
            _ => {}
        }
    }

    fn erase_in_screen(&mut self, what: u16) {
        match (what, self.cursor.row.cmp(&self.row)) {
            (0, Ordering::Equal) => self.cells.truncate(self.cursor.column),
            (1, Ordering::Equal) => self.cells.blank_out(0, self.cursor.column + 1),
            (0, Ordering::Less) | (1, Ordering::Greater) | (2, _) => self.cells.truncate(0),
            _ => {}
        }
    }
}

/// Whether a character has no column of its own: accents, what joins emoji or chooses their look.
/// Only the common ones; the others have a column each.
fn modifies_previous(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{200b}'..='\u{200f}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}'
        | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0100}'..='\u{e01ef}')
}
