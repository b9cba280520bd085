//! One round: a home of its own, callers, kills, and what they came to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::call::{Answer, Call, Caller};
use super::children::Children;
use super::proc::{self, Kind};
use super::scripts::Scripts;
use super::truth::Truth;

/// Set by Ctrl-C: whatever is waited for is given up.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// No command may take longer, on however busy a machine.
pub const BOUND: Duration = Duration::from_secs(90);

/// Whom a kill has hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Caller,
    Supervisor,
    Command,
}

/// A process that was killed.
#[derive(Debug)]
pub struct Kill {
    pub victim: Victim,
    pub pid: i32,
}

/// A round under way. Dropping it ends whatever it has left.
pub struct Round<'a> {
    binary: PathBuf,
    pub folder: PathBuf,
    pub home: PathBuf,
    pub scripts: Scripts,
    pub children: &'a mut Children,
    pub callers: Vec<Caller>,
    pub answers: BTreeMap<usize, Answer>,
    pub kills: Vec<Kill>,
    pub problems: Vec<String>,
    /// What was done, for a report.
    pub history: Vec<String>,
    /// Ids whose start was answered with ok.
    pub started: BTreeSet<String>,
    /// The mark of the start that nobody has come after, if it was answered with ok.
    pub last_start: Option<String>,
    begun: Instant,
}

impl<'a> Round<'a> {
    pub fn new(binary: PathBuf, folder: &Path, children: &'a mut Children) -> io::Result<Self> {
        let folder = folder.to_owned();
        let home = folder.join("home");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let scripts = Scripts::new(Truth::new(&folder));
        Ok(Self {
            binary,
            folder,
            home,
            scripts,
            children,
            callers: Vec::new(),
            answers: BTreeMap::new(),
            kills: Vec::new(),
            problems: Vec::new(),
            history: Vec::new(),
            started: BTreeSet::new(),
            last_start: None,
            begun: Instant::now(),
        })
    }

    pub fn note(&mut self, what: impl AsRef<str>) {
        let at = self.begun.elapsed().as_secs_f64() * 1000.0;
        self.history.push(format!("{at:9.3} ms  {}", what.as_ref()));
    }

    pub fn problem(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.problems.contains(&what) {
            self.problems.push(what);
        }
    }

    /// Begins a command.
    pub fn spawn(&mut self, call: Call) -> Result<usize, String> {
        let number = self.callers.len();
        self.note(format!("[{number}] {}", call.line()));
        let caller = Caller::spawn(&self.binary, &self.home, &self.folder, number, call);
        self.callers
            .push(caller.map_err(|e| format!("cannot spawn: {e}"))?);
        Ok(number)
    }

    /// A command that begins when it is told to.
    pub fn prepare(&mut self, call: Call) -> Result<(usize, std::process::ChildStdin), String> {
        let number = self.callers.len();
        self.note(format!("[{number}] {} (traced)", call.line()));
        let prepared = Caller::prepare(&self.binary, &self.home, &self.folder, number, call);
        let (caller, pipe) = prepared.map_err(|e| format!("cannot spawn: {e}"))?;
        self.callers.push(caller);
        Ok((number, pipe.ok_or("no pipe")?))
    }

    /// Waits for the answer of a caller. One that takes too long is a problem, and ended.
    pub fn finish(&mut self, number: usize) -> Result<Answer, String> {
        let (pid, begun) = (self.callers[number].pid, self.callers[number].begun);
        if let Some(answer) = self.answers.get(&number) {
            return Ok(answer.clone());
        }
        let end = loop {
            if let Some(end) = self.children.end_of(pid) {
                break end;
            }
            if begun.elapsed() > BOUND || INTERRUPTED.load(Ordering::Relaxed) {
                let line = self.callers[number].call.line();
                self.problem(format!("[{number}] does not answer: {line}"));
                self.callers[number].killed = true;
                proc::end(pid);
                return Err("gave up".to_owned());
            }
            std::thread::sleep(Duration::from_micros(300));
        };
        let answer = self.callers[number].answer(end);
        let answer = answer.unwrap_or_else(|problem| {
            self.problem(format!("[{number}] {problem}"));
            Answer::Killed
        });
        self.note(format!("[{number}] answered {}", brief(&answer)));
        self.learn(number, &answer);
        self.answers.insert(number, answer.clone());
        Ok(answer)
    }

