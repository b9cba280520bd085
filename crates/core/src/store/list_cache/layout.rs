//! How `list.cache` is laid out. Numbers are little-endian.
//!
//! ```text
//! head      magic, where the index is, checksums, where the changes since then begin
//! stamp     what the texts depend on besides the records
//! texts     of the tasks as answers show them, newest first, each with a comma behind it
//! index     a table of the entries by their folders; the entries, newest first
//! ```

use std::path::Path;

use crate::task::{Facets, TaskStatus};

pub(super) const MAGIC: &[u8; 8] = b"btlist\x00\x02";
pub(super) const HEAD: usize = 72;
/// Behind each text: what lies together is shown as it is.
pub(super) const SEPARATOR: u8 = b',';

/// Tells whether something is as it was written.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(bytes)
}

/// The beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub index: u64,
    pub index_len: u32,
    pub count: u32,
    pub stamp_len: u32,
    pub index_checksum: u64,
    /// Up to where the changes are known to the cache, and in which file they are.
    pub changes: u64,
    pub token: [u8; 16],
}

impl Head {
    pub(super) fn encode(&self) -> [u8; HEAD] {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.extend(MAGIC);
        bytes.extend(self.index.to_le_bytes());
        bytes.extend(self.index_len.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.stamp_len.to_le_bytes());
        bytes.extend(self.index_checksum.to_le_bytes());
        bytes.extend(self.changes.to_le_bytes());
        bytes.extend(self.token);
        bytes.resize(HEAD - 8, 0);
        bytes.extend(checksum(&bytes).to_le_bytes());
        let mut head = [0; HEAD];
        head.copy_from_slice(&bytes);
        head
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(..HEAD)?);
        let (head, sum) = bytes[..HEAD].split_last_chunk()?;
        if fields.take(MAGIC.len())? != MAGIC || *sum != checksum(head).to_le_bytes() {
            return None;
        }
        Some(Self {
            index: fields.u64()?,
            index_len: fields.u32()?,
            count: fields.u32()?,
            stamp_len: fields.u32()?,
            index_checksum: fields.u64()?,
            changes: fields.u64()?,
            token: *fields.take(16)?.first_chunk()?,
        })
    }
}

/// Which file a record was read from: another one stands in its place when anything of this differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    inode: u64,
    changed_s: i64,
    changed_ns: i64,
    size: i64,
}

impl Identity {
    #[allow(
        clippy::useless_conversion,
        reason = "the types differ between systems"
    )]
    pub(crate) fn of(stat: &nix::sys::stat::FileStat) -> Self {
        Self {
            inode: stat.st_ino,
            changed_s: stat.st_ctime.into(),
            changed_ns: stat.st_ctime_nsec.into(),
            size: stat.st_size.into(),
        }
    }
}

/// Where a text is, and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub offset: u64,
    pub len: u32,
    pub checksum: u64,
}

/// What an ended task can be found by. The checksum of the index says that it is as it was written,
/// so it is read where it is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Appends the entry of a task; `None` where it cannot be told in one. Its place is filled in by
    /// [`put_place`].
    pub(super) fn encode(
        task: &Facets<'_>,
        folder: u64,
        identity: &Identity,
        bytes: &mut Vec<u8>,
    ) -> Option<()> {
        let status = TaskStatus::ALL.iter().position(|one| *one == task.status)?;
        let begin = bytes.len();
        bytes.extend([0; at::LENGTH + 4]);
        bytes.extend(folder.to_le_bytes());
        bytes.extend(task.created_at.to_le_bytes());
        bytes.extend(identity.inode.to_le_bytes());
        bytes.extend(identity.changed_s.to_le_bytes());
        bytes.extend(identity.changed_ns.to_le_bytes());
        bytes.extend(identity.size.to_le_bytes());
        bytes.extend(u32::try_from(status).ok()?.to_le_bytes());
        put_text(bytes, Some(task.id));
        put_text(bytes, task.name);
        put_text(bytes, task.workdir);
        put_text(bytes, task.parent_session_id);
        bytes.extend(u32::try_from(task.tags.len()).ok()?.to_le_bytes());
        task.tags.iter().for_each(|tag| put_text(bytes, Some(tag)));
        let length = u32::try_from(bytes.len() - begin).ok()?;
        bytes[begin + at::LENGTH..][..4].copy_from_slice(&length.to_le_bytes());
        Some(())
    }

    /// The entry that begins here.
    pub(super) fn at(bytes: &'a [u8]) -> Option<Self> {
        let length = Fields(bytes.get(at::LENGTH..)?).u32()? as usize;
        let bytes = bytes.get(..length)?;
        (length > at::TEXTS).then_some(Self { bytes })
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn fields(&self, at: usize) -> Fields<'a> {
        Fields(&self.bytes[at..])
    }

    pub(super) fn place(&self) -> Option<Place> {
        let mut fields = self.fields(0);
        Some(Place {
            offset: fields.u64()?,
            len: fields.u32()?,
            checksum: fields.u64()?,
        })
    }

    /// The inode of the task's folder.
    pub(crate) fn folder(&self) -> Option<u64> {
        self.fields(at::FOLDER).u64()
    }

    pub(crate) fn created_at(&self) -> i64 {
        self.fields(at::CREATED_AT).i64().unwrap_or(i64::MIN)
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        let mut fields = self.fields(at::IDENTITY);
        Some(Identity {
            inode: fields.u64()?,
            changed_s: fields.i64()?,
            changed_ns: fields.i64()?,
            size: fields.i64()?,
        })
    }

    pub(crate) fn status(&self) -> Option<TaskStatus> {
        let number = self.fields(at::STATUS).u32()?;
        TaskStatus::ALL.get(number as usize).copied()
    }

    pub(crate) fn id_bytes(&self) -> &'a [u8] {
        self.fields(at::TEXTS).bytes().flatten().unwrap_or(b"")
    }

    pub(crate) fn id(&self) -> &'a str {
        std::str::from_utf8(self.id_bytes()).unwrap_or("")
    }

    pub(crate) fn name(&self) -> Option<&'a str> {
        self.text(1)
    }

    pub(crate) fn workdir(&self) -> Option<&'a Path> {
        self.text(2).map(Path::new)
    }

    pub(crate) fn parent_session_id(&self) -> Option<&'a str> {
        self.text(3)
    }

    pub(crate) fn has_tag(&self, wanted: &str) -> bool {
        let mut fields = self.behind(TEXTS);
        let count = fields.u32().unwrap_or(0);
        (0..count).any(|_| fields.bytes().flatten() == Some(wanted.as_bytes()))
    }

    fn text(&self, number: usize) -> Option<&'a str> {
        std::str::from_utf8(self.behind(number).bytes()??).ok()
    }

    /// What comes behind so many texts.
    fn behind(&self, texts: usize) -> Fields<'a> {
        let mut fields = self.fields(at::TEXTS);
        for _ in 0..texts {
            fields.bytes();
        }
        fields
    }
}

