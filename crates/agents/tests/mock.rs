//! The mock as a process. This program is both: the tests, and, when it is executed with the
//! mock's subcommand, the mock.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use background_tasks_agents::{AgentEvent, Category, Outcome, Parser, Provider, run_mock};
use background_tasks_core::task::SignalNumber;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use serde_json::Value;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|word| word == "__mock") {
        return ExitCode::from(u8::try_from(run_mock(args)).unwrap_or(1));
    }
    let tests: [(&str, fn()); 9] = [
        (
            "it_is_read_like_any_other_agent",
            it_is_read_like_any_other_agent,
        ),
        ("a_script_is_followed", a_script_is_followed),
        ("a_session_is_gone_on_with", a_session_is_gone_on_with),
        ("it_exits_as_told", it_exits_as_told),
        ("a_crash_is_a_kill", a_crash_is_a_kill),
        ("hang_waits_for_its_end", hang_waits_for_its_end),
        ("ignore_term_stays", ignore_term_stays),
        (
            "fork_leaves_a_process_with_the_output",
            fork_leaves_a_process_with_the_output,
        ),
        ("it_ends_when_nobody_reads", it_ends_when_nobody_reads),
    ];
    let mut report = std::io::stdout();
    for (name, test) in tests {
        test();
        // There is no harness that would.
        writeln!(report, "test {name} ... ok").unwrap();
    }
    ExitCode::SUCCESS
}

struct Mock {
    child: Child,
    output: Box<dyn BufRead>,
}

impl Mock {
    fn start(prompt: &str, args: &[&str], workdir: &Path) -> Self {
        let mut mock = Self::waiting(args, workdir);
        mock.tell(prompt);
        mock
    }

