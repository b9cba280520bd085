//! What stands in the columns of a line, the left ones of which are kept.

use super::clip::Clip;

/// Cells that are kept beyond those that can be shown, so that padding that will go does not count
/// as text that was cut.
const SPARE: usize = 1024;
/// The rest of a tab's columns.
const IN_TAB: char = '\0';
const BLANK: Cell = Cell::new(' ');

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    character: char,
    /// An accent or the like on it; a second one gets a cell.
    mark: Option<char>,
}

impl Cell {
    const fn new(character: char) -> Self {
        Self {
            character,
            mark: None,
        }
    }

    fn is_in_tab(&self) -> bool {
        self.character == IN_TAB
    }

    fn length(self) -> usize {
        match self.character {
            IN_TAB => 0,
            character => character.len_utf8() + self.mark.map_or(0, char::len_utf8),
        }
    }
}

/// Columns from 0 on, without gaps.
#[derive(Debug)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    /// How many are kept; what is further to the right is only counted.
    kept: usize,
    /// How many are only counted.
    counted: usize,
    /// How long their text is. Drawn over, they count as what they were at first.
    counted_bytes: u64,
    /// Whether anything was drawn over or erased.
    redrawn: bool,
}

impl Cells {
    /// Keeps what is needed to show `shown_bytes`.
    pub(super) fn new(shown_bytes: usize) -> Self {
        Self {
            cells: Vec::new(),
            kept: shown_bytes.saturating_add(SPARE),
            counted: 0,
            counted_bytes: 0,
            redrawn: false,
        }
    }

    pub(super) fn clear_for_next(&mut self) {
        self.cells.clear();
        self.counted = 0;
        self.counted_bytes = 0;
        self.redrawn = false;
    }

    /// Columns that hold something.
    pub(super) fn length(&self) -> usize {
        self.cells.len() + self.counted
    }

    /// Hands the text over, but for the blanks at its end if they are padding.
    pub(super) fn read(&self, drop_padding: bool, clip: &mut Clip) {
        let mut cells = self.cells.as_slice();
        if drop_padding && self.redrawn && self.counted == 0 {
            while let [before @ .., BLANK] = cells {
                cells = before;
            }
        }
        for cell in cells.iter().filter(|cell| !cell.is_in_tab()) {
            clip.push(cell.character);
            if let Some(mark) = cell.mark {
                clip.push(mark);
            }
        }
        clip.leave_out(self.counted_bytes);
    }

    /// Puts a character into a column, behind blanks if the text does not reach that far.
    pub(super) fn put(&mut self, column: usize, character: char) {
        self.pad(column);
        if column == self.length() {
            return self.append(Cell::new(character));
        }
        self.draw_over(column, column + 1);
        if let Some(old) = self.cells.get_mut(column) {
            *old = Cell::new(character);
        }
    }

    /// The same for ASCII characters, all at once: most text comes as such a run.
    pub(super) fn put_run(&mut self, column: usize, run: &[u8]) {
        self.pad(column);
        let cell = |byte: &u8| Cell::new(char::from(*byte));
        let overlap = run.len().min(self.length() - column);
        if overlap > 0 {
            self.draw_over(column, column + overlap);
        }
        let (over, behind) = run.split_at(overlap);
        let old = self.cells.iter_mut().skip(column);
        old.zip(over).for_each(|(old, byte)| *old = cell(byte));
        let room = behind.len().min(self.kept - self.cells.len());
        self.cells.extend(behind[..room].iter().map(cell));
        self.counted += behind.len() - room;
        self.counted_bytes += (behind.len() - room) as u64;
    }

    /// Puts a tab at the end that reaches up to `stop`.
    pub(super) fn append_tab(&mut self, stop: usize) {
        self.append(Cell::new('\t'));
        while self.length() < stop {
            self.append(Cell::new(IN_TAB));
        }
    }

