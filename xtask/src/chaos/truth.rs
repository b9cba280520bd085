//! What really happened, as the commands themselves have written it down.
//!
//! A command notes its run and pid before it does anything, and its exit code right before it
//! exits. A kill in between leaves no second note. Hooks leave a note each.

use std::fs;
use std::path::{Path, PathBuf};

/// The file of notes of one round.
pub struct Truth {
    path: PathBuf,
}

/// The notes, read at some moment.
#[derive(Debug, Default)]
pub struct Notes {
    pub begun: Vec<Begun>,
    pub ends: Vec<End>,
    /// The marks of the starts whose hooks have run, one for each time.
    pub hooks: Vec<String>,
}

/// A run whose command was executed.
#[derive(Clone, Debug)]
pub struct Begun {
    pub id: String,
    pub run: String,
    pub pid: i32,
}

/// A run whose command was about to end by itself.
#[derive(Debug)]
pub struct End {
    pub run: String,
    /// A code, or the name of the signal that it sends itself.
    pub how: String,
}

impl Truth {
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("truth");
        Self { path }
    }

    /// The beginning of a command: a note of the run that it belongs to.
    pub fn begin(&self, mark: &str) -> String {
        let note = format!("begin {mark} $BACKGROUND_TASKS_ID $BACKGROUND_TASKS_RUN $$");
        format!("{}; ", self.note(&note))
    }

    /// The end of a command.
    pub fn exit(&self, code: i64) -> String {
        let note = self.note(&format!("end $BACKGROUND_TASKS_RUN {code}"));
        format!("{note}; exit {code}")
    }

    /// A command that ends itself by a signal.
    pub fn crash(&self, signal: &str) -> String {
        let note = self.note(&format!("end $BACKGROUND_TASKS_RUN SIG{signal}"));
        format!("{note}; kill -{signal} $$; sleep 600")
    }

    /// What a hook does.
    pub fn hook(&self, mark: &str) -> String {
        format!("cat >/dev/null; {}", self.note(&format!("hook {mark}")))
    }

    /// One write to a file that is opened for appending: notes do not mix.
    fn note(&self, words: &str) -> String {
        format!("echo \"{words}\" >>'{}'", self.path.display())
    }

    pub fn read(&self) -> Notes {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut notes = Notes::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["begin", _, id, run, pid] => notes.begun.push(Begun {
                    id: (*id).to_owned(),
                    run: (*run).to_owned(),
                    pid: pid.parse().unwrap_or(0),
                }),
                ["end", run, how] => notes.ends.push(End {
                    run: (*run).to_owned(),
                    how: (*how).to_owned(),
                }),
                ["hook", mark] => notes.hooks.push((*mark).to_owned()),
                _ => {}
            }
        }
        notes
    }
}

impl Notes {
    pub fn of_run(&self, run: &str) -> Option<&Begun> {
        self.begun.iter().find(|begun| begun.run == run)
    }

    pub fn end_of(&self, run: &str) -> Option<&str> {
        let end = self.ends.iter().find(|end| end.run == run);
        end.map(|end| end.how.as_str())
    }

    /// The pid of the latest command of a task.
    pub fn latest(&self, id: &str) -> Option<&Begun> {
        self.begun.iter().rev().find(|begun| begun.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_note_is_read_back() {
        let folder = std::env::temp_dir().join(format!("chaos-truth-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let truth = Truth::new(&folder);
        let script = format!("{}{}", truth.begin("m1"), truth.exit(7));
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).env("BACKGROUND_TASKS_ID", "a");
        let mut child = shell.env("BACKGROUND_TASKS_RUN", "r1").spawn().unwrap();
        let pid = child.id().cast_signed();
        assert_eq!(child.wait().unwrap().code(), Some(7));
        let notes = truth.read();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(notes.latest("a").map(|begun| begun.pid), Some(pid));
        assert_eq!(notes.end_of("r1"), Some("7"));
        assert_eq!(notes.end_of("r2"), None);
        assert!(notes.of_run("r1").is_some() && notes.hooks.is_empty());
    }
}
