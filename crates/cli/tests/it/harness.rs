//! What every test stands on: the real program, a home of its own, a workload that does as it
//! is told, and the one place that sleeps.
//!
//! ```ignore
//! let cli = Cli::new();
//! cli.run("start").payload(work("a", ["exit", "3"])).flags(["--wait"]).ok();
//! cli.run("status").payload(json!({ "id": "b" })).err("TaskNotFound");
//! eventually(|| cli.task("a")["status"] == "exited", "a ends");
//! ```
//!
//! When a [`Cli`] goes out of scope, also by a panic, every task of its home is stopped; what is
//! still alive then is killed, and is a failure of the test.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::processes;
use crate::schemas;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_background-tasks");

/// What takes longer hangs. More than the 60 s that a command waits unless told.
const LIMIT: Duration = Duration::from_secs(90);
/// How long a state may take to come about.
const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until `look` sees what is waited for (`true`, or `Some`) and returns it.
///
/// # Panics
/// When it does not come about in time.
pub fn eventually<S: Sight>(look: impl FnMut() -> S, what: &str) -> S::Seen {
    poll_until(PATIENCE, look).unwrap_or_else(|| panic!("never came about: {what}"))
}

/// The only place that sleeps.
fn poll_until<S: Sight>(patience: Duration, mut look: impl FnMut() -> S) -> Option<S::Seen> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        let seen = look().seen();
        if seen.is_some() || Instant::now() >= deadline {
            return seen;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// What a look can tell.
pub trait Sight {
    type Seen;
    fn seen(self) -> Option<Self::Seen>;
}

impl Sight for bool {
    type Seen = ();
    fn seen(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Sight for Option<T> {
    type Seen = T;
    fn seen(self) -> Self {
        self
    }
}

/// The payload of a `start` that executes the fixture; see the page of `crates/fixture`.
pub fn work<const N: usize>(id: &str, directives: [&str; N]) -> Value {
    json!({ "id": id, "command": fixture(), "args": directives.as_slice() })
}

/// The payload of a `start` that runs a script.
pub fn script(id: &str, shell: &str) -> Value {
    json!({ "id": id, "shell": shell })
}

/// A payload with more fields.
pub fn with(mut payload: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("not an object: {more}");
    };
    let fields = payload.as_object_mut().expect("payloads are objects");
    fields.extend(more);
    payload
}

/// The workload. `cargo test` builds it only when asked for the whole workspace.
pub fn fixture() -> &'static str {
    static FIXTURE: OnceLock<String> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let profile_folder = Path::new(PROGRAM).parent().expect("a file is in a folder");
        let path = profile_folder.join("bt-fixture");
        if !path.exists() {
            build_fixture(profile_folder);
        }
        path.into_os_string()
            .into_string()
            .expect("paths of tests are UTF-8")
    })
}

fn build_fixture(profile_folder: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let target = profile_folder
        .parent()
        .expect("profiles have a folder each");
    let profile = match profile_folder.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let mut build = Command::new(cargo);
    build
        .args(["build", "--quiet", "--package", "background-tasks-fixture"])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = build.status().expect("cargo can be executed");
    assert!(status.success(), "the fixture cannot be built: {build:?}");
}

/// The program with a home of its own.
pub struct Cli {
    folder: TempDir,
    home: PathBuf,
}

