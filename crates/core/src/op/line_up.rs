//! A batch in which tasks wait: for each other, or in lines.
//!
//! All of it is claimed, and what waits is put on record in the order of the array, before anything
//! is launched. So two batches at once do not shuffle each other's order, and who may not start is
//! known first. The short locks are taken in the order of the ids, so that no two batches wait for
//! each other.

use std::collections::BTreeMap;

use super::claim::{Claim, Claimed, claim, claim_any};
use super::expire::{A_FEW, expire};
use super::in_parallel;
use super::place::taken;
use super::plan::Plan;
use super::position::Positions;
use super::start::started;
use crate::client::Client;
use crate::clock::{Deadline, Timestamp};
use crate::error::{Error, Result};
use crate::request::{IfRunning, Start, StartAnswer, Target};
use crate::store::{Home, ShortLock};
use crate::supervisor::check_limits;
use crate::task::{Task, TaskId, TaskRecord, TaskSpec};

/// So many are claimed at once: each takes a descriptor, of which a process has 1024, mostly.
const AT_ONCE: usize = 256;

/// An item, with all that is needed to start it.
struct Item {
    index: usize,
    id: Option<TaskId>,
    if_running: IfRunning,
    spec: TaskSpec,
    submitted_at: Timestamp,
}

/// How far the start of an item has got before the launch.
enum Prepared {
    /// It runs already, and is all that is asked for.
    Present(Box<Task>),
    /// Nobody else can start it.
    Held(Box<Held>),
}

/// A claim without its folder: descriptors are scarce.
struct Held {
    id: TaskId,
    lock: ShortLock,
    previous: Option<Vec<u8>>,
    /// Set when it has been put on record already.
    record: Option<TaskRecord>,
}

/// What has become of the items so far, in the order of the array.
type Results = Vec<Option<(Target, Result<StartAnswer>)>>;

impl Plan {
    /// Starts the batch that this plan was made for.
    pub(super) fn carry_out(
        &self,
        client: &Client,
        requests: Vec<Start>,
        concurrency: usize,
        deadline: Deadline,
    ) -> Result<Vec<(Target, Result<StartAnswer>)>> {
        let home = client.home()?;
        expire(&home, A_FEW);
        let mut batch = Batch {
            client,
            home: &home,
            deadline,
            by_id: BTreeMap::new(),
            results: requests.iter().map(|_| None).collect(),
        };
        let mut items = Vec::with_capacity(requests.len());
        for (index, request) in requests.into_iter().enumerate() {
            if let Some(id) = &request.id {
                batch.by_id.insert(id.clone(), index);
            }
            items.extend(batch.resolve(index, request));
        }
        // A stable order: those of one level stay as they stand in the array.
        items.sort_by_key(|item| self.levels[item.index]);
        while !items.is_empty() {
            let rest = items.split_off(items.len().min(AT_ONCE));
            batch.start(&self.levels, items, concurrency);
            items = rest;
        }
        let mut results: Vec<_> = batch.results.into_iter().flatten().collect();
        let mut positions = Positions::of(&home);
        for (_, result) in &mut results {
            if let Ok(answer) = result {
                positions.tell(&mut answer.task);
            }
        }
        Ok(results)
    }
}

struct Batch<'a> {
    client: &'a Client,
    home: &'a Home,
    deadline: Deadline,
    by_id: BTreeMap<TaskId, usize>,
    results: Results,
}

