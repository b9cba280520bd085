//! The mock as a process.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, pause, setsid};

use super::SUBCOMMAND;
use super::play::{Ending, Identity, Stage, play};

/// How the mock tells its grandchild what it is.
const GRANDCHILD: &str = "--grandchild";

/// Runs the mock: reads the prompt from standard input to its end, and does what it says. `args`
/// are those behind the program's subcommand. Returns the exit code, if it returns.
pub fn run_mock(args: impl IntoIterator<Item = OsString>) -> i32 {
    let args: Vec<String> = args
        .into_iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if args.first().is_some_and(|word| word == GRANDCHILD) {
        return outlive();
    }
    match perform(&args) {
        Ok(Ending::Exit(code)) => code,
        Ok(Ending::Crash) => {
            // SIGKILL cannot fail to end it.
            let _ = kill(Pid::this(), Signal::SIGKILL);
            hang()
        }
        Ok(Ending::Hang) => hang(),
        // Nobody reads any more: there is nobody to tell.
        Err(_) => 1,
    }
}

fn perform(args: &[String]) -> io::Result<Ending> {
    let mut prompt = Vec::new();
    io::stdin().lock().read_to_end(&mut prompt)?;
    let prompt = String::from_utf8_lossy(&prompt);
    play(
        &prompt,
        &identity(args),
        &mut Real,
        &mut io::stdout().lock(),
    )
}

fn identity(args: &[String]) -> Identity {
    let value = |name: &str| {
        let at = args.iter().position(|word| word == name)?;
        args.get(at + 1).cloned()
    };
    let session_id = value("--resume").or_else(|| value("--session-id"));
    Identity {
        session_id: session_id.unwrap_or_else(|| super::session_id("session")),
        model: value("--model").unwrap_or_else(|| "mock".to_owned()),
    }
}

fn hang() -> ! {
    loop {
        pause();
    }
}

/// Leaves the session of the one that started it, says so, and stays.
fn outlive() -> i32 {
    if setsid().is_err() || writeln!(io::stderr(), "away").is_err() {
        return 1;
    }
    hang()
}

struct Real;

impl Stage for Real {
    fn sleep(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn stderr(&mut self, line: &str) -> io::Result<()> {
        io::stderr().write_all(format!("{line}\n").as_bytes())
    }

    fn write_file(&mut self, path: &str, text: &str) -> io::Result<()> {
        std::fs::write(path, text)
    }

    /// There is one thread: a signal that it blocks stays pending for ever.
    fn ignore_term(&mut self) -> io::Result<()> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        Ok(signals.thread_block()?)
    }

    /// It is awaited until it has left, so that what follows always finds it outside.
    fn leave_a_process(&mut self) -> io::Result<()> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([SUBCOMMAND, GRANDCHILD])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut told = String::new();
        if let Some(pipe) = child.stderr.take() {
            BufReader::new(pipe).read_line(&mut told)?;
        }
        match told.as_str() {
            "away\n" => self.stderr(&format!("process {} is left behind", child.id())),
            _ => Err(io::Error::other(
                "the process that was to be left behind did not start",
            )),
        }
    }

    fn workdir(&self) -> String {
        std::env::current_dir()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}