impl Cli {
    /// A fresh folder, in which the home does not exist yet.
    pub fn new() -> Self {
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new()
            .prefix("background-tasks-it-")
            .permissions(private)
            .tempdir_in(std::env::temp_dir().canonicalize().expect("there is one"))
            .expect("a temporary folder can be made");
        let home = folder.path().join("home");
        Self { folder, home }
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The test's own folder: working directory of every call, and so of tasks unless told.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in the test's folder.
    pub fn file(&self, name: &str) -> String {
        let path = self.folder.path().join(name).into_os_string();
        path.into_string().expect("paths of tests are UTF-8")
    }

    /// Lets a fixture go on that waits for this file.
    pub fn touch(&self, name: &str) {
        fs::write(self.file(name), "").expect("the test's folder can be written to");
    }

    /// Makes a file through another process. One that this process has written could not be
    /// executed while any thread is between fork and exec (ETXTBSY).
    pub fn make_file(&self, name: &str, mode: &str, content: &str) -> String {
        let path = self.file(name);
        let status = Command::new("sh")
            .args(["-c", r#"printf %s "$3" >"$1" && chmod "$2" "$1""#, "sh"])
            .args([&path, mode, content])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "{path}");
        path
    }

    /// A call of a command, to be completed.
    pub fn run(&self, command: &str) -> Call {
        self.arguments(command.split(' '))
    }

    /// A call with these very arguments.
    pub fn arguments<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Call {
        Call {
            program: PROGRAM.into(),
            words: words.into_iter().map(OsString::from).collect(),
            payload: None,
            stdin: None,
            prelude: None,
            env: vec![(
                "BACKGROUND_TASKS_HOME".into(),
                Some(self.home.clone().into()),
            )],
            workdir: self.folder.path().to_owned(),
            before_exec: None,
        }
    }

    /// Runs a shell script with arguments, to whose output a call's promises apply.
    pub fn shell(&self, script: &str, arguments: &[&str]) -> Outcome {
        let call = Call {
            program: "sh".into(),
            ..self.arguments(["-c", script, "sh"])
        };
        call.flags(arguments.iter().copied()).output()
    }

    /// Starts a task and returns it.
    pub fn start(&self, payload: Value) -> Value {
        self.run("start").payload(payload).ok()["task"].take()
    }

    /// Starts a task, waits for its end and returns it.
    pub fn start_and_wait(&self, payload: Value) -> Value {
        let answer = self.run("start").payload(payload).flags(["--wait"]);
        answer.ok()["task"].take()
    }

    /// The task as `status` shows it.
    pub fn task(&self, id: &str) -> Value {
        self.run("status").payload(json!({ "id": id })).ok()["task"].take()
    }

    /// Stops a task and returns it.
    pub fn stop(&self, id: &str) -> Value {
        self.run("stop").payload(json!({ "id": id })).ok()["task"].take()
    }

    /// Waits for the end of a task and returns it.
    pub fn wait(&self, id: &str) -> Value {
        self.run("wait").payload(json!({ "id": id })).ok()["task"].take()
    }

    /// The ids that `list` shows, in its order.
    pub fn list(&self, filter: Value) -> Vec<String> {
        let answer = self.run("list").payload(filter).ok();
        let ids = answer["tasks"].as_array().expect("tasks is an array");
        ids.iter().map(|task| text(&task["id"])).collect()
    }

    /// The log's bytes.
    pub fn log(&self, id: &str) -> String {
        let log = fs::read(self.home.join(format!("logs/{id}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Waits until the log holds a line.
    pub fn await_line(&self, id: &str, line: &str) {
        eventually(|| self.log(id).lines().any(|found| found == line), line);
    }

    /// Waits until a task has a status; returns the task.
    pub fn await_status(&self, id: &str, status: &str) -> Value {
        let has_status = || Some(self.task(id)).filter(|task| task["status"] == status);
        eventually(has_status, &format!("{id} is {status}"))
    }

    /// A file of the task's folder.
    pub fn task_file(&self, id: &str, name: &str) -> PathBuf {
        self.home.join("tasks").join(id).join(name)
    }

    /// The record as it is stored.
    pub fn record(&self, id: &str) -> Value {
        let bytes = fs::read(self.task_file(id, "task.json")).expect("there is a record");
        serde_json::from_slice(&bytes).expect("records are JSON")
    }

    /// Changes the record of a task that nobody supervises.
    pub fn edit_record(&self, id: &str, edit: impl FnOnce(&mut Value)) {
        let mut record = self.record(id);
        edit(&mut record);
        fs::write(self.task_file(id, "task.json"), record.to_string()).expect("it is ours");
    }

    /// Who holds the supervisor lock of a task.
    pub fn find_supervisor(&self, id: &str) -> Option<i32> {
        let lock = fs::File::open(self.task_file(id, "supervisor.lock")).ok()?;
        let mut asked = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&lock, FcntlArg::F_GETLK(&mut asked)).ok()?;
        (asked.l_type != libc::F_UNLCK as libc::c_short).then_some(asked.l_pid)
    }

    /// Who holds the supervisor lock of a task that is looked after.
    pub fn supervisor(&self, id: &str) -> i32 {
        let found = self.find_supervisor(id);
        found.unwrap_or_else(|| panic!("nobody supervises {id}"))
    }

    /// Waits until the supervisor of a task, which goes on, sleeps for longer than a second.
    pub fn await_rest(&self, id: &str) {
        let pid = self.supervisor(id);
        let rests = || {
            let before = processes::times_slept(pid);
            let wait = self.run("wait").text(id).flags(["--timeout", "1.2"]);
            wait.err("TaskWaitTimedOut");
            processes::times_slept(pid) == before
        };
        eventually(rests, "the supervisor rests");
    }

    /// Waits until the supervisor of a task has nothing left to do.
    pub fn await_no_supervisor(&self, id: &str) {
        eventually(
            || self.find_supervisor(id).is_none(),
            "the supervisor leaves",
        );
    }

    /// Kills the supervisor of a task without warning.
    pub fn lose_supervisor(&self, id: &str) {
        let pid = self.supervisor(id);
        processes::send(pid, Signal::SIGKILL);
        eventually(|| processes::has_ended(pid), "the supervisor is dead");
    }

    /// Every living process of this test: supervisors, commands, what they forked, calls.
    pub fn processes(&self) -> Vec<i32> {
        processes::of_test(self.folder.path(), &self.home)
    }

    /// Those of them that tasks consist of. A supervisor whose work is done is no part of its
    /// task: it has let go of everything and may still need a moment to leave.
    pub fn commands(&self) -> Vec<i32> {
        let mut all = self.processes();
        all.retain(|&pid| {
            let arguments = processes::arguments(pid);
            let supervises = arguments.get(1).is_some_and(|one| one == "__supervise");
            // Who has ended since it was listed has no arguments any more.
            !supervises && processes::is_alive(pid)
        });
        all
    }

    /// Asserts that nothing of any task of this test is left, now; its supervisors leave.
    #[track_caller]
    pub fn assert_no_processes(&self) {
        let left = self.commands();
        let named: Vec<_> = left
            .iter()
            .map(|&pid| (pid, processes::arguments(pid)))
            .collect();
        assert!(left.is_empty(), "{named:?}");
        self.await_no_processes();
    }

    /// Waits until no process of this test is left.
    pub fn await_no_processes(&self) {
        eventually(
            || self.processes().is_empty(),
            "no process of the test is left",
        );
    }

    fn stop_everything(&self) {
        if self.home.join("tasks").is_dir() {
            let everything = json!({ "all": true, "grace_ms": 0 });
            let flags = ["--timeout", "10", "--concurrency", "16"];
            self.run("stop").payload(everything).flags(flags).output();
        }
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        let everything_stops = std::panic::AssertUnwindSafe(|| self.stop_everything());
        let stopped = std::panic::catch_unwind(everything_stops);
        // A call that a test has left to itself may be on its way out.
        poll_until(Duration::from_secs(2), || self.processes().is_empty());
        let survivors = self.processes();
        let named: Vec<_> = (survivors.iter())
            .map(|&pid| (pid, processes::arguments(pid)))
            .collect();
        poll_until(Duration::from_secs(10), || {
            let left = self.processes();
            for &pid in &left {
                processes::send(pid, Signal::SIGKILL);
            }
            left.is_empty()
        });
        if !std::thread::panicking() {
            assert!(stopped.is_ok(), "stop hangs");
            assert!(
                survivors.is_empty(),
                "stop left processes behind: {named:?}"
            );
        }
    }
}

/// For [`Call::before_exec`]: what this process has inherited takes descriptors away, also those of the loader.
pub fn inherit_nothing() -> std::io::Result<()> {
    for fd in 3..64 {
        #[allow(unsafe_code, reason = "descriptors of whom nobody knows")]
        // SAFETY: only sets the flag of a number.
        unsafe {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC)
        };
    }
    Ok(())
}

type BeforeExec = fn() -> std::io::Result<()>;

/// One call of the program.
#[must_use]
pub struct Call {
    program: OsString,
    words: Vec<OsString>,
    payload: Option<OsString>,
    stdin: Option<Vec<u8>>,
    prelude: Option<String>,
    env: Vec<(OsString, Option<OsString>)>,
    workdir: PathBuf,
    before_exec: Option<BeforeExec>,
}

impl Call {
    /// The payload, inline.
    pub fn payload(self, payload: Value) -> Self {
        self.text(payload.to_string())
    }

    /// The payload as it is typed.
    pub fn text(mut self, payload: impl Into<OsString>) -> Self {
        self.payload = Some(payload.into());
        self
    }

    /// The payload through standard input.
    pub fn stdin(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(payload.into());
        self.text("-")
    }

    pub fn flags<'f>(mut self, flags: impl IntoIterator<Item = &'f str>) -> Self {
        self.words.extend(flags.into_iter().map(OsString::from));
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    pub fn without_env(mut self, name: &str) -> Self {
        self.env.push((name.into(), None));
        self
    }

    pub fn workdir(mut self, path: impl Into<PathBuf>) -> Self {
        self.workdir = path.into();
        self
    }

    /// Shell commands that set the stage before the program is executed in the shell's place.
    pub fn after(mut self, prelude: &str) -> Self {
        self.prelude = Some(prelude.to_owned());
        self
    }

    /// Runs in the new process just before it executes the program.
    pub fn before_exec(mut self, prepare: BeforeExec) -> Self {
        self.before_exec = Some(prepare);
        self
    }

    fn command(&self) -> Command {
        let mut command = match &self.prelude {
            None => Command::new(&self.program),
            Some(prelude) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{prelude}\nexec \"$0\" \"$@\"")]);
                shell.arg(&self.program);
                shell
            }
        };
        command.args(&self.words).args(&self.payload);
        command.current_dir(&self.workdir);
        // The tests themselves may run as a task.
        for name in [
            "BACKGROUND_TASKS_ID",
            "BACKGROUND_TASKS_RUN",
            "XDG_STATE_HOME",
        ] {
            command.env_remove(name);
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(prepare) = self.before_exec {
            #[allow(
                unsafe_code,
                reason = "there is no other way to block signals for a child"
            )]
            // SAFETY: the hooks of these tests make system calls only.
            unsafe {
                command.pre_exec(prepare)
            };
        }
        command
    }

    /// Starts the program and leaves it running.
    pub fn spawn(self) -> Background {
        let mut command = self.command();
        let stdin = match self.stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        };
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be executed");
        if let (Some(mut to), Some(bytes)) = (child.stdin.take(), self.stdin) {
            // It need not read all of it.
            std::thread::spawn(move || to.write_all(&bytes));
        }
        Background {
            child: Some(child),
            called: format!("{command:?}").chars().take(2000).collect(),
        }
    }

    /// Runs the program to its end.
    pub fn output(self) -> Outcome {
        self.spawn().finish()
    }

    /// Runs it; see [`Outcome::ok`].
    #[track_caller]
    pub fn ok(self) -> Value {
        self.output().ok()
    }

    /// Runs it; see [`Outcome::exits`].
    #[track_caller]
    pub fn exits(self, code: i32) -> Value {
        self.output().exits(code)
    }

    /// Runs it; see [`Outcome::err`].
    #[track_caller]
    pub fn err(self, kind: &str) -> Value {
        self.output().err(kind)
    }

    /// Runs it; see [`Outcome::frames`].
    #[track_caller]
    pub fn frames(self) -> Vec<Value> {
        self.output().frames()
    }

    /// Starts a stream of frames, to be read as they come.
    pub fn stream(self) -> Stream {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the program can be executed");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (frame, frames) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.expect("frames are UTF-8");
                if frame.send(parsed(line.as_bytes())).is_err() {
                    return;
                }
            }
        });
        Stream { child, frames }
    }
}

