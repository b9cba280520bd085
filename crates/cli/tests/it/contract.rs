//! The answers through the types of a stranger, who knows the contract and nothing else: every
//! promised field must be there, with a value of its type or `null` where that is allowed, and
//! there must be no other.

#![allow(
    dead_code,
    reason = "a field is there to be decoded, most are not looked at"
)]

use std::collections::BTreeMap;
use std::fs;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::harness::{Cli, script, with, work};

/// A field that must be there, if only as `null`. (A plain `Option` may be left out.)
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Success<T> {
    ok: bool,
    command: String,
    data: T,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure<D> {
    ok: bool,
    command: String,
    error: Problem<D>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Problem<D> {
    r#type: ErrorType,
    message: String,
    details: D,
}

#[derive(Debug, PartialEq, Deserialize)]
enum ErrorType {
    CommandInputError,
    TaskNotFound,
    TaskAlreadyRunning,
    TaskNotRunning,
    TaskWaitTimedOut,
    SpawnFailed,
    ProviderNotInstalled,
    StoreError,
    Unsupported,
    InternalError,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Queued,
    Starting,
    Running,
    Exited,
    Killed,
    Failed,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    None,
    Starting,
    Healthy,
    Unhealthy,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    StopRequested,
    TimedOut,
    Idle,
    OwnerGone,
    OutOfMemory,
    Unhealthy,
    Signalled,
    SpawnFailed,
    SupervisorLost,
    HostRebooted,
    RestartLimit,
    NotReady,
    DependencyFailed,
    RecordCorrupt,
    Completed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StopSettings {
    signal: String,
    grace_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    id: String,
    #[serde(deserialize_with = "nullable")]
    name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    command: Option<String>,
    args: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    shell: Option<String>,
    #[serde(deserialize_with = "nullable")]
    workdir: Option<String>,
    env: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    env_file: Option<String>,
    #[serde(deserialize_with = "nullable")]
    inherit_env: Option<bool>,
    tags: Vec<String>,
    status: Status,
    health: Health,
    #[serde(deserialize_with = "nullable")]
    reason: Option<Reason>,
    #[serde(deserialize_with = "nullable")]
    problem: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pid: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    exit_code: Option<u8>,
    #[serde(deserialize_with = "nullable")]
    signal: Option<String>,
    log_path: String,
    #[serde(deserialize_with = "nullable")]
    stderr_log_path: Option<String>,
    #[serde(deserialize_with = "nullable")]
    created_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    updated_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    started_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    exited_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    duration_ms: Option<u64>,
    restart_count: u32,
    run: u32,
    #[serde(deserialize_with = "nullable")]
    parent_session_id: Option<String>,
    notify_on_exit: bool,
    #[serde(deserialize_with = "nullable")]
    stop: Option<StopSettings>,
    #[serde(deserialize_with = "nullable")]
    leftovers: Option<String>,
    #[serde(deserialize_with = "nullable")]
    stderr: Option<String>,
    #[serde(deserialize_with = "nullable")]
    limits: Option<Limits>,
    #[serde(deserialize_with = "nullable")]
    restart: Option<RestartSettings>,
    #[serde(deserialize_with = "nullable")]
    next_start_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    timeout_ms: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    idle_timeout_ms: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    ttl_ms: Option<u64>,
    paused: bool,
    #[serde(deserialize_with = "nullable")]
    stdin: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    pty: Option<Pty>,
    #[serde(deserialize_with = "nullable")]
    health_probe: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    owner: Option<Owner>,
    #[serde(deserialize_with = "nullable")]
    on_exit: Option<Hook>,
    #[serde(deserialize_with = "nullable")]
    queue: Option<Queue>,
    #[serde(deserialize_with = "nullable")]
    queue_position: Option<usize>,
    #[serde(deserialize_with = "nullable")]
    after: Option<After>,
    watch: Vec<LogWatch>,
    supervised: bool,
    /// Only of a coding agent.
    agent: Option<Value>,
    /// Only where it was asked for, and then `null` or not.
    resources: Option<Resources>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    cpu_ms: u64,
    memory_bytes: u64,
    processes: usize,
    #[serde(deserialize_with = "nullable")]
    ports: Option<Vec<u16>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    task_id: String,
    removed: bool,
    freed_bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    task_id: String,
    status: Status,
    written_bytes: usize,
    eof: bool,
    task: Task,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "that it can be read is what is tested")]
struct AboutInput {
    hint: String,
    retryable: bool,
    id: String,
    task: Task,
    reason: String,
    written_bytes: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pruned {
    removed: Vec<String>,
    total: usize,
    freed_bytes: u64,
    kept: usize,
    dry_run: bool,
    failed: Vec<NotPruned>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotPruned {
    id: String,
    error: Problem<AnyDetails>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "that it can be read is what is tested")]
struct RestartSettings {
    policy: String,
    max_retries: u32,
    delay_ms: u64,
    backoff: String,
    max_delay_ms: u64,
    reset_after_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    log_bytes: u64,
    #[serde(deserialize_with = "nullable")]
    memory_bytes: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    cpu_percent: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    processes: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    open_files: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pty {
    cols: u16,
    rows: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    pid: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hook {
    command: String,
    args: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    group: String,
    limit: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    ids: Vec<String>,
    on: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogWatch {
    name: String,
    pattern: String,
    throttle_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Started {
    task: Task,
    lifecycle: Lifecycle,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StartedAndWaited {
    task: Task,
    lifecycle: Lifecycle,
    logs: Logs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifecycle {
    submitted_at: String,
    waited: bool,
    timed_out: bool,
    status: Status,
    #[serde(deserialize_with = "nullable")]
    terminal_status: Option<Status>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneTask {
    task_id: String,
    status: Status,
    task: Task,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneWaited {
    task_id: String,
    status: Status,
    task: Task,
    logs: Logs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyWaited {
    outcome: Reached,
    tasks: Vec<Task>,
    pending: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reached {
    Reached,
    Partial,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    total: usize,
    tasks: Vec<Task>,
    #[serde(deserialize_with = "nullable")]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Logs {
    task_id: String,
    total_lines: u64,
    shown_lines: usize,
    has_more: bool,
    truncated_bytes: u64,
    clipped_lines: usize,
    lines: Vec<String>,
    last_line_partial: bool,
    cursor: String,
    running: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsWithArtifact {
    kind: String,
    summary: String,
    inline: Logs,
    artifact: Artifact,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Artifact {
    key: String,
    label: String,
    kind: String,
    absolute_path: String,
    relative_path: String,
    size_bytes: u64,
    created_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<T> {
    outcome: Outcome,
    total: usize,
    success_count: usize,
    error_count: usize,
    concurrency: usize,
    results: Vec<Item<T>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Succeeded,
    PartialFailure,
    Failed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<T> {
    index: usize,
    ok: bool,
    target: Target,
    data: Option<T>,
    error: Option<Problem<AnyDetails>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    #[serde(deserialize_with = "nullable")]
    id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Happened {
    task_id: String,
    total: u64,
    frames: Vec<Frame>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    r#type: String,
    task_id: String,
    sequence: u64,
    timestamp: String,
    data: Value,
    cursor: String,
}

/// What a frame is about, by its type.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
enum Facts {
    #[serde(rename = "task.status.snapshot")]
    Snapshot {
        task_id: String,
        status: Status,
        task: Box<Task>,
    },
    #[serde(rename = "task.log.line")]
    Line {
        line: String,
        number: u64,
        stream: String,
        partial: Option<bool>,
    },
    #[serde(rename = "task.logs.started")]
    LogsStarted { task_id: String, total_lines: u64 },
    #[serde(rename = "task.logs.completed")]
    LogsCompleted { task_id: String, shown_lines: u64 },
    #[serde(rename = "task.started")]
    Started {
        pid: u32,
        run: u32,
        work: Option<u64>,
    },
    #[serde(rename = "task.work_dropped")]
    WorkDropped { count: u64 },
    #[serde(rename = "task.stop_requested")]
    StopRequested {
        signal: String,
        grace_ms: u64,
        reason: Reason,
    },
    #[serde(rename = "task.health")]
    Health {
        health: Health,
        #[serde(deserialize_with = "nullable")]
        problem: Option<String>,
    },
    #[serde(rename = "task.log_matched")]
    LogMatched {
        name: String,
        line: String,
        stream: String,
        suppressed: u64,
        skipped_bytes: Option<u64>,
    },
    #[serde(rename = "task.restarting")]
    Restarting {
        run: u32,
        #[serde(deserialize_with = "nullable")]
        exit_code: Option<u8>,
        #[serde(deserialize_with = "nullable")]
        signal: Option<String>,
        #[serde(deserialize_with = "nullable")]
        reason: Option<Reason>,
        delay_ms: u64,
    },
    #[serde(rename = "task.exited")]
    Exited {
        #[serde(deserialize_with = "nullable")]
        exit_code: Option<u8>,
        signal: Option<String>,
        reason: Option<Reason>,
        #[serde(deserialize_with = "nullable")]
        duration_ms: Option<u64>,
    },
    #[serde(rename = "task.killed")]
    Killed {
        #[serde(deserialize_with = "nullable")]
        exit_code: Option<u8>,
        #[serde(deserialize_with = "nullable")]
        signal: Option<String>,
        reason: Reason,
        #[serde(deserialize_with = "nullable")]
        duration_ms: Option<u64>,
    },
    #[serde(rename = "task.failed")]
    Failed { reason: Reason, problem: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Diagnosis {
    status: String,
    home: String,
    checks: Vec<Check>,
    agents: Vec<ProviderFacts>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderFacts {
    provider: String,
    installed: bool,
    #[serde(deserialize_with = "nullable")]
    path: Option<String>,
    #[serde(deserialize_with = "nullable")]
    version: Option<String>,
    #[serde(deserialize_with = "nullable")]
    login: Option<Value>,
    #[serde(deserialize_with = "nullable")]
    hint: Option<String>,
    supports: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    id: String,
    ok: bool,
    required: bool,
    observed: String,
    #[serde(deserialize_with = "nullable")]
    fix: Option<String>,
}

/// What every `details` holds; the rest depends on the error.
#[derive(Debug, Deserialize)]
struct AnyDetails {
    hint: String,
    retryable: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutATask {
    hint: String,
    retryable: bool,
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutARunningTask {
    hint: String,
    retryable: bool,
    id: String,
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutASpawn {
    hint: String,
    retryable: bool,
    id: String,
    step: String,
    subject: String,
    errno: i32,
    errno_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutTheStore {
    hint: String,
    retryable: bool,
    path: String,
    #[serde(deserialize_with = "nullable")]
    errno: Option<i32>,
    #[serde(deserialize_with = "nullable")]
    errno_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutAField {
    hint: String,
    retryable: bool,
    field: String,
    #[serde(deserialize_with = "nullable")]
    nearest: Option<String>,
    allowed: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutAWait {
    hint: String,
    retryable: bool,
    id: String,
    task: Task,
    logs: Logs,
    cursor: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutManyWaits {
    hint: String,
    retryable: bool,
    tasks: Vec<Task>,
    pending: Vec<String>,
    cursors: BTreeMap<String, String>,
}

/// Runs a command and reads its answer as a stranger does.
fn answer<T: DeserializeOwned>(cli: &Cli, verb: &str, payload: Value, flags: &[&str]) -> T {
    let call = cli.run(verb).payload(payload).flags(flags.iter().copied());
    let outcome = call.output();
    assert!(outcome.stderr.is_empty(), "{outcome:?}");
    let success: Success<T> = serde_json::from_slice(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{outcome:?}"));
    assert!(success.ok);
    assert_eq!(success.command, verb);
    success.data
}

/// Runs a command that fails and reads its error as a stranger does.
fn failure<D: DeserializeOwned>(cli: &Cli, verb: &str, payload: Value, kind: ErrorType) -> D {
    let outcome = cli
        .run(verb)
        .payload(payload)
        .flags(["--timeout", "0"])
        .output();
    let failure: Failure<D> = serde_json::from_slice(&outcome.stderr)
        .unwrap_or_else(|error| panic!("{error}\n{outcome:?}"));
    assert!(!failure.ok && outcome.stdout.is_empty());
    assert_eq!(failure.command, verb);
    assert_eq!(failure.error.r#type, kind);
    failure.error.details
}

#[test]
fn answers_about_one_task() {
    let cli = Cli::new();
    let named = || json!({ "id": "a" });
    let started: Started = answer(&cli, "start", work("a", ["print", "one", "hang"]), &[]);
    assert_eq!(started.task.status, Status::Running);
    let status: OneTask = answer(&cli, "status", named(), &[]);
    assert_eq!(
        (status.status, status.task.health),
        (Status::Running, Health::None)
    );
    let restarted: OneTask = answer(&cli, "restart", named(), &[]);
    assert_eq!((restarted.task.run, restarted.task.restart_count), (2, 1));
    let stopped: OneTask = answer(&cli, "stop", named(), &[]);
    assert_eq!(stopped.task.reason, Some(Reason::StopRequested));
    let waited: OneWaited = answer(&cli, "wait", named(), &[]);
    assert_eq!(waited.task.signal.as_deref(), Some("SIGTERM"));
    let again: StartedAndWaited = answer(&cli, "start", script("a", "exit 7"), &["--wait"]);
    assert_eq!(again.task.exit_code, Some(7));
    assert_eq!(again.lifecycle.terminal_status, Some(Status::Exited));
    let _: OneWaited = answer(&cli, "status", named(), &["--wait"]);
}

#[test]
fn answers_about_many_tasks() {
    let cli = Cli::new();
    let tagged = |id: &str| {
        with(
            work(id, ["hang"]),
            json!({ "tags": ["x"], "env": { "A": "1" } }),
        )
    };
    let started: Batch<Started> = answer(&cli, "start", json!([tagged("a"), tagged("b")]), &[]);
    assert_eq!((started.outcome, started.total), (Outcome::Succeeded, 2));
    let restarted: Batch<OneTask> = answer(&cli, "restart", json!(["a", "nope"]), &[]);
    assert_eq!(restarted.outcome, Outcome::PartialFailure);
    let error = restarted.results[1]
        .error
        .as_ref()
        .expect("the second item failed");
    assert_eq!(error.r#type, ErrorType::TaskNotFound);
    let page: Listed = answer(&cli, "list", json!({ "limit": 1 }), &[]);
    assert_eq!((page.total, page.tasks.len()), (2, 1));
    assert!(page.next.is_some());
    let stopped: Batch<OneTask> = answer(&cli, "stop", json!({ "tag": "x" }), &[]);
    assert_eq!(stopped.success_count, 2);
    let waited: ManyWaited = answer(&cli, "wait", json!({ "tag": "x" }), &[]);
    assert_eq!((waited.outcome, waited.tasks.len()), (Reached::Reached, 2));
    let failed: Batch<Started> = answer(
        &cli,
        "start",
        json!([{ "command": "/no/such/program" }]),
        &[],
    );
    assert_eq!(failed.results[0].target.id, None);
}

#[test]
fn answers_about_what_tasks_use() {
    let cli = Cli::new();
    cli.start(work("a", ["hang"]));
    let asked = json!({ "id": "a", "resources": true });
    let status: OneTask = answer(&cli, "status", asked, &[]);
    assert_eq!(status.task.resources.unwrap().processes, 1);
    let page: Listed = answer(&cli, "list", json!({ "resources": true }), &[]);
    assert!(page.tasks[0].resources.as_ref().unwrap().ports.is_some());
}

#[test]
fn answers_about_tasks_that_are_taken_away() {
    let cli = Cli::new();
    for id in ["a", "b", "c"] {
        cli.start_and_wait(work(id, []));
        cli.await_no_supervisor(id);
    }
    let one: Removed = answer(&cli, "remove", json!({ "id": "a" }), &[]);
    assert!(one.removed && one.task_id == "a" && one.freed_bytes > 0);
    let many: Batch<Removed> = answer(&cli, "remove", json!(["b", "nope"]), &[]);
    assert_eq!(many.outcome, Outcome::PartialFailure);
    let pruned: Pruned = answer(&cli, "prune", json!({ "keep": 0 }), &[]);
    assert_eq!((pruned.removed, pruned.total), (vec!["c".to_owned()], 1));
}

#[test]
fn answers_about_tasks_that_are_lost_or_damaged() {
    let cli = Cli::new();
    cli.start(work("lost", ["hang"]));
    cli.lose_supervisor("lost");
    cli.start_and_wait(work("damaged", []));
    cli.await_no_supervisor("damaged");
    fs::write(cli.task_file("damaged", "task.json"), "").unwrap();
    let list: Listed = answer(&cli, "list", json!({}), &[]);
    assert_eq!(list.total, 2);
    let lost: OneTask = answer(&cli, "status", json!({ "id": "lost" }), &[]);
    assert!(!lost.task.supervised && lost.task.status == Status::Running);
    let damaged: OneTask = answer(&cli, "status", json!({ "id": "damaged" }), &[]);
    assert_eq!(damaged.task.reason, Some(Reason::RecordCorrupt));
    let _: OneWaited = answer(&cli, "wait", json!({ "id": "damaged" }), &[]);
    let _: Happened = answer(&cli, "events", json!({ "id": "damaged" }), &[]);
    let _: Logs = answer(&cli, "logs", json!({ "id": "damaged" }), &[]);
    let _: OneTask = answer(&cli, "stop", json!({ "id": "damaged" }), &[]);
}

#[test]
fn answers_about_what_is_sent() {
    let cli = Cli::new();
    cli.start(with(script("a", "cat"), json!({ "stdin": "open" })));
    let sent: Sent = answer(&cli, "send", json!({ "id": "a", "text": "one\n" }), &[]);
    assert_eq!((sent.written_bytes, sent.eof), (4, false));
    assert_eq!((sent.task_id.as_str(), sent.status), ("a", Status::Running));
    let last: Sent = answer(&cli, "send", json!({ "id": "a", "eof": true }), &[]);
    assert!(last.eof && last.task.stdin == Some(json!("open")));
    cli.wait("a");
    let nobody = json!({ "id": "a", "text": "two" });
    let refused: AboutInput = failure(&cli, "send", nobody, ErrorType::TaskNotRunning);
    assert_eq!(
        (refused.reason.as_str(), refused.written_bytes),
        ("ended", 0)
    );
    assert_eq!(refused.task.id, refused.id);
}

#[test]
fn answers_about_logs() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["lines", "5"]));
    let whole: Logs = answer(&cli, "logs", json!({ "id": "a" }), &[]);
    assert_eq!(whole.lines.len(), whole.shown_lines);
    let part: LogsWithArtifact = answer(&cli, "logs", json!({ "id": "a", "lines": 2 }), &[]);
    assert_eq!((part.inline.shown_lines, part.artifact.size_bytes), (2, 10));
}

#[test]
fn frames_of_every_type() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "one", "raw", "74", "hang"]));
    cli.await_line("a", "t");
    cli.run("restart").text("a").ok();
    cli.stop("a");
    cli.start(work("lost", ["hang"]));
    let pid = cli.record("lost")["facts"]["state"]["running"]["main"]["pid"]
        .as_i64()
        .unwrap();
    cli.lose_supervisor("lost");
    crate::processes::send(
        i32::try_from(pid).unwrap(),
        nix::sys::signal::Signal::SIGKILL,
    );
    cli.start_and_wait(work("ended", ["exit", "3"]));
    let told = json!({
        "health": { "type": "log", "pattern": "one" },
        "watch": [{ "name": "ones", "pattern": "one" }],
    });
    cli.start_and_wait(with(work("told", ["print", "one"]), told));
    let mut lines = Vec::new();
    for (verb, id) in [
        ("events", "a"),
        ("events", "lost"),
        ("events", "ended"),
        ("events", "told"),
        ("logs", "a"),
    ] {
        lines.extend(cli.run(verb).text(id).flags(["--stream"]).output().stdout);
        let _: Happened = answer(&cli, "events", json!({ "id": id }), &[]);
    }
    let lines = String::from_utf8(lines).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for line in lines.lines() {
        let frame: Frame =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let facts = json!({ "type": frame.r#type, "data": frame.data });
        serde_json::from_value::<Facts>(facts).unwrap_or_else(|error| panic!("{error}: {line}"));
        kinds.insert(frame.r#type);
    }
    assert_eq!(kinds.len(), 12, "{kinds:?}");
}

#[test]
fn answers_of_the_doctor() {
    let cli = Cli::new();
    let diagnosis: Diagnosis = answer(&cli, "doctor", json!({}), &[]);
    assert_eq!(diagnosis.status, "ok");
    assert_eq!(diagnosis.agents.len(), 7);
    let mock = &diagnosis.agents[6];
    assert!(mock.provider == "mock" && mock.installed, "{mock:?}");
}

#[test]
fn errors_of_every_type() {
    let cli = Cli::new();
    let named = || json!({ "id": "a" });
    let missing: AboutATask = failure(&cli, "status", named(), ErrorType::TaskNotFound);
    assert!(!missing.retryable && missing.id == "a");
    cli.start(work("a", ["hang"]));
    let running = failure(&cli, "start", work("a", []), ErrorType::TaskAlreadyRunning);
    let _: AboutARunningTask = running;
    let waited: AboutAWait = failure(&cli, "wait", named(), ErrorType::TaskWaitTimedOut);
    assert!(waited.retryable && waited.task.status == Status::Running);
    let many: AboutManyWaits = failure(
        &cli,
        "wait",
        json!({ "ids": ["a"] }),
        ErrorType::TaskWaitTimedOut,
    );
    assert_eq!(many.cursors.keys().collect::<Vec<_>>(), ["a"]);
    let field: AboutAField = failure(
        &cli,
        "start",
        json!({ "comand": "x" }),
        ErrorType::CommandInputError,
    );
    assert_eq!(field.nearest.as_deref(), Some("command"));
    cli.start_and_wait(work("newer", []));
    cli.await_no_supervisor("newer");
    fs::write(cli.task_file("newer", "task.json"), r#"{"version": 9}"#).unwrap();
    let _: AnyDetails = failure(&cli, "start", work("newer", []), ErrorType::Unsupported);
    fs::write(cli.file("file"), "").unwrap();
    let call = cli
        .run("list")
        .env("BACKGROUND_TASKS_HOME", cli.file("file"));
    let store: Failure<AboutTheStore> = serde_json::from_slice(&call.output().stderr).unwrap();
    assert_eq!(store.error.r#type, ErrorType::StoreError);
}

#[test]
fn errors_of_a_failed_spawn() {
    let cli = Cli::new();
    let payload = json!({ "id": "a", "command": "/no/such/program" });
    // Not `failure`, whose time limit of 0 may pass before the supervisor answers.
    let outcome = cli.run("start").payload(payload).output();
    let told: Failure<AboutASpawn> = serde_json::from_slice(&outcome.stderr).unwrap();
    assert_eq!(told.error.r#type, ErrorType::SpawnFailed);
    assert_eq!(
        (
            told.error.details.errno,
            told.error.details.errno_name.as_str()
        ),
        (2, "ENOENT")
    );
}