    /// Sets an accent on a character; false if there is none, or if it has one.
    pub(super) fn put_mark(&mut self, column: usize, mark: char) -> bool {
        match self.cells.get_mut(column) {
            Some(cell) if cell.mark.is_none() && !cell.is_in_tab() => {
                cell.mark = Some(mark);
                true
            }
            _ => false,
        }
    }

    /// Erases a column and all behind it.
    pub(super) fn truncate(&mut self, column: usize) {
        if column < self.length() {
            self.redrawn = true;
            self.split_tab(column);
            self.cells.truncate(column);
            self.uncount(column.saturating_sub(self.kept));
        }
    }

    pub(super) fn blank_out(&mut self, from: usize, to: usize) {
        if let Some((from, to)) = self.change(from, to) {
            self.cells[from..to].fill(BLANK);
        }
    }

    /// Takes columns out; what is behind moves to the left.
    pub(super) fn delete(&mut self, from: usize, to: usize) {
        if let Some((from, to)) = self.change(from, to) {
            self.cells.drain(from..to);
            // What was only counted moves up as well, but nobody knows what it was.
            let moved = (to - from).min(self.counted);
            self.uncount(self.counted - moved);
            self.cells.extend(std::iter::repeat_n(BLANK, moved));
        }
    }

    /// Moves a column and all behind it to the right.
    pub(super) fn insert(&mut self, column: usize, count: usize) {
        if let Some((at, _)) = self.change(column, column + 1) {
            self.cells.splice(at..at, std::iter::repeat_n(BLANK, count));
            let fits = self.kept.min(self.cells.len());
            for cell in self.cells.split_off(fits) {
                self.count(cell);
            }
        }
    }

    /// Lets the text reach up to a column.
    fn pad(&mut self, column: usize) {
        while self.length() < column {
            self.append(BLANK);
        }
    }

    /// Makes ready to change what is there.
    fn draw_over(&mut self, from: usize, to: usize) {
        self.redrawn = true;
        self.split_tab(from);
        self.split_tab(to);
    }

    fn append(&mut self, cell: Cell) {
        if self.cells.len() < self.kept {
            self.cells.push(cell);
        } else {
            self.count(cell);
        }
    }

    fn count(&mut self, cell: Cell) {
        self.counted += 1;
        self.counted_bytes += cell.length() as u64;
    }

    /// Leaves `cells` of those that are only counted. The others are taken to be a byte each.
    fn uncount(&mut self, cells: usize) {
        let dropped = (self.counted - cells) as u64;
        self.counted = cells;
        self.counted_bytes = match cells {
            0 => 0,
            _ => self.counted_bytes.saturating_sub(dropped).max(1),
        };
    }

    /// Makes ready to change those of these columns that are kept, if any.
    fn change(&mut self, from: usize, to: usize) -> Option<(usize, usize)> {
        let to = to.min(self.cells.len());
        (from < to).then(|| {
            self.draw_over(from, to);
            (from, to)
        })
    }

    /// Turns the tab that goes on in `column` into blanks: what is before and what is behind are
    /// about to part.
    fn split_tab(&mut self, column: usize) {
        if !self.cells.get(column).is_some_and(Cell::is_in_tab) {
            return;
        }
        let mut before = self.cells[..column].iter();
        let begin = before.rposition(|cell| !cell.is_in_tab()).unwrap_or(0);
        let behind = self.cells[column..].iter();
        let end = column + behind.take_while(|cell| cell.is_in_tab()).count();
        self.cells[begin..end].fill(BLANK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut cells = Cells::new(100);
        let run = [b'x'; 1000];
        for column in (0..1_000_000).step_by(run.len()) {
            cells.put_run(column, &run);
            cells.put(column + run.len() - 1, 'é');
            cells.append_tab(column + run.len());
            cells.insert(50, 80);
            cells.delete(50, 130);
            cells.truncate(column + run.len());
        }
        assert_eq!(cells.length(), 1_000_000);
        assert!(cells.cells.capacity() < 4 * cells.kept);
        cells.truncate(3);
        assert_eq!((cells.length(), cells.counted_bytes), (3, 0));
    }
}
