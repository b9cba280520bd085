//! A command line of the program under attack, and what it must answer.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::wait::WaitStatus;
use serde_json::Value;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Call {
    pub verb: &'static str,
    pub payload: Value,
    pub flags: Vec<String>,
}

impl Call {
    pub fn new(verb: &'static str, payload: Value) -> Self {
        let flags = vec!["--timeout".to_owned(), "60".to_owned()];
        Self {
            verb,
            payload,
            flags,
        }
    }

    /// Waits for so many seconds at most.
    pub fn within(mut self, seconds: &str) -> Self {
        self.flags = vec!["--timeout".to_owned(), seconds.to_owned()];
        self
    }

    pub fn with(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// As a person would type it.
    pub fn line(&self) -> String {
        format!("{} {} '{}'", self.verb, self.flags.join(" "), self.payload)
    }
}

/// A caller that runs or has run.
pub struct Caller {
    pub call: Call,
    pub pid: i32,
    pub begun: Instant,
    pub killed: bool,
    printed: [PathBuf; 2],
}

/// Executes nothing before it has been told to, so that a tracer is there from the first system
/// call on.
const STAND_IN: &str = r#"read -r go && exec "$0" "$@" </dev/null"#;

impl Caller {
    /// Begins at once.
    pub fn spawn(
        binary: &Path,
        home: &Path,
        folder: &Path,
        number: usize,
        call: Call,
    ) -> io::Result<Self> {
        let mut command = Command::new(binary);
        command.stdin(Stdio::null());
        Self::launch(command, home, folder, number, call).map(|(caller, _)| caller)
    }

    /// Begins when a line is written to the pipe.
    pub fn prepare(
        binary: &Path,
        home: &Path,
        folder: &Path,
        number: usize,
        call: Call,
    ) -> io::Result<(Self, Option<std::process::ChildStdin>)> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", STAND_IN])
            .arg(binary)
            .stdin(Stdio::piped());
        Self::launch(command, home, folder, number, call)
    }

    fn launch(
        mut command: Command,
        home: &Path,
        folder: &Path,
        number: usize,
        call: Call,
    ) -> io::Result<(Self, Option<std::process::ChildStdin>)> {
        let printed = ["out", "err"].map(|name| folder.join(format!("{number}.{name}")));
        command
            .arg(call.verb)
            .args(&call.flags)
            .arg(call.payload.to_string());
        command
            .env("BACKGROUND_TASKS_HOME", home)
            .current_dir(folder);
        command
            .stdout(File::create(&printed[0])?)
            .stderr(File::create(&printed[1])?);
        let begun = Instant::now();
        // Reaped by whoever waits for all children; see `Children`.
        let mut child = command.spawn()?;
        let pid = child.id().cast_signed();
        let caller = Self {
            call,
            pid,
            begun,
            killed: false,
            printed,
        };
        Ok((caller, child.stdin.take()))
    }

    /// The answer of a caller that has ended; an error says what is wrong with it.
    pub fn answer(&self, status: WaitStatus) -> Result<Answer, String> {
        let [out, err] = self
            .printed
            .each_ref()
            .map(|path| fs::read_to_string(path).unwrap_or_default());
        let wrong = |what: &str| format!("{what}: {status:?}\n  out: {out}\n  err: {err}");
        let code = match status {
            WaitStatus::Exited(_, code) => code,
            _ if self.killed => return Ok(Answer::Killed),
            _ => return Err(wrong("it was ended by a signal")),
        };
        if self.call.flags.iter().any(|flag| flag == "--follow") {
            return Ok(Answer::Stream);
        }
        let (told, silent) = if out.is_empty() {
            (&err, &out)
        } else {
            (&out, &err)
        };
        let envelope: Value = serde_json::from_str(told).map_err(|_| wrong("no envelope"))?;
        let problem = &envelope["error"];
        let kind = problem["type"].as_str().unwrap_or_default();
        match envelope["ok"].as_bool() {
            _ if !silent.is_empty() => Err(wrong("two documents")),
            Some(true) if code == 0 || envelope["data"]["outcome"].is_string() => {
                Ok(Answer::Ok(envelope["data"].clone()))
            }
            Some(false) if code == 1 && kind == "InternalError" => Err(wrong("it panicked")),
            Some(false) if code == 1 && kind == "StoreError" => {
                Err(wrong("it found files in disorder"))
            }
            Some(false)
                if code == 1 && !kind.is_empty() && problem["details"]["hint"].is_string() =>
            {
                Ok(Answer::Refused(kind.to_owned(), problem.clone()))
            }
            _ => Err(wrong("no valid envelope")),
        }
    }
}

/// What a caller was told.
#[derive(Clone, Debug)]
pub enum Answer {
    Ok(Value),
    /// The type of the error, and all of it.
    Refused(String, Value),
    Stream,
    Killed,
}
