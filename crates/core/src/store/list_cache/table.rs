//! Which entry is that of a folder.

use super::layout::{Fields, checksum};

/// Finds entries by the inode and the name of their folder, hashed to 64 bits: a hash table with
/// linear probing, at most half full.
///
/// The entries are far apart in memory. That none of them need be looked at to know a folder again
/// is half the time of a list of 100,000.
#[derive(Debug)]
pub(super) struct Table<'a> {
    slots: &'a [u8],
    count: usize,
}

/// Of a slot: a folder, and the number of its entry plus one.
const SLOT: usize = 12;

/// Stands for a folder.
pub(super) fn folder_key(inode: u64, name: &[u8]) -> u64 {
    checksum(name) ^ inode.wrapping_mul(SPREAD)
}

impl<'a> Table<'a> {
    /// How many bytes the table of so many entries takes.
    pub(super) fn size(entries: usize) -> usize {
        (entries * 2).next_power_of_two() * SLOT
    }

    pub(super) fn of(slots: &'a [u8]) -> Self {
        let count = slots.len() / SLOT;
        Self { slots, count }
    }

    pub(super) fn fill(slots: &mut [u8], key: u64, number: u32) {
        let count = slots.len() / SLOT;
        let mut at = first_slot(key, count);
        while slots[at * SLOT + 8..][..4] != [0; 4] {
            at = (at + 1) & (count - 1);
        }
        slots[at * SLOT..][..8].copy_from_slice(&key.to_le_bytes());
        slots[at * SLOT + 8..][..4].copy_from_slice(&(number + 1).to_le_bytes());
    }

    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let mut at = first_slot(key, self.count);
        for _ in 0..self.count {
            let mut slot = Fields(self.slots.get(at * SLOT..)?);
            let (found, number) = (slot.u64()?, slot.u32()?.checked_sub(1)?);
            if found == key {
                return Some(number);
            }
            at = (at + 1) & (self.count - 1);
        }
        None
    }
}

/// Spreads inodes, which mostly follow each other.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

fn first_slot(key: u64, count: usize) -> usize {
    usize::try_from(key >> 32).unwrap_or(0) & count.wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 64, 1000] {
            let key = |number: u32| folder_key(u64::from(number * 7 + 2), b"a");
            let mut slots = vec![0; Table::size(count as usize)];
            for number in 0..count {
                Table::fill(&mut slots, key(number), number);
            }
            let table = Table::of(&slots);
            for number in 0..count {
                assert_eq!(table.find(key(number)), Some(number));
                assert_eq!(table.find(key(number) + 1), None);
                // Its folder has been made anew, or bears another name.
                assert_eq!(
                    table.find(folder_key(u64::from(number * 7 + 3), b"a")),
                    None
                );
                assert_eq!(
                    table.find(folder_key(u64::from(number * 7 + 2), b"b")),
                    None
                );
            }
            assert_eq!(table.find(0), None);
        }
    }
}
