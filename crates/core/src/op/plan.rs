//! In which order the tasks of a batch are launched: those first that others are to run after.

use std::collections::BTreeMap;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::request::{Start, invalid};
use crate::store::{Awaited, Home, observe_among_others};
use crate::task::{TaskId, TaskState};

/// A batch whose tasks wait only for what is there, and not for each other.
pub(super) struct Plan {
    /// For each item, after how many others in a row it comes at the least.
    pub levels: Vec<usize>,
}

/// A task that takes part in the waiting: an item of the batch, or one that waits already.
struct Node {
    /// Its place in the batch.
    item: Option<usize>,
    id: Option<TaskId>,
    /// The nodes that it waits for.
    waits_for: Vec<usize>,
    level: Option<usize>,
}

/// An error with the index of the item that it is about.
type AboutItem = (usize, Error);

impl Plan {
    /// Makes the plan of a batch, changing nothing.
    ///
    /// # Errors
    /// [`Error::CommandInput`] when an item waits for a task that is not there, or for itself by way
    /// of others; [`Error::Store`] when the home cannot be used.
    pub(super) fn of(client: &Client, requests: &[Start]) -> std::result::Result<Self, AboutItem> {
        let home = client.existing_home().map_err(|error| (0, error))?;
        let mut graph = Graph {
            home: home.as_ref(),
            nodes: Vec::new(),
            by_id: BTreeMap::new(),
        };
        for (index, request) in requests.iter().enumerate() {
            graph.add(Some(index), request.id.clone());
        }
        for (index, request) in requests.iter().enumerate() {
            for id in request.after.iter().flat_map(|after| &after.ids) {
                let other = graph.find(id).map_err(|error| (index, error))?;
                let other = other.ok_or_else(|| (index, unknown(id)))?;
                graph.nodes[index].waits_for.push(other);
            }
        }
        graph.follow_those_who_wait();
        graph.set_levels();
        if let Some(about_item) = graph.explain_cycle() {
            return Err(about_item);
        }
        let items = graph.nodes.iter().take(requests.len());
        Ok(Self {
            levels: items.map(|node| node.level.unwrap_or(0)).collect(),
        })
    }
}

fn unknown(id: &TaskId) -> Error {
    invalid(
        "after.ids",
        format!("there is no task {id}, here or in the array"),
        "Start it in the same array, or before.",
    )
}

struct Graph<'a> {
    home: Option<&'a Home>,
    nodes: Vec<Node>,
    by_id: BTreeMap<TaskId, usize>,
}