/// A call that has not ended yet.
pub struct Background {
    child: Option<Child>,
    called: String,
}

impl Background {
    pub fn pid(&self) -> i32 {
        let child = self.child.as_ref().expect("it is not finished yet");
        child.id().cast_signed()
    }

    /// Waits until it has nothing to do but wait.
    pub fn await_asleep(&self) {
        eventually(|| processes::is_asleep(self.pid()), "it waits");
    }

    /// Kills it.
    pub fn kill(self) {}

    /// Waits for its end *and* the end of its output: a task that holds on to its caller's
    /// descriptors would keep this waiting.
    #[track_caller]
    pub fn finish(mut self) -> Outcome {
        let pid = self.pid();
        let child = self.child.take().expect("it is not finished yet");
        let called = std::mem::take(&mut self.called);
        let (done, wait) = channel();
        std::thread::spawn(move || done.send(child.wait_with_output()));
        let Ok(output) = wait.recv_timeout(LIMIT) else {
            processes::send(pid, Signal::SIGKILL);
            panic!("it hangs: {called}");
        };
        let output = output.expect("pipes can be read");
        Outcome {
            called,
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a call has come to.
pub struct Outcome {
    called: String,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Outcome {
    /// Asserts that it succeeded as promised: exit 0, one document on standard output, nothing
    /// on standard error. Returns `data`.
    #[track_caller]
    pub fn ok(self) -> Value {
        self.exits(0)
    }

    /// As [`Outcome::ok`], but with another exit status: of a batch in which an item failed, or
    /// of a task.
    #[track_caller]
    pub fn exits(self, code: i32) -> Value {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        assert!(self.stderr.is_empty(), "{self:?}");
        let mut envelope = parsed(single_line(&self.stdout));
        assert_eq!(fields(&envelope), ["command", "data", "ok"], "{self:?}");
        assert_eq!(envelope["ok"], true, "{self:?}");
        schemas::assert_fits(&envelope["command"], &envelope["data"]);
        envelope["data"].take()
    }

    /// Asserts that it failed as promised: exit 1, nothing on standard output, one document on
    /// standard error with this type, a hint and whether to try again. Returns `error`.
    #[track_caller]
    pub fn err(self, kind: &str) -> Value {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        let mut envelope = parsed(single_line(&self.stderr));
        assert_eq!(fields(&envelope), ["command", "error", "ok"], "{self:?}");
        assert_eq!(envelope["ok"], false, "{self:?}");
        let error = envelope["error"].take();
        assert_eq!(error["type"], kind, "{self:?}");
        assert_eq!(fields(&error), ["details", "message", "type"], "{self:?}");
        assert!(!text(&error["message"]).is_empty(), "{self:?}");
        assert!(!text(&error["details"]["hint"]).is_empty(), "{self:?}");
        assert!(error["details"]["retryable"].is_boolean(), "{self:?}");
        schemas::assert_fits(&json!("error"), &error);
        error
    }

    /// Asserts that it streamed frames and succeeded; their numbers count up by one.
    #[track_caller]
    pub fn frames(self) -> Vec<Value> {
        assert_eq!(self.status.code(), Some(0), "{self:?}");
        assert!(self.stderr.is_empty(), "{self:?}");
        let frames: Vec<Value> = self.stdout.lines_of_json().collect();
        for (number, frame) in frames.iter().enumerate() {
            assert_eq!(frame["sequence"], number, "{self:?}");
            assert!(!text(&frame["cursor"]).is_empty(), "{self:?}");
            schemas::assert_fits(&json!("frame"), frame);
        }
        frames
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |bytes: &[u8]| -> String {
            String::from_utf8_lossy(bytes).chars().take(3000).collect()
        };
        writeln!(f, "{}\nended with {}", self.called, self.status)?;
        writeln!(f, "stdout: {}", shown(&self.stdout))?;
        writeln!(f, "stderr: {}", shown(&self.stderr))
    }
}

trait LinesOfJson {
    fn lines_of_json(&self) -> impl Iterator<Item = Value>;
}

impl LinesOfJson for Vec<u8> {
    fn lines_of_json(&self) -> impl Iterator<Item = Value> {
        let whole = self.strip_suffix(b"\n").unwrap_or(self);
        whole.split(|&byte| byte == b'\n').map(parsed)
    }
}

/// Asserts that there is one document, on one line.
#[track_caller]
fn single_line(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").expect("a document ends its line");
    assert!(!line.contains(&b'\n'), "{}", String::from_utf8_lossy(bytes));
    line
}

#[track_caller]
pub fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(json)))
}

/// A stream of frames that goes on.
pub struct Stream {
    child: Child,
    frames: Receiver<Value>,
}

impl Stream {
    /// The next frame; `None` when the stream has ended.
    pub fn next(&self) -> Option<Value> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.frames.recv_timeout(PATIENCE) {
            Ok(frame) => {
                schemas::assert_fits(&json!("frame"), &frame);
                Some(frame)
            }
            Err(Disconnected) => None,
            Err(Timeout) => panic!("no frame comes"),
        }
    }

