//! Making a new cache from what a full `list` has read.

use std::cmp::Reverse;
use std::fs::{File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::changes::Changes;
use super::layout::{HEAD, Head, Place, SEPARATOR, checksum, put_place};
use super::table::{Table, folder_key};
use super::{Entry, FreshTask, ListCache, NAME, Texts, stamp};
use crate::store::{Home, stat};

/// A task with a longer text is read from its folder each time.
pub(super) const LONGEST_TEXT: usize = 64 << 10;
/// So much is collected at a time; the rest comes into the next cache.
const MOST_AT_ONCE: usize = 64 << 20;
/// Fewer tasks are read faster than a file is written.
const FEW: usize = 128;

/// Collects what goes into a new cache. It is made before the first record is read.
#[derive(Debug)]
pub(crate) struct CacheWriter {
    aside: Aside,
    changes: Changes,
    tasks: Vec<Kept>,
    /// Of the tasks that have been read.
    entries: Vec<u8>,
    texts: Vec<u8>,
    fresh: usize,
    /// How many would be worth it.
    enough: usize,
}

/// A task of the new cache.
#[derive(Debug)]
struct Kept {
    created_at: i64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Read by this `list`: its entry, its text.
    Fresh(Range<usize>, Range<usize>),
    /// The place of its entry in the cache before.
    Carried(usize),
}

impl CacheWriter {
    /// Prepares a new cache if that is worth it: `unknown` tasks are to be read.
    ///
    /// What changes while `cache` is in use is noted in it.
    pub(crate) fn prepare(
        home: &Home,
        cache: Option<&mut ListCache>,
        unknown: usize,
    ) -> Option<Self> {
        let enough = match &cache {
            Some(cache) if cache.is_outdated() => 0,
            Some(cache) => FEW.max(cache.len() / 16),
            None => FEW,
        };
        if unknown < enough {
            return None;
        }
        // Where nothing can be written, nothing need be collected.
        let aside = Aside::open(home).ok()??;
        let changes = match cache {
            Some(cache) => {
                let lines = cache.changes.settle(home.as_fd())?;
                cache.note_changed(&lines);
                cache.changes.again()?
            }
            None => {
                let mut changes = Changes::open_or_create(home.as_fd())?;
                changes.settle(home.as_fd())?;
                changes
            }
        };
        Some(Self {
            aside,
            changes,
            tasks: Vec::new(),
            entries: Vec::new(),
            texts: Vec::new(),
            fresh: 0,
            enough,
        })
    }

    /// Takes over what the cache before says.
    pub(crate) fn carry(&mut self, at: usize, created_at: i64) {
        let source = Source::Carried(at);
        self.tasks.push(Kept { created_at, source });
    }

    /// Adds a task that has just been read from its record, if it fits.
    pub(crate) fn add(&mut self, task: &FreshTask<'_>) {
        let (entry, text) = (self.entries.len(), self.texts.len());
        if !task.can_be_kept || text >= MOST_AT_ONCE || task.text.len() > LONGEST_TEXT {
            return;
        }
        self.entries.extend(task.entry.bytes());
        self.texts.extend(task.text);
        self.tasks.push(Kept {
            created_at: task.entry.created_at(),
            source: Source::Fresh(entry..self.entries.len(), text..self.texts.len()),
        });
        self.fresh += 1;
    }

    /// Puts the new cache in the place of the one before, if it is worth it. That it cannot be
    /// written changes no answer.
    pub(crate) fn finish(mut self, home: &Home, cache: Option<&ListCache>) {
        let is_written = self.fresh >= self.enough && self.fill(home, cache).is_ok();
        if !is_written || renameat(home, ASIDE, home, NAME).is_err() {
            let _ = unlinkat(home, ASIDE, UnlinkatFlags::NoRemoveDir);
        }
    }

    fn fill(&mut self, home: &Home, cache: Option<&ListCache>) -> io::Result<()> {
        let stamp = stamp(home).ok_or(io::ErrorKind::NotFound)?;
        self.sort(cache);
        let file = &self.aside.file;
        // Until all of it is there, the head is nothing but zeros.
        let mut writer = BufWriter::with_capacity(256 << 10, file);
        writer.write_all(&[0; HEAD])?;
        writer.write_all(stamp.as_bytes())?;
        let mut index = Index::begin((HEAD + stamp.len()) as u64);
        let mut texts = cache.map(|cache| Texts::of(cache, usize::MAX));
        for kept in &self.tasks {
            let (entry, text) = match &kept.source {
                Source::Fresh(entry, text) => {
                    let entry = Entry::at(&self.entries[entry.clone()]);
                    (entry, Some(&self.texts[text.clone()]))
                }
                Source::Carried(at) => {
                    let entry = cache.and_then(|cache| cache.entry(*at));
                    let text = entry.zip(texts.as_mut());
                    (entry, text.and_then(|(entry, texts)| texts.get(&entry)))
                }
            };
            if let (Some(entry), Some(text)) = (entry, text) {
                index.add(&entry, text)?;
                writer.write_all(text)?;
                writer.write_all(&[SEPARATOR])?;
            }
        }
        writer.flush()?;
        drop(writer);
        let (index, count, offset) = index.end();
        file.write_all_at(&index, offset)?;
        let head = Head {
            index: offset,
            index_len: number(index.len())?,
            count,
            stamp_len: number(stamp.len())?,
            index_checksum: checksum(&index),
            changes: self.changes.end,
            token: self.changes.token,
        };
        file.write_all_at(&head.encode(), 0)
    }

    /// Newest first, in the order of answers.
    fn sort(&mut self, cache: Option<&ListCache>) {
        let Self { tasks, entries, .. } = self;
        let id = |source: &Source| match source {
            Source::Fresh(entry, _) => Entry::at(&entries[entry.clone()]).map(|it| it.id_bytes()),
            Source::Carried(at) => Some(cache?.entry(*at)?.id_bytes()),
        };
        tasks.sort_unstable_by(|a, b| {
            let by_time = Reverse(a.created_at).cmp(&Reverse(b.created_at));
            by_time.then_with(|| id(&b.source).cmp(&id(&a.source)))
        });
    }
}

/// An index that is being made.
struct Index {
    /// Where the next text comes.
    offset: u64,
    entries: Vec<u8>,
    folders: Vec<u64>,
}

impl Index {
    fn begin(offset: u64) -> Self {
        Self {
            offset,
            entries: Vec::new(),
            folders: Vec::new(),
        }
    }

    fn add(&mut self, entry: &Entry<'_>, text: &[u8]) -> io::Result<()> {
        let at = self.entries.len();
        let inode = entry.folder().ok_or(io::ErrorKind::InvalidData)?;
        let place = Place {
            offset: self.offset,
            len: number(text.len())?,
            checksum: checksum(text),
        };
        self.folders.push(folder_key(inode, entry.id_bytes()));
        self.entries.extend(entry.bytes());
        put_place(&mut self.entries[at..], place);
        self.offset += text.len() as u64 + 1;
        Ok(())
    }

    /// The whole index, how many entries it has, and where it is to be.
    fn end(self) -> (Vec<u8>, u32, u64) {
        let mut index = vec![0; Table::size(self.folders.len())];
        let mut count = 0;
        for &key in &self.folders {
            Table::fill(&mut index, key, count);
            count += 1;
        }
        index.extend(self.entries);
        (index, count, self.offset)
    }
}

fn number(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(io::Error::other)
}

const ASIDE: &str = "list.cache.new";

/// The file in which a cache is written, ours alone for as long as this lives.
#[derive(Debug)]
struct Aside {
    file: File,
}

impl Aside {
    /// `None` when somebody else is writing one.
    fn open(home: &Home) -> io::Result<Option<Self>> {
        let flags = OFlag::O_RDWR
            | OFlag::O_CREAT
            | OFlag::O_CLOEXEC
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = File::from(openat(home, ASIDE, flags, mode)?);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Who had it before may have given it its name; a cache that is in use is not touched.
        let own = file.metadata()?;
        let named = stat(home, ASIDE)?.map(|named| (named.st_dev, named.st_ino));
        #[allow(
            clippy::useless_conversion,
            reason = "the types differ between systems"
        )]
        let is_named = named.is_some_and(|(_, inode)| u64::from(inode) == own.ino());
        if !own.is_file() || own.nlink() != 1 || !is_named {
            return Ok(None);
        }
        file.set_len(0)?;
        Ok(Some(Self { file }))
    }
}
