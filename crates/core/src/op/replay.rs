//! Everything that a task has printed, told to a translator from the beginning.

use super::history::{READING, Telling, Until, run_end};
use super::logs::generation_of;
use crate::client::{Client, find, not_found};
use crate::error::Result;
use crate::event::{EventData, Told, Translate, read_journal};
use crate::log::{LogReader, Unfinished};
use crate::request::StreamChoice;
use crate::store::{Home, Observed};
use crate::task::TaskId;

/// Tells a translator everything that is stored of a task's runs; `take` gets what it says of it.
/// Returns the task as it was before that was read.
///
/// # Errors
/// [`crate::Error::TaskNotFound`]; [`crate::Error::Store`] when the record or a log cannot be read.
pub fn replay(
    client: &Client,
    id: &TaskId,
    translator: &mut dyn Translate,
    take: &mut dyn FnMut(Told),
) -> Result<Observed> {
    let home = client.home_of(id)?;
    let dir = home.task_dir(id)?.ok_or_else(|| not_found(id))?;
    let observed = find(&home, id)?;
    let record = observed.record()?;
    let generation = generation_of(&observed);
    let mut entries = read_journal(&dir);
    entries.retain(|entry| entry.generation == generation);
    let end = EventData::of_end(&record.facts.state, &record.spec);
    let until = Until {
        entries: &entries,
        offset: &|_, size| size,
        unfinished: match end.as_ref().and_then(run_end) {
            Some(_) => Unfinished::GiveAll,
            None => Unfinished::Wait,
        },
    };
    let logs = LogReader::open(&home, &dir, id, &generation, StreamChoice::All, READING)?;
    let mut telling = Telling::new(Box::new(translator));
    telling
        .everything(logs, &dir, &until, take)
        .map_err(|error| home.error("read", &Home::log_name(id), error))?;
    // One that is not in the journal.
    if let Some(end) = end {
        let mut told = Vec::new();
        telling.before(&end, record.facts.run, &mut told);
        told.into_iter().for_each(take);
    }
    drop(telling);
    Ok(observed)
}