    fn learn(&mut self, number: usize, answer: &Answer) {
        let Answer::Ok(data) = answer else { return };
        if self.callers[number].call.verb != "start" {
            return;
        }
        let each = data["results"].as_array().cloned();
        for answer in each.unwrap_or_else(|| vec![data.clone()]) {
            let data = if answer["data"].is_object() {
                &answer["data"]
            } else {
                &answer
            };
            if let Some(id) = data["task"]["id"].as_str() {
                self.started.insert(id.to_owned());
            }
        }
    }

    /// Runs a command that nobody disturbs; it must succeed.
    pub fn ask(&mut self, call: Call) -> Result<Value, String> {
        let line = call.line();
        let number = self.spawn(call)?;
        match self.finish(number)? {
            Answer::Ok(data) => Ok(data),
            other => Err(format!("`{line}` came to {}", brief(&other))),
        }
    }

    /// Kills a process and notes whose it was.
    pub fn kill(&mut self, victim: Victim, pid: i32, why: &str) {
        self.note(format!("SIGKILL to {victim:?} {pid} {why}"));
        proc::end(pid);
        if let Some(caller) = self.callers.iter_mut().find(|caller| caller.pid == pid) {
            caller.killed = true;
        }
        self.kills.push(Kill { victim, pid });
    }

    /// Kills whoever supervises a task; how many there were.
    pub fn kill_supervisors(&mut self, id: &str) -> usize {
        let pids = self.supervisors(id);
        for pid in &pids {
            self.kill(Victim::Supervisor, *pid, id);
        }
        pids.len()
    }

    pub fn supervisors(&self, id: &str) -> Vec<i32> {
        let is_of = |kind: &Kind| matches!(kind, Kind::Supervisor { id: of } if of == id);
        let found = proc::of_home(&self.home).into_iter();
        found
            .filter(|found| is_of(&found.kind))
            .map(|found| found.pid)
            .collect()
    }

    /// Kills the latest command of a task if it is alive.
    pub fn kill_command(&mut self, id: &str) -> bool {
        let notes = self.scripts.truth.read();
        let Some(begun) = notes.latest(id).cloned() else {
            return false;
        };
        if !proc::has_variable(begun.pid, "BACKGROUND_TASKS_RUN", &begun.run) {
            return false;
        }
        self.kill(Victim::Command, begun.pid, id);
        true
    }

    /// Waits for something that must come about.
    pub fn eventually(
        &mut self,
        what: &str,
        mut is: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), String> {
        let begun = Instant::now();
        while !is(self) {
            if begun.elapsed() > Duration::from_secs(40) || INTERRUPTED.load(Ordering::Relaxed) {
                return Err(format!("waited in vain until {what}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Whether somebody of this kind was killed.
    pub fn has_lost(&self, victim: Victim) -> bool {
        self.kills.iter().any(|kill| kill.victim == victim)
    }

    /// Whether any caller asked for one of these.
    pub fn was_asked(&self, verbs: &[&str]) -> bool {
        self.callers
            .iter()
            .any(|caller| verbs.contains(&caller.call.verb))
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        proc::end_all(&self.home);
        for caller in &self.callers {
            if self.children.end_of(caller.pid).is_none() {
                proc::end(caller.pid);
            }
        }
        self.children.forget();
    }
}

/// An answer in a few words.
pub fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Ok(data) => {
            let status = data["task"]["status"].as_str().or(data["outcome"].as_str());
            format!("ok {}", status.unwrap_or_default())
        }
        Answer::Refused(kind, problem) => format!("{kind}: {}", problem["message"]),
        Answer::Stream => "a stream".to_owned(),
        Answer::Killed => "nothing, it was killed".to_owned(),
    }
}