    /// One that waits for its prompt.
    fn waiting(args: &[&str], workdir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("__mock")
            .args(args)
            .current_dir(workdir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Box::new(BufReader::new(child.stdout.take().unwrap()));
        Self { child, output }
    }

    fn tell(&mut self, prompt: &str) {
        let mut stdin = self.child.stdin.take().unwrap();
        stdin.write_all(prompt.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Everything else that it says on either stream, and how it ended.
    fn rest(mut self) -> (String, String, ExitStatus) {
        let (mut output, mut errors) = (String::new(), String::new());
        self.output.read_to_string(&mut output).unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        (output, errors, self.child.wait().unwrap())
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // Already gone and reaped, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn here() -> std::path::PathBuf {
    std::env::temp_dir()
}

fn a_script_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let prompt =
        "Hello.\nwrite a.txt some words\nnoise [WARN] x\nstderr oh\npartial two pieces\nsleep 1\n";
    let mock = Mock::start(
        prompt,
        &["--session-id", "s1", "--model", "m"],
        folder.path(),
    );
    let (output, errors, status) = mock.rest();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(errors, "oh\n");
    assert_eq!(
        fs::read_to_string(folder.path().join("a.txt")).unwrap(),
        "some words"
    );
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 7, "{output}");
    assert_eq!(lines[4], "[WARN] x");
    let (first, last) = (json(lines[0]), json(lines[6]));
    assert_eq!(
        (&first["session_id"], &first["model"]),
        (&"s1".into(), &"m".into())
    );
    let folder = folder.path().canonicalize().unwrap();
    assert_eq!(first["cwd"], folder.to_str().unwrap());
    assert_eq!(
        (&last["type"], &last["result"]),
        (&"result".into(), &"two pieces".into())
    );
}

fn a_session_is_gone_on_with() {
    let args = ["--session-id", "new", "--resume", "old"];
    let (output, ..) = Mock::start("hi", &args, &here()).rest();
    assert_eq!(json(output.lines().next().unwrap())["session_id"], "old");
    let (again, ..) = Mock::start("hi", &args, &here()).rest();
    assert_eq!(output, again);
}

fn it_exits_as_told() {
    let cases = [
        ("exit 0", 0, 1),
        ("exit 255", 255, 1),
        ("no-result", 0, 1),
        ("error 429", 1, 2),
    ];
    for (prompt, code, lines) in cases {
        let (output, _, status) = Mock::start(prompt, &[], &here()).rest();
        assert_eq!(
            (status.code(), output.lines().count()),
            (Some(code), lines),
            "{prompt}"
        );
    }
}

fn a_crash_is_a_kill() {
    let (output, _, status) = Mock::start("say a\ncrash\nsay b", &[], &here()).rest();
    assert_eq!(status.signal(), Some(9));
    assert_eq!(output.lines().count(), 2, "{output}");
}

fn hang_waits_for_its_end() {
    let mut mock = Mock::start("say a\nhang", &[], &here());
    mock.line();
    assert_eq!(json(&mock.line())["type"], "assistant");
    mock.signal(Signal::SIGTERM);
    let (output, _, status) = mock.rest();
    assert_eq!((output.as_str(), status.signal()), ("", Some(15)));
}

fn ignore_term_stays() {
    let mut mock = Mock::start(
        "ignore-term\nsay ready\nsleep 50\nsay b\nhang",
        &[],
        &here(),
    );
    mock.line();
    assert!(mock.line().contains("ready"));
    mock.signal(Signal::SIGTERM);
    // It goes on with its script, and stays after it.
    assert_eq!(json(&mock.line())["message"]["content"][0]["text"], "b");
    assert!(mock.child.try_wait().unwrap().is_none());
    mock.signal(Signal::SIGKILL);
    assert_eq!(mock.rest().2.signal(), Some(9));
}

fn fork_leaves_a_process_with_the_output() {
    let mut mock = Mock::start("fork\nsay done", &[], &here());
    let lines = [mock.line(), mock.line(), mock.line()];
    assert_eq!(json(&lines[2])["type"], "result");
    let mut told = String::new();
    BufReader::new(mock.child.stderr.take().unwrap())
        .read_line(&mut told)
        .unwrap();
    let pid = told.split_whitespace().find_map(|word| word.parse().ok());
    let left = Left(Pid::from_raw(pid.unwrap_or_else(|| panic!("{told}"))));
    assert_eq!(mock.child.wait().unwrap().code(), Some(0));
    assert_eq!(
        getsid(Some(left.0)),
        Ok(left.0),
        "it has a session of its own"
    );
    // It has the output, which ends with it.
    drop(left);
    let mut rest = String::new();
    mock.output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

/// A process that was left behind, which ends with the test.
struct Left(Pid);

impl Drop for Left {
    fn drop(&mut self) {
        kill(self.0, Signal::SIGKILL).unwrap();
    }
}

fn it_ends_when_nobody_reads() {
    let mut mock = Mock::waiting(&[], &here());
    mock.output = Box::new(std::io::empty());
    mock.tell("say a\nhang");
    assert_eq!(mock.child.wait().unwrap().code(), Some(1));
}

/// The names of the events that a run makes, and the last of them.
fn events(prompt: &str) -> (Vec<&'static str>, AgentEvent) {
    let (output, _, status) = Mock::start(prompt, &[], &here()).rest();
    let mut parser = Parser::new(Provider::Mock);
    let mut events: Vec<AgentEvent> = Vec::new();
    for line in output.lines() {
        events.extend(parser.line(line.as_bytes()));
    }
    let noise = prompt
        .lines()
        .filter(|line| line.starts_with("noise"))
        .count();
    assert_eq!(parser.unparsed_lines(), noise as u64, "{output}");
    let outcome = match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exited(code),
        (None, signal) => Outcome::Signalled(signal.and_then(SignalNumber::from_number).unwrap()),
    };
    events.extend(parser.finish(outcome));
    let names = events.iter().map(|event| match event {
        AgentEvent::Session { .. } => "session",
        AgentEvent::Text { .. } => "text",
        AgentEvent::ToolStart { .. } => "tool_start",
        AgentEvent::ToolEnd { .. } => "tool_end",
        AgentEvent::End { error: None, .. } => "end",
        AgentEvent::End { .. } => "error",
        AgentEvent::Crashed { .. } => "crashed",
        other => panic!("{other:?}"),
    });
    (names.collect(), events.pop().unwrap())
}

fn it_is_read_like_any_other_agent() {
    let cases: [(&str, &[&str]); 7] = [
        ("Hello.", &["session", "text", "end"]),
        (
            "say a\npartial b\nnoise c",
            &["session", "text", "text", "end"],
        ),
        (
            "tool Bash {\"command\": \"ls\"}",
            &["session", "tool_start", "tool_end", "end"],
        ),
        ("error 429 too many requests", &["session", "error"]),
        ("say a\nno-result", &["session", "text", "error"]),
        ("say a\nexit 3", &["session", "text", "crashed"]),
        ("crash", &["session", "crashed"]),
    ];
    for (prompt, expected) in cases {
        assert_eq!(events(prompt).0, expected, "{prompt}");
    }
    let AgentEvent::End {
        error: Some(error), ..
    } = events("error 429 too many requests").1
    else {
        panic!("no error")
    };
    assert_eq!(error.category, Category::RateLimit);
    assert_eq!(error.message, "429 too many requests");
}
