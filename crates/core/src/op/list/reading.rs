//! Reading many tasks, side by side where that is faster.

use std::sync::Mutex;
use std::thread::{Builder, available_parallelism, scope};

use crate::error::Result;
use crate::store::{FreshTasks, Home, TasksFolder};
use crate::task::TaskId;

/// So many tasks are read at a time by each thread: what is in memory stays small.
const PORTION: usize = 1024;
/// Fewer are read faster than a thread gets going.
const MANY: usize = 2 * PORTION;
/// More threads would wait for each other in the kernel.
const MOST_THREADS: usize = 4;

/// A task that is to be read.
#[derive(Debug)]
pub(super) struct Unread {
    pub id: TaskId,
    /// Of its folder, where it is to be made ready for the cache.
    pub inode: Option<u64>,
}

/// What has been read of a portion.
#[derive(Debug, Default)]
pub(super) struct Portion {
    pub ended: FreshTasks,
    /// Those whose end is not on record, or cannot be read so easily.
    pub others: Vec<TaskId>,
}

/// Who reads: a folder and what it reads into.
struct Reader {
    folder: TasksFolder,
    portion: Portion,
}

impl Reader {
    fn read(&mut self, home: &Home, tasks: Vec<Unread>) {
        for Unread { id, inode } in tasks {
            let ended = &mut self.portion.ended;
            if self.folder.read_ended(home, &id, inode, ended).is_none() {
                self.portion.others.push(id);
            }
        }
    }
}

/// Reads tasks, of which about `count` will come, and gives them portion by portion.
pub(super) fn read_all(
    home: &Home,
    folder: TasksFolder,
    count: usize,
    mut tasks: impl Iterator<Item = Unread>,
    mut take: impl FnMut(&Portion) -> Result<()>,
) -> Result<()> {
    let mut readers = vec![Reader {
        folder,
        portion: Portion::default(),
    }];
    let threads = threads(count);
    while readers.len() < threads {
        let Some(folder) = TasksFolder::open(home)? else {
            break;
        };
        readers.push(Reader {
            folder,
            portion: Portion::default(),
        });
    }
    loop {
        let mut portions = Vec::new();
        for _ in &readers {
            portions.push(tasks.by_ref().take(PORTION).collect::<Vec<_>>());
        }
        if portions[0].is_empty() {
            return Ok(());
        }
        read_side_by_side(home, &mut readers, portions);
        for Reader { portion, .. } in &mut readers {
            take(portion)?;
            portion.ended.clear();
            portion.others.clear();
        }
    }
}

fn threads(count: usize) -> usize {
    if count < MANY {
        return 1;
    }
    available_parallelism().map_or(1, |threads| threads.get().min(MOST_THREADS))
}

fn read_side_by_side(home: &Home, readers: &mut [Reader], portions: Vec<Vec<Unread>>) {
    let count = portions.iter().filter(|tasks| !tasks.is_empty()).count();
    let jobs = Mutex::new(readers.iter_mut().zip(portions));
    let next_job = || jobs.lock().ok()?.next();
    let work = || {
        while let Some((reader, tasks)) = next_job() {
            reader.read(home, tasks);
        }
    };
    scope(|scope| {
        for _ in 1..count {
            // Where there can be no other thread, this one does it all.
            let _ = Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}