/// Where the numbers of an entry are.
mod at {
    pub(super) const LENGTH: usize = 20;
    pub(super) const FOLDER: usize = 24;
    pub(super) const CREATED_AT: usize = 32;
    pub(super) const IDENTITY: usize = 40;
    pub(super) const STATUS: usize = 72;
    pub(super) const TEXTS: usize = 76;
}

/// Id, name, working directory, session; then the tags.
const TEXTS: usize = 4;
/// Of a place, at the beginning of an entry.
const PLACE: usize = 20;

/// Fills in where the text of an entry is.
pub(super) fn put_place(entry: &mut [u8], place: Place) {
    entry[..8].copy_from_slice(&place.offset.to_le_bytes());
    entry[8..12].copy_from_slice(&place.len.to_le_bytes());
    entry[12..PLACE].copy_from_slice(&place.checksum.to_le_bytes());
}

/// Stands for the length of a text that is not there.
const NONE: u32 = u32::MAX;

fn put_text(bytes: &mut Vec<u8>, text: Option<&str>) {
    // A record has at most 64 MiB.
    let len = text.map_or(NONE, |text| u32::try_from(text.len()).unwrap_or(NONE));
    bytes.extend(len.to_le_bytes());
    bytes.extend(text.unwrap_or("").as_bytes());
}

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    /// `Some(None)`: there is none, and that is what was written.
    #[allow(
        clippy::option_option,
        reason = "that nothing can be read is another matter"
    )]
    fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.u32()? {
            NONE => Some(None),
            len => self.take(len as usize).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let task = Facets {
            id: "a",
            status: TaskStatus::Killed,
            created_at: -5,
            name: None,
            workdir: Some("/w"),
            parent_session_id: None,
            tags: vec!["x", ""],
        };
        let identity = Identity {
            inode: 1,
            changed_s: -2,
            changed_ns: 3,
            size: 4,
        };
        let mut bytes = b"before".to_vec();
        Entry::encode(&task, 6, &identity, &mut bytes).unwrap();
        let place = Place {
            offset: 7,
            len: 8,
            checksum: 9,
        };
        put_place(&mut bytes[6..], place);
        let whole = bytes[6..].to_vec();
        bytes.extend(b"behind");
        let entry = Entry::at(&bytes[6..]).unwrap();
        assert_eq!(entry.bytes(), whole);
        assert_eq!((entry.place(), entry.folder()), (Some(place), Some(6)));
        assert_eq!((entry.id(), entry.created_at()), ("a", -5));
        assert_eq!(entry.identity(), Some(identity));
        assert_eq!(entry.status(), Some(TaskStatus::Killed));
        assert_eq!((entry.name(), entry.parent_session_id()), (None, None));
        assert_eq!(entry.workdir(), Some(Path::new("/w")));
        assert!(entry.has_tag("x") && entry.has_tag("") && !entry.has_tag("a"));
        // One that is cut off is none.
        assert!((0..whole.len()).all(|len| Entry::at(&whole[..len]).is_none()));
    }

    #[test]
    fn a_head_that_is_not_as_it_was_written_is_none() {
        let head = Head {
            index: 1,
            index_len: 2,
            count: 3,
            stamp_len: 4,
            index_checksum: 5,
            changes: 6,
            token: *b"0123456789abcdef",
        };
        let good = head.encode();
        assert_eq!(Head::decode(&good), Some(head));
        for at in 0..HEAD {
            let mut bad = good;
            bad[at] ^= 1;
            assert_eq!(Head::decode(&bad), None, "byte {at}");
        }
    }
}
