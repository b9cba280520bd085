//! `capabilities`: what this build offers, from the very tables that it works by.

use background_tasks_core::ErrorKind;
use background_tasks_core::event::EventData;
use background_tasks_core::log::View;
use background_tasks_core::request::{List, Logs, MAX_PAYLOAD_BYTES, StreamChoice};
use background_tasks_core::store::FORMAT_VERSION;
use background_tasks_core::task::{
    FailReason, HealthProbe, KillReason, Leftovers, Limits, LogWatch, Milestone, Pty,
    RestartSettings, Stderr, Stdin, StopSettings, TaskId, TaskStatus,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Flags;
use crate::command::{Command, PayloadKind};

/// The version of the wire contract.
const PROTOCOL_VERSION: u32 = 1;

/// Frames that are not lifecycle events.
const OTHER_FRAMES: [&str; 5] = [
    "task.status.snapshot",
    "task.log.line",
    "task.log.truncated",
    "task.logs.started",
    "task.logs.completed",
];

/// What `capabilities` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Capabilities {
    protocol_version: u32,
    version: &'static str,
    format_version: u32,
    platform: Value,
    payload_modes: Vec<&'static str>,
    output_modes: Vec<&'static str>,
    discovery: Vec<&'static str>,
    commands: Vec<CommandEntry>,
    statuses: Vec<Value>,
    reasons: Value,
    event_types: Vec<&'static str>,
    log_views: Vec<View>,
    log_streams: Vec<StreamChoice>,
    error_types: Vec<Value>,
    defaults: Value,
    limits: Value,
}

/// What there is to say about a command.
#[derive(Debug, Serialize, JsonSchema)]
struct CommandEntry {
    name: &'static str,
    purpose: &'static str,
    payload: &'static str,
    shorthand: Option<&'static str>,
    batch: bool,
    flags: Vec<String>,
}

/// Tells what this build offers.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        protocol_version: PROTOCOL_VERSION,
        version: env!("CARGO_PKG_VERSION"),
        format_version: FORMAT_VERSION,
        platform: json!({ "os": std::env::consts::OS, "arch": std::env::consts::ARCH }),
        payload_modes: vec!["inline-json", "@file", "stdin:-"],
        output_modes: vec!["auto", "inline", "artifact"],
        discovery: vec![
            "doctor",
            "capabilities",
            "schema list",
            "schema show",
            "examples list",
            "examples show",
            "skill",
        ],
        commands: Command::ALL.into_iter().map(entry).collect(),
        statuses: TaskStatus::ALL
            .iter()
            .map(|status| json!({ "name": status, "terminal": status.is_terminal() }))
            .collect(),
        reasons: json!({
            "killed": KillReason::ALL,
            "failed": FailReason::ALL,
        }),
        event_types: EventData::TYPES.into_iter().chain(OTHER_FRAMES).collect(),
        log_views: View::ALL.to_vec(),
        log_streams: StreamChoice::ALL.to_vec(),
        error_types: ErrorKind::ALL
            .iter()
            .map(|kind| json!({ "name": kind, "retryable": kind.retryable() }))
            .collect(),
        defaults: json!({
            "timeout_seconds": Flags::DEFAULT_TIMEOUT.as_secs(),
            "concurrency": Flags::DEFAULT_CONCURRENCY,
            "list_limit": List::DEFAULT_LIMIT,
            "log_lines": Logs::DEFAULT_LINES,
            "log_max_bytes": Logs::DEFAULT_MAX_BYTES,
            "log_max_line_bytes": Logs::DEFAULT_MAX_LINE_BYTES,
            "log_max_matches": Logs::DEFAULT_MAX_MATCHES,
            "log_view": View::default(),
            "log_stream": StreamChoice::default(),
            "stop": StopSettings::default(),
            "limits": Limits::default(),
            "restart": RestartSettings::default(),
            "health": {
                "interval_ms": HealthProbe::INTERVAL_MS,
                "timeout_ms": HealthProbe::TIMEOUT_MS,
                "startup_timeout_ms": HealthProbe::STARTUP_TIMEOUT_MS,
                "failure_threshold": HealthProbe::FAILURE_THRESHOLD,
            },
            "watch": { "throttle_ms": LogWatch::THROTTLE_MS },
            "after": { "on": Milestone::default() },
            "pty": Pty::default(),
            "stdin": Stdin::default(),
            "stderr": Stderr::default(),
            "leftovers": Leftovers::default(),
        }),
        limits: json!({
            "payload_bytes": MAX_PAYLOAD_BYTES,
            "id_length": TaskId::MAX_LEN,
            "list_limit": List::MAX_LIMIT,
        }),
    }
}

fn entry(command: Command) -> CommandEntry {
    let (payload, shorthand) = match command.payload() {
        PayloadKind::Empty => ("none", None),
        PayloadKind::Object => ("object", None),
        PayloadKind::Named(field) => ("object", Some(field)),
    };
    CommandEntry {
        name: command.name(),
        purpose: command.purpose(),
        payload,
        shorthand,
        batch: command.takes_batch(),
        flags: command
            .flags()
            .iter()
            .map(|flag| format!("--{}", flag.name()))
            .collect(),
    }
}