impl Batch<'_> {
    fn resolve(&mut self, index: usize, request: Start) -> Option<Item> {
        let submitted_at = Timestamp::now();
        let (id, if_running) = (request.id.clone(), request.if_running.unwrap_or_default());
        let resolved = request.resolve();
        match resolved.and_then(|spec| check_limits(&spec.limits).map(|()| spec)) {
            Ok(spec) => Some(Item {
                index,
                id,
                if_running,
                spec,
                submitted_at,
            }),
            Err(error) => {
                self.results[index] = Some((Target { id }, Err(error)));
                None
            }
        }
    }

    /// Starts some items whose order is that of their levels.
    fn start(&mut self, levels: &[usize], items: Vec<Item>, concurrency: usize) {
        let claims = self.claim_all(&items);
        let mut waiting = Vec::with_capacity(items.len());
        for (item, claim) in items.into_iter().zip(claims) {
            match claim.and_then(|claim| self.line_up(&item, claim)) {
                Ok(prepared) => waiting.push((item, prepared)),
                Err(error) => self.give_up(&item, error),
            }
        }
        while let Some((first, _)) = waiting.first() {
            let level = levels[first.index];
            let is_later = |(item, _): &(Item, Prepared)| levels[item.index] != level;
            let end = waiting.iter().position(is_later).unwrap_or(waiting.len());
            let rest = waiting.split_off(end);
            let this = &*self;
            let launched = in_parallel(waiting, concurrency, |(item, prepared)| {
                let task = this.launch(&item, prepared);
                (item, task)
            });
            for (item, task) in launched {
                match task {
                    Ok(task) => {
                        let id = Some(task.id.clone());
                        let answer = started(task, item.submitted_at);
                        self.results[item.index] = Some((Target { id }, Ok(answer)));
                    }
                    Err(error) => self.give_up(&item, error),
                }
            }
            waiting = rest;
        }
    }

    fn give_up(&mut self, item: &Item, error: Error) {
        let id = item.id.clone();
        self.results[item.index] = Some((Target { id }, Err(error)));
    }

    /// Claims all items, in the order of their ids; the results are in that of the items.
    fn claim_all(&self, items: &[Item]) -> Vec<Result<Claim>> {
        let mut order: Vec<usize> = (0..items.len()).collect();
        // Ids that differ only in case share a lock.
        order.sort_by_key(|at| {
            let id = items[*at].id.as_ref();
            id.map(|id| id.as_str().to_ascii_lowercase())
        });
        let mut claims: Vec<Option<Result<Claim>>> = items.iter().map(|_| None).collect();
        for at in order {
            let item = &items[at];
            claims[at] = Some(match &item.id {
                Some(id) => claim(self.client, self.home, id, item.if_running, self.deadline),
                None => claim_any(self.home, self.deadline).map(Claim::Free),
            });
        }
        claims.into_iter().flatten().collect()
    }

    fn line_up(&self, item: &Item, claim: Claim) -> Result<Prepared> {
        let claimed = match claim {
            Claim::Free(claimed) => claimed,
            Claim::Present(task) => return Ok(Prepared::Present(task)),
        };
        let mut record = None;
        if item.spec.waits_for_its_turn() {
            let new = claimed.generation(self.client, self.home, self.deadline);
            let previous = claimed.previous.as_deref();
            record = Some(new.line_up(&item.spec, item.submitted_at, previous)?);
        }
        let Claimed {
            id, lock, previous, ..
        } = claimed;
        Ok(Prepared::Held(Box::new(Held {
            id,
            lock,
            previous,
            record,
        })))
    }

    fn launch(&self, item: &Item, prepared: Prepared) -> Result<Task> {
        let held = match prepared {
            Prepared::Present(task) => return Ok(*task),
            Prepared::Held(held) => *held,
        };
        let dir = self.home.task_dir(&held.id)?;
        let claimed = Claimed {
            dir: dir.ok_or_else(|| taken(self.home, &held.id))?,
            id: held.id,
            lock: held.lock,
            previous: held.previous,
        };
        let new = claimed.generation(self.client, self.home, self.deadline);
        let previous = claimed.previous.as_deref();
        match held.record {
            Some(record) => new.launch_recorded(&record, previous, self.not_started(&item.spec)),
            None => new.launch(&item.spec, item.submitted_at, previous),
        }
    }

    /// Those of the tasks that this one is to run after which could not be started.
    fn not_started(&self, spec: &TaskSpec) -> Vec<TaskId> {
        let came_to_nothing = |id: &&TaskId| {
            let result = self.by_id.get(*id).map(|index| &self.results[*index]);
            matches!(result, Some(Some((_, Err(_)))))
        };
        let ids = spec.after.iter().flat_map(|after| &after.ids);
        ids.filter(came_to_nothing).cloned().collect()
    }
}
