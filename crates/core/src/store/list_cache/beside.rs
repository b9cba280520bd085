//! `list.folder`: the names in the folder of tasks that a cache does not have, as long as no name in
//! there comes or goes. Whoever finds the folder as it was then need not read the others: of a list
//! of thousands, to read their names is half of the time.
//!
//! Like the cache it can be deleted at any time. It belongs to one cache, and to one state of the
//! folder.

use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::stat::fstat;

use super::ListCache;
use super::layout::{Fields, checksum};
use crate::store::format::{read_all, write_aside};
use crate::store::{Home, Names};

/// The file's name in the home.
const NAME: &str = "list.folder";
const MAGIC: &[u8; 8] = b"btdir\x00\x00\x01";
/// Fewer names are read faster than a file is written.
const FEW: usize = 512;
/// The times of a folder move on with the ticks of a clock, on some filesystems once a second: what
/// comes within the same tick leaves no trace.
const TICK: Duration = Duration::from_secs(2);

/// What tells that a folder has the names which it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FolderState([i64; STATE]);

const STATE: usize = 6;

impl FolderState {
    /// `None` while a change might not show.
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "the types differ between systems"
    )]
    pub(crate) fn settled(folder: impl AsFd) -> Option<Self> {
        let stat = fstat(folder).ok()?;
        let state = Self([
            stat.st_dev as i64,
            stat.st_ino.cast_signed(),
            stat.st_mtime.into(),
            stat.st_mtime_nsec.into(),
            stat.st_ctime.into(),
            stat.st_ctime_nsec.into(),
        ]);
        let changed = u64::try_from(stat.st_mtime.max(stat.st_ctime)).ok()?;
        let changed = UNIX_EPOCH.checked_add(Duration::from_secs(changed))?;
        let since = SystemTime::now().duration_since(changed).ok()?;
        (since > TICK).then_some(state)
    }
}

impl ListCache {
    /// The names that it does not have, if the folder is as it was when they were noted.
    pub(crate) fn names_beside(&self, home: &Home, state: &FolderState) -> Option<Names> {
        let bytes = read_all(home.as_fd(), NAME).ok()?;
        let (bytes, sum) = bytes.split_last_chunk()?;
        let mut fields = Fields(bytes);
        let fits = checksum(bytes).to_le_bytes() == *sum
            && fields.take(MAGIC.len())? == MAGIC
            && fields.u64()? == self.mark
            && state.0.iter().all(|part| fields.i64() == Some(*part));
        if !fits {
            return None;
        }
        let mut names = Names::default();
        for _ in 0..fields.u32()? {
            let (inode, len) = (fields.u64()?, fields.u32()?);
            names.add(inode, fields.take(len as usize)?);
        }
        Some(names)
    }

    /// Notes the names of the folder that it does not have, of `count` in all, if that is worth it.
    /// That they cannot be noted changes no answer.
    pub(crate) fn note_beside<'n>(
        &self,
        home: &Home,
        state: &FolderState,
        count: usize,
        names: impl Iterator<Item = (u64, &'n [u8])>,
    ) {
        if count < FEW {
            return;
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.mark.to_le_bytes());
        bytes.extend(state.0.iter().flat_map(|part| part.to_le_bytes()));
        let count_at = bytes.len();
        bytes.extend([0; 4]);
        let mut count = 0_u32;
        for (inode, name) in names {
            bytes.extend(inode.to_le_bytes());
            bytes.extend(u32::try_from(name.len()).unwrap_or(0).to_le_bytes());
            bytes.extend(name);
            count += 1;
        }
        bytes[count_at..][..4].copy_from_slice(&count.to_le_bytes());
        bytes.extend(checksum(&bytes).to_le_bytes());
        let _ = write_aside(home.as_fd(), NAME, &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_has_just_changed_is_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let folder = std::fs::File::open(folder.path()).unwrap();
        assert_eq!(FolderState::settled(&folder), None);
        let past = SystemTime::now() - Duration::from_secs(60);
        folder.set_modified(past).unwrap();
        // Its other time cannot be set.
        assert_eq!(FolderState::settled(&folder), None);
    }
}
