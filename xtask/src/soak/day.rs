//! The tasks of a day, and what is done with them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Result;
use crate::bench::home::{Home, pid, text};
use crate::bench::memory::parent;
use crate::random::Random;

/// Tasks that come and go beside others that stay.
pub struct Day<'a> {
    home: &'a Home,
    random: Random,
    long: u32,
    /// So many ended tasks stay.
    kept: u32,
    /// The short ones whose end nobody has asked for yet, with the exit code that they are to have.
    unread: BTreeMap<String, u64>,
}

impl<'a> Day<'a> {
    /// Starts the long ones: each a shell with a child that prints now and then.
    pub fn begin(home: &'a Home, random: Random, long: u32, kept: u32) -> Result<Self> {
        let tasks: Value = (0..long)
            .map(|number| {
                json!({
                    "id": name(u64::from(number)),
                    "shell": "while :; do echo still here; sleep 7; done",
                    "tags": ["long"],
                    "limits": {"log_bytes": 65536},
                })
            })
            .collect();
        home.ask("start", &tasks, &[])?;
        let unread = BTreeMap::new();
        Ok(Self {
            home,
            random,
            long,
            kept,
            unread,
        })
    }

    /// Starts a task that ends at once, now and then waiting for it.
    pub fn short_task(&mut self, number: u32) -> Result {
        let id = format!("short-{number}");
        let code = self.random.below(4);
        let task =
            json!({"id": id, "shell": format!("echo {number}; exit {code}"), "tags": ["short"]});
        if self.random.percent(10) {
            let (_, data) = self.home.ask("start", &task, &["--wait"])?;
            return expect(&data["task"], code);
        }
        self.home.ask("start", &task, &[])?;
        self.unread.insert(id, code);
        Ok(())
    }

    /// Does something to a task of either kind.
    pub fn some_verb(&mut self) -> Result {
        let long = name(self.random.below(u64::from(self.long)));
        let wish = json!({ "id": long });
        match self.random.below(12) {
            0 => self.home.ask("restart", &wish, &[])?,
            1 => {
                self.home.ask("pause", &wish, &[])?;
                self.home.ask("resume", &wish, &[])?
            }
            2 => self
                .home
                .ask("signal", &json!({"id": long, "signal": "SIGCONT"}), &[])?,
            3 => self
                .home
                .ask("logs", &json!({"id": long, "lines": 20}), &[])?,
            4 => self.home.ask("events", &wish, &[])?,
            5 => self.home.ask("list", &json!({"limit": 50}), &[])?,
            6 => self
                .home
                .ask("status", &json!({"id": long, "resources": true}), &[])?,
            7 => {
                self.home
                    .ask("stop", &json!({"id": long, "grace_ms": 2000}), &[])?;
                self.home.ask("restart", &wish, &[])?
            }
            _ => return self.read_one(),
        };
        Ok(())
    }

    /// Waits for one of the short tasks, and removes it half of the time.
    fn read_one(&mut self) -> Result {
        let Some((id, code)) = self.unread.pop_first() else {
            return Ok(());
        };
        let wish = json!({ "id": id });
        self.home.ask("wait", &wish, &[])?;
        let (_, data) = self.home.ask("status", &wish, &[])?;
        expect(&data["task"], code)?;
        if self.random.percent(50) {
            self.home.ask("remove", &wish, &[])?;
        }
        Ok(())
    }

    /// Reads every end that is still to be read and removes all but the newest.
    pub fn tidy_up(&mut self) -> Result {
        while !self.unread.is_empty() {
            self.read_one()?;
        }
        self.home.ask("prune", &json!({ "keep": self.kept }), &[])?;
        Ok(())
    }

    /// Who looks after the long ones.
    pub fn supervisors(&self) -> Result<Vec<i32>> {
        let wish = json!({"tag": "long", "limit": self.long});
        let (_, data) = self.home.ask("list", &wish, &[])?;
        let tasks = data["tasks"].as_array().ok_or("list shows tasks")?;
        if let Some(lost) = tasks.iter().find(|task| task["status"] != "running") {
            return Err(format!("a long task does not run: {lost}").into());
        }
        let parents = tasks.iter().map(|task| Ok(parent(pid(task)?)?.try_into()?));
        parents.collect()
    }

    /// Stops everything.
    pub fn end(&self) -> Result {
        let (_, data) = self
            .home
            .ask("stop", &json!({"all": true, "grace_ms": 2000}), &[])?;
        match data["error_count"].as_u64() {
            Some(0) => Ok(()),
            _ => Err(format!("stop of all: {}", data["outcome"]).into()),
        }
    }
}

impl Drop for Day<'_> {
    fn drop(&mut self) {
        if let Err(problem) = self
            .home
            .ask("stop", &json!({"all": true, "grace_ms": 0}), &[])
        {
            eprintln!(
                "tasks may be left behind in {}: {problem}",
                self.home.folder.display()
            );
        }
    }
}

fn name(number: u64) -> String {
    format!("long-{number}")
}

/// The end must be the one that the command had.
fn expect(task: &Value, code: u64) -> Result {
    if task["exit_code"].as_u64() == Some(code) {
        return Ok(());
    }
    Err(format!(
        "{} should have ended with {code}: {task}",
        text(task, "id")?
    )
    .into())
}