impl Graph<'_> {
    fn add(&mut self, item: Option<usize>, id: Option<TaskId>) -> usize {
        let at = self.nodes.len();
        if let Some(id) = &id {
            self.by_id.insert(id.clone(), at);
        }
        self.nodes.push(Node {
            item,
            id,
            waits_for: Vec::new(),
            level: None,
        });
        at
    }

    /// The node of a task of the batch, or of one that exists; `None` where there is no such task.
    fn find(&mut self, id: &TaskId) -> Result<Option<usize>> {
        if let Some(at) = self.by_id.get(id) {
            return Ok(Some(*at));
        }
        let Some(home) = self.home else {
            return Ok(None);
        };
        let exists = observe_among_others(home, id)?.is_some();
        Ok(exists.then(|| self.add(None, Some(id.clone()))))
    }

    /// Tasks that exist may wait themselves, in the end for one of the batch.
    fn follow_those_who_wait(&mut self) {
        let mut at = 0;
        while at < self.nodes.len() {
            if self.nodes[at].item.is_none() {
                for id in self.awaited_by(at) {
                    let other = match self.by_id.get(&id) {
                        Some(other) => *other,
                        None => self.add(None, Some(id)),
                    };
                    self.nodes[at].waits_for.push(other);
                }
            }
            at += 1;
        }
    }

    fn awaited_by(&self, at: usize) -> Vec<TaskId> {
        let look = || {
            let id = self.nodes[at].id.as_ref()?;
            let dir = self.home?.task_dir(id).ok()??;
            let record = dir.read_record().ok()?;
            let facts = &record.facts;
            let waits = matches!(facts.state, TaskState::Queued | TaskState::Starting)
                && Awaited::read(&dir, &facts.generation).is_some();
            record.spec.after.filter(|_| waits)
        };
        look().map_or_else(Vec::new, |after| after.ids)
    }

    /// Each comes after all that it waits for; who is in a cycle, or behind one, gets no level.
    fn set_levels(&mut self) {
        let mut waited_for_by: Vec<Vec<usize>> = self.nodes.iter().map(|_| Vec::new()).collect();
        for (at, node) in self.nodes.iter().enumerate() {
            for other in &node.waits_for {
                waited_for_by[*other].push(at);
            }
        }
        let mut missing: Vec<usize> = self.nodes.iter().map(|it| it.waits_for.len()).collect();
        let mut ready: Vec<usize> = (0..missing.len()).filter(|at| missing[*at] == 0).collect();
        while let Some(at) = ready.pop() {
            let node = &self.nodes[at];
            let levels = node.waits_for.iter().map(|it| self.nodes[*it].level);
            let level = levels.max().flatten().map_or(0, |highest| highest + 1);
            self.nodes[at].level = Some(level);
            for other in &waited_for_by[at] {
                missing[*other] -= 1;
                if missing[*other] == 0 {
                    ready.push(*other);
                }
            }
        }
    }

    /// The error for the first item that waits for itself.
    fn explain_cycle(&self) -> Option<AboutItem> {
        let without_level = |at: &usize| self.nodes[*at].level.is_none();
        let mut at = (0..self.nodes.len()).find(without_level)?;
        // Whoever has no level waits for somebody without: going on leads into a cycle, and once
        // around it.
        let mut path = Vec::new();
        let begin = loop {
            if let Some(begin) = path.iter().position(|seen| *seen == at) {
                break begin;
            }
            path.push(at);
            at = self.nodes[at]
                .waits_for
                .iter()
                .copied()
                .find(without_level)?;
        };
        let cycle = &path[begin..];
        let index = cycle.iter().filter_map(|at| self.nodes[*at].item).min()?;
        let first = cycle
            .iter()
            .position(|at| self.nodes[*at].item == Some(index))?;
        let around = cycle[first..].iter().chain(&cycle[..=first]);
        let names: Vec<&str> = around
            .filter_map(|at| self.nodes[*at].id.as_ref().map(TaskId::as_str))
            .collect();
        let problem = format!("tasks wait for each other: {}", names.join(" after "));
        let hint = "Leave out one of them.";
        Some((index, invalid("after.ids", problem, hint)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::Program;

    fn plan(batch: &[(&str, &[&str])]) -> std::result::Result<Vec<usize>, (usize, String)> {
        let requests: Vec<Start> = batch
            .iter()
            .map(|(id, after)| {
                let after = (!after.is_empty()).then(|| serde_json::json!({ "ids": after }));
                let request = serde_json::json!({ "id": id, "shell": "true", "after": after });
                serde_json::from_value(request).unwrap()
            })
            .collect();
        let nowhere = Client::new("/nonexistent/home".into(), Program::default());
        Plan::of(&nowhere, &requests)
            .map(|plan| plan.levels)
            .map_err(|(index, error)| (index, error.to_string()))
    }

    #[test]
    fn each_comes_after_what_it_waits_for() {
        let batch: [(&str, &[&str]); 5] = [
            ("tests", &["server", "seed"]),
            ("server", &["db"]),
            ("other", &[]),
            ("db", &[]),
            ("seed", &["server", "db"]),
        ];
        assert_eq!(plan(&batch).unwrap(), [3, 1, 0, 0, 2]);
    }

    #[test]
    fn who_waits_for_nobody_or_for_itself_is_refused() {
        let (index, problem) = plan(&[("a", &[]), ("b", &["a", "c"])]).unwrap_err();
        assert_eq!(index, 1);
        assert!(problem.contains("no task c"), "{problem}");
        let batch: [(&str, &[&str]); 5] = [
            ("behind", &["a"]),
            ("x", &[]),
            ("c", &["x", "b"]),
            ("b", &["a"]),
            ("a", &["c"]),
        ];
        let (index, problem) = plan(&batch).unwrap_err();
        assert_eq!(index, 2);
        assert!(problem.contains("c after b after a after c"), "{problem}");
    }

    #[test]
    fn a_long_chain_is_no_deep_recursion() {
        let ids: Vec<String> = (0..20_000).map(|n| format!("t{n}")).collect();
        let befores: Vec<[&str; 1]> = ids.iter().map(|id| [id.as_str()]).collect();
        let mut batch: Vec<(&str, &[&str])> = vec![("t0", &[])];
        batch.extend((1..ids.len()).map(|n| (ids[n].as_str(), &befores[n - 1][..])));
        assert_eq!(plan(&batch).unwrap().last(), Some(&19_999));
    }
}