    /// Reads up to and including the first frame of a type, or with this line.
    pub fn await_frame(&self, wanted: &str) -> Value {
        loop {
            let frame = self
                .next()
                .unwrap_or_else(|| panic!("ended before {wanted}"));
            if frame["type"] == wanted || frame["data"]["line"] == wanted {
                return frame;
            }
        }
    }

    /// Everything that is still to come.
    pub fn rest(&self) -> Vec<Value> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Its exit status, once it has ended.
    pub fn finish(mut self) -> ExitStatus {
        self.rest();
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a JSON string.
#[track_caller]
pub fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

/// The pid of a running task.
#[track_caller]
pub fn pid_of(task: &Value) -> i32 {
    let pid = task["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.unwrap_or_else(|| panic!("no pid: {task}"))
}

/// The names of an object's fields, sorted.
#[track_caller]
pub fn fields(value: &Value) -> Vec<&str> {
    let object = value.as_object();
    let object = object.unwrap_or_else(|| panic!("not an object: {value}"));
    let mut names: Vec<_> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The types of frames, in their order.
pub fn types(frames: &[Value]) -> Vec<String> {
    frames.iter().map(|frame| text(&frame["type"])).collect()
}

/// The log lines among frames.
pub fn lines(frames: &[Value]) -> Vec<String> {
    let is_line = |frame: &&Value| frame["type"] == "task.log.line";
    let lines = frames.iter().filter(is_line);
    lines.map(|frame| text(&frame["data"]["line"])).collect()
}

/// How the task ended: `[status, exit_code, signal, reason]`.
pub fn end_of(task: &Value) -> Value {
    let parts = ["status", "exit_code", "signal", "reason"];
    parts.into_iter().map(|part| task[part].clone()).collect()
}
