//! How `list.cache` is laid out. Numbers are little-endian.
//!
//! ```text
//! head      magic, where the index is, checksums, where the changes since then begin
//! stamp     what the texts depend on besides the records
//! texts     of the tasks as answers show them, newest first
//! index     (inode of the folder, place of the entry below) by inode, then the entries, newest first
//! ```

use std::path::Path;

use crate::task::{Task, TaskStatus};

pub(super) const MAGIC: &[u8; 8] = b"btlist\x00\x01";
pub(super) const HEAD: usize = 64;
/// Of an index, per entry: an inode and a place.
pub(super) const LOOKUP: usize = 12;

/// The beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub index: u64,
    pub index_len: u32,
    pub count: u32,
    pub index_crc: u32,
    pub stamp_len: u32,
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
        bytes.extend(self.index_crc.to_le_bytes());
        bytes.extend(self.stamp_len.to_le_bytes());
        bytes.extend(self.changes.to_le_bytes());
        bytes.extend(self.token);
        bytes.resize(HEAD - 4, 0);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let mut head = [0; HEAD];
        head.copy_from_slice(&bytes);
        head
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(..HEAD)?);
        let crc = crc32fast::hash(&bytes[..HEAD - 4]);
        if fields.take(MAGIC.len())? != MAGIC || bytes[HEAD - 4..HEAD] != crc.to_le_bytes() {
            return None;
        }
        Some(Self {
            index: fields.u64()?,
            index_len: fields.u32()?,
            count: fields.u32()?,
            index_crc: fields.u32()?,
            stamp_len: fields.u32()?,
            changes: fields.u64()?,
            token: *fields.take(16)?.first_chunk()?,
        })
    }
}

/// Which file a record was read from: another one stands in its place when anything of this differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub crc: u32,
}

/// What an ended task can be found by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(super) place: Place,
    pub(crate) identity: Identity,
    pub(super) folder: u64,
    pub(crate) created_at: i64,
    pub(crate) status: TaskStatus,
    pub(crate) id: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) workdir: Option<&'a Path>,
    pub(crate) session: Option<&'a str>,
    tags: Fields<'a>,
    /// Of the whole entry.
    pub(super) len: usize,
}

impl<'a> Entry<'a> {
    /// Appends the entry of a task; `None` where it cannot be told in one. Its place is filled in by
    /// [`put_place`].
    pub(super) fn encode(
        task: &Task,
        created_at: i64,
        folder: u64,
        identity: &Identity,
        bytes: &mut Vec<u8>,
    ) -> Option<()> {
        let status = TaskStatus::ALL.iter().position(|one| *one == task.status)?;
        let workdir = match &task.workdir {
            Some(path) => Some(path.to_str()?),
            None => None,
        };
        bytes.extend([0; PLACE]);
        bytes.extend(folder.to_le_bytes());
        bytes.extend(created_at.to_le_bytes());
        bytes.extend(identity.inode.to_le_bytes());
        bytes.extend(identity.changed_s.to_le_bytes());
        bytes.extend(identity.changed_ns.to_le_bytes());
        bytes.extend(identity.size.to_le_bytes());
        bytes.push(u8::try_from(status).ok()?);
        put_text(bytes, Some(task.id.as_str()));
        put_text(bytes, task.name.as_deref());
        put_text(bytes, workdir);
        put_text(bytes, task.parent_session_id.as_deref());
        bytes.extend(u32::try_from(task.tags.len()).ok()?.to_le_bytes());
        task.tags.iter().for_each(|tag| put_text(bytes, Some(tag)));
        Some(())
    }

    /// Reads the entry that begins here.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let place = Place {
            offset: fields.u64()?,
            len: fields.u32()?,
            crc: fields.u32()?,
        };
        let (folder, created_at) = (fields.u64()?, fields.i64()?);
        let identity = Identity {
            inode: fields.u64()?,
            changed_s: fields.i64()?,
            changed_ns: fields.i64()?,
            size: fields.i64()?,
        };
        let status = *TaskStatus::ALL.get(usize::from(*fields.take(1)?.first()?))?;
        let id = fields.text()??;
        let (name, workdir, session) = (fields.text()?, fields.text()?, fields.text()?);
        let tags = fields;
        for _ in 0..fields.u32()? {
            fields.text()??;
        }
        Some(Self {
            place,
            identity,
            folder,
            created_at,
            status,
            id,
            name,
            workdir: workdir.map(Path::new),
            session,
            tags,
            len: bytes.len() - fields.0.len(),
        })
    }

    pub(crate) fn has_tag(&self, wanted: &str) -> bool {
        let mut fields = self.tags;
        let count = fields.u32().unwrap_or(0);
        (0..count).any(|_| fields.text().flatten() == Some(wanted))
    }
}

/// Of a place, at the beginning of an entry.
const PLACE: usize = 16;

/// Fills in where the text of an entry is.
pub(super) fn put_place(entry: &mut [u8], place: Place) {
    entry[..8].copy_from_slice(&place.offset.to_le_bytes());
    entry[8..12].copy_from_slice(&place.len.to_le_bytes());
    entry[12..PLACE].copy_from_slice(&place.crc.to_le_bytes());
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
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
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

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    /// `Some(None)`: there is none, and that is what was written.
    fn text(&mut self) -> Option<Option<&'a str>> {
        match self.u32()? {
            NONE => Some(None),
            len => std::str::from_utf8(self.take(len as usize)?).ok().map(Some),
        }
    }
}
