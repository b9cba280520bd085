//! `capabilities`: what this build offers, from the very tables that it works by.

use background_tasks_agents::{self as agents, AgentEvent, Mode, Provider, Supports};
use background_tasks_core::event::EventData;
use background_tasks_core::log::View;
use background_tasks_core::op::{Check, host_checks};
use background_tasks_core::request::{
    IfRunning, Include, List, Logs, StreamChoice, Until, WaitMode,
};
use background_tasks_core::store::FORMAT_VERSION;
use background_tasks_core::task::{
    ExitReason, FailReason, Health, HealthProbe, KillReason, Leftovers, Limits, LogWatch,
    Milestone, Pty, Recipient, RestartSettings, Stderr, Stdin, StopSettings, TaskStatus,
};
use background_tasks_core::{Bounds, ErrorKind};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Flags;
use crate::command::{Command, Flag, PayloadKind};

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
    /// Of the wire contract.
    protocol_version: u32,
    /// Of the program.
    version: &'static str,
    /// Of what is on disk.
    format_version: u32,
    /// What it was built for.
    platform: Value,
    /// How a payload may be given.
    payload_modes: Vec<&'static str>,
    /// What `--output` takes.
    output_modes: Vec<&'static str>,
    /// The commands that tell about the program.
    discovery: Vec<&'static str>,
    /// Every command.
    commands: Vec<CommandEntry>,
    /// Every flag.
    flags: Vec<FlagEntry>,
    /// Where a task may stand.
    statuses: Vec<Value>,
    /// Why it stands there.
    reasons: Value,
    /// What a probe may say of a task.
    health: Vec<Health>,
    /// What a frame may be.
    event_types: Vec<&'static str>,
    /// What else `events` tells of an agent, where it is asked for.
    event_includes: Vec<Include>,
    /// Whose CLIs `agent` of `start` may name, and what each can do.
    providers: Vec<ProviderEntry>,
    /// How lines may be shown.
    log_views: Vec<View>,
    /// Which of them.
    log_streams: Vec<StreamChoice>,
    /// What may go wrong; `retryable` is null where it depends on the cause, and `details` tell.
    error_types: Vec<Value>,
    /// What holds where nothing is said.
    defaults: Value,
    /// How far this build goes.
    limits: Bounds,
    /// What this host can do, as `doctor` tells it, but for what takes a home to find out.
    host: Vec<Check>,
}

/// What there is to say about a command.
#[derive(Debug, Serialize, JsonSchema)]
struct CommandEntry {
    /// As it is typed.
    name: &'static str,
    /// One line.
    purpose: &'static str,
    /// `none` or `object`.
    payload: &'static str,
    /// The field that a bare word or a JSON string stands for.
    shorthand: Option<&'static str>,
    /// Whether an array of payloads is taken as well.
    batch: bool,
    /// How it may answer: `document`; with `--stream` or `--follow` also `ndjson`, which is all
    /// that `agent parse` has.
    output: Vec<&'static str>,
    /// The flags that it takes.
    flags: Vec<String>,
}

/// What there is to say about a flag.
#[derive(Debug, Serialize, JsonSchema)]
struct FlagEntry {
    /// As it is typed.
    name: String,
    /// What stands behind it, if anything does.
    value: Option<&'static str>,
    /// One line.
    purpose: &'static str,
}

/// What there is to say about a coding agent's CLI, wherever this runs; `agent list` tells what is
/// installed.
#[derive(Debug, Serialize, JsonSchema)]
struct ProviderEntry {
    /// As `provider` names it.
    name: Provider,
    /// What of a request it takes.
    supports: Supports,
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
        flags: Flag::ALL.into_iter().map(flag_entry).collect(),
        statuses: TaskStatus::ALL
            .iter()
            .map(|status| json!({ "name": status, "terminal": status.is_terminal() }))
            .collect(),
        reasons: json!({
            "exited": ExitReason::ALL,
            "killed": KillReason::ALL,
            "failed": FailReason::ALL,
        }),
        health: Health::ALL.to_vec(),
        event_types: EventData::TYPES
            .into_iter()
            .chain(OTHER_FRAMES)
            .chain(AgentEvent::TYPES)
            .collect(),
        event_includes: Include::ALL.to_vec(),
        providers: Provider::ALL.iter().map(provider_entry).collect(),
        log_views: View::ALL.to_vec(),
        log_streams: StreamChoice::ALL.to_vec(),
        error_types: ErrorKind::ALL
            .iter()
            .map(|kind| json!({ "name": kind, "retryable": kind.retryable() }))
            .collect(),
        defaults: defaults(),
        limits: Bounds::of_this_build(),
        host: host_checks(),
    }
}

/// Those of fields stand in the schemas as well; here is what holds for every command.
fn defaults() -> Value {
    json!({
        "timeout_seconds": Flags::DEFAULT_TIMEOUT.as_secs(),
        "follow_timeout_seconds": null,
        "concurrency": Flags::DEFAULT_CONCURRENCY,
        "output": "auto",
        "list_limit": List::DEFAULT_LIMIT,
        "log_lines": Logs::DEFAULT_LINES,
        "log_max_bytes": Logs::DEFAULT_MAX_BYTES,
        "log_max_line_bytes": Logs::DEFAULT_MAX_LINE_BYTES,
        "log_max_matches": Logs::DEFAULT_MAX_MATCHES,
        "log_view": View::default(),
        "log_stream": StreamChoice::default(),
        "wait": { "mode": WaitMode::default(), "until": Until::default() },
        "signal_to": Recipient::default(),
        "if_running": IfRunning::default(),
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
        "agent": {
            "mode": Mode::default(),
            "timeout_ms": agents::DEFAULT_TIMEOUT_MS,
            "exit_grace_ms": agents::DONE_GRACE_MS,
            "stderr": agents::DEFAULT_STDERR,
        },
    })
}

fn provider_entry(provider: &Provider) -> ProviderEntry {
    ProviderEntry {
        name: *provider,
        supports: provider.supports(),
    }
}

fn flag_entry(flag: Flag) -> FlagEntry {
    FlagEntry {
        name: format!("--{}", flag.name()),
        value: flag.value_name(),
        purpose: flag.help(),
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
        output: if command == Command::AgentParse {
            vec!["ndjson"]
        } else if command.flags().contains(&Flag::Stream) {
            vec!["document", "ndjson"]
        } else {
            vec!["document"]
        },
        flags: command
            .flags()
            .iter()
            .map(|flag| format!("--{}", flag.name()))
            .collect(),
    }
}
