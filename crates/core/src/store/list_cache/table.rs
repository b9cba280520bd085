//! Which entry is that of a folder.

use super::layout::Fields;

/// Finds entries by the inode of their folder: a hash table with linear probing, at most half full.
#[derive(Debug)]
pub(super) struct Table<'a> {
    slots: &'a [u8],
    count: usize,
}

/// Of a slot: an inode, and a place plus one.
const SLOT: usize = 12;

impl<'a> Table<'a> {
    /// How many bytes the table of so many entries takes.
    pub(super) fn size(entries: usize) -> usize {
        (entries * 2).next_power_of_two() * SLOT
    }

    pub(super) fn of(slots: &'a [u8]) -> Self {
        let count = slots.len() / SLOT;
        Self { slots, count }
    }

    pub(super) fn fill(slots: &mut [u8], folder: u64, place: u32) {
        let count = slots.len() / SLOT;
        let mut at = first_slot(folder, count);
        while slots[at * SLOT + 8..][..4] != [0; 4] {
            at = (at + 1) % count;
        }
        slots[at * SLOT..][..8].copy_from_slice(&folder.to_le_bytes());
        slots[at * SLOT + 8..][..4].copy_from_slice(&(place + 1).to_le_bytes());
    }

    pub(super) fn find(&self, folder: u64) -> Option<usize> {
        let mut at = first_slot(folder, self.count);
        for _ in 0..self.count {
            let mut slot = Fields(self.slots.get(at * SLOT..)?);
            let (found, place) = (slot.u64()?, slot.u32()?);
            if place == 0 {
                return None;
            }
            if found == folder {
                return Some(place as usize - 1);
            }
            at = (at + 1) % self.count;
        }
        None
    }
}

/// Inodes mostly follow each other; multiplied, they are spread.
fn first_slot(folder: u64, count: usize) -> usize {
    let spread = folder.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(spread).unwrap_or(0) & (count.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 64, 1000] {
            let folder = |number: u64| number * 7 + 2;
            let mut slots = vec![0; Table::size(count)];
            for number in 0..count as u64 {
                Table::fill(&mut slots, folder(number), number as u32 * 10);
            }
            let table = Table::of(&slots);
            for number in 0..count as u64 {
                assert_eq!(table.find(folder(number)), Some(number as usize * 10));
                assert_eq!(table.find(folder(number) + 1), None);
            }
            assert_eq!(table.find(0), None);
        }
    }
}
