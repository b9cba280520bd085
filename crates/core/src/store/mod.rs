//! The folder with the tasks: where everything is, who may write it, how it is read.
//!
//! ```text
//! $BACKGROUND_TASKS_HOME/            0700; refused when it belongs to someone else
//!   tasks/<id>/task.json             the record; only the holder of a lock writes it
//!   tasks/<id>/task.prev.json        the record that a start is about to replace
//!   tasks/<id>/want.json             what a caller wants now
//!   tasks/<id>/after.json            that its first run waits for other tasks
//!   tasks/<id>/end                   how a run ended, preallocated: a full disk cannot lose it
//!   tasks/<id>/environ               the variables that it inherited, where recover may need them
//!   tasks/<id>/events.ndjson         journal of lifecycle events
//!   tasks/<id>/live                  FIFO that hangs up when the task has ended
//!   tasks/<id>/log                   hard link of logs/<id>.log
//!   tasks/<id>/log.stderr            hard link of logs/<id>.stderr.log
//!   tasks/<id>/timeline              how long the logs were, when; see `log/timeline.rs`
//!   tasks/<id>/cut, cut.stderr       what has been freed of a capped log
//!   tasks/<id>/lines, lines.stderr   how far the lines have been counted
//!   tasks/<id>/stdin                 FIFO that `send` writes to
//!   tasks/<id>/stdin.end             FIFO through which `send` says that this was all
//!   tasks/<id>/stdin.lock            held by the `send` whose turn it is
//!   tasks/<id>/stdin.text            what the command is given to read
//!   tasks/<id>/work.<generation>.<n>  the n-th piece of its work, or that it takes no more
//!   tasks/<id>/on_exit.<generation>.<run>  claims the hook of that end
//!   tasks/<id>/supervisor.lock       record lock held by the living supervisor
//!   tasks/<id>/cgroup                where the group of a run with limits is
//!   tasks/<id>/supervisor.panic      what a supervisor said when it broke
//!   list.cache                       ended tasks as `list` shows them; see `list_cache/`
//!   list.folder                      which names in `tasks` are not in there
//!   list.dirty                       which of them have changed since
//!   logs/<id>.log                    exactly what the command wrote
//!   logs/<id>.stderr.log             its standard error, with "stderr": "separate"
//!   locks/<id>.lock                  held for moments by callers that change the task
//!   queues/<group>/                  who waits for a place, and who has one; see `queue.rs`
//!   trash/                           on its way out
//!   ttl/<millis>.<id>                when a task with `ttl_ms` is to be looked at
//! ```

mod awaited;
mod derive;
mod end;
mod environ;
mod fifo;
mod format;
mod home;
mod hook;
mod input;
mod leftovers;
mod list_cache;
mod lock;
mod observe;
mod observed;
mod queue;
mod remove;
mod task_dir;
mod tasks_folder;
mod ttl;
mod want;
mod work;

pub use format::FORMAT_VERSION;
pub use home::Home;
pub use observed::{Condition, Observed};

pub(crate) use awaited::Awaited;
pub(crate) use derive::{
    end_unseen, ended_at, ended_by_itself, failed, first_marked, first_of_run,
};
pub(crate) use end::EndRecord;
pub(crate) use environ::{keep_environment, kept_environment};
pub(crate) use fifo::{Fifo, has_writer, make_fifo, open_live, open_writer};
pub(crate) use format::{
    Unsettled, create_new, decode, is_regular, make_anew, read_all, stat, write_aside,
};
pub(crate) use home::{HOME_VARIABLE, LOGS, TASKS};
pub(crate) use hook::hook_claim;
pub(crate) use input::{InputLock, forget_text, keep_text, open_text, settle_text};
pub(crate) use leftovers::{Replaced, sweep_leftovers};
pub(crate) use list_cache::{
    CacheWriter, Entry, FolderState, FreshTask, FreshTasks, Identity, ListCache, Texts,
};
pub(crate) use lock::{Candidacy, Holder, ShortLock, SupervisorLock, try_record_lock};
pub(crate) use observe::{observe, observe_among_others, observe_settled};
pub(crate) use observed::Readiness;
pub(crate) use queue::{Line, Presence, Ticket};
pub(crate) use remove::{remove_task, size_on_disk, sweep_trash, sweep_unfinished};
pub(crate) use task_dir::{Replaces, TaskDir, encode_record, file};
pub(crate) use tasks_folder::{Names, TasksFolder};
pub(crate) use ttl::{mark as mark_ttl, marked_until, unmark as unmark_ttl};
pub(crate) use want::{Verb, Want};
pub use work::EXTENSION_FILE;
pub(crate) use work::{Work, has_lost_work};
