//! The program as its callers see it, one module per behaviour.

#![allow(
    clippy::needless_pass_by_value,
    reason = "`json!` values read best when they are handed over"
)]

// What the tests stand on: the real binary, a home of its own for each test, polling.
mod harness;
// Judges answers and examples by the schemas that the program shows.
mod json_schema;
// Holds every answer against the schemas in the repository, by a validator that is not ours.
mod schemas;
// Looks at processes, and signals single ones.
mod processes;

// Tasks that run after others.
mod after;
// Coding agents: the mock, what is refused, the agent commands.
mod agents;
// Prompts one after the other, whoever dies in between.
mod agents_conversation;
mod agents_prompts;
// The agents' CLIs, played by scripts.
mod agents_providers;
// Arrays of payloads: results in order, refused as a whole or failing one by one.
mod batch;
// Answers, errors and frames through the types of a stranger.
mod contract;
// Supervisors, callers and hosts that die, and records that are damaged.
mod crash;
// Reading on: nothing missed, nothing repeated.
mod cursors;
// One task is damaged at random, again and again, beside others.
mod damage;
// What a task keeps of its caller: nothing.
mod detach;
// Capabilities, doctor, schemas, examples, help, usage errors.
mod discovery;
// Clocks that jump.
mod clocks;
// What happened, in order, stored and followed.
mod events;
// Streams about several tasks.
mod follow_many;
// When lines were written, how much of them is kept, and what that costs: nothing while silent.
mod growth;
// Probes, and waiting until a task is ready.
#[cfg(target_os = "linux")]
mod half_begun;
mod health;
mod held_up;
// Good and bad places for the tasks, and who may read them.
mod home;
// Homes as released versions have left them.
mod homes;
// Trees that do not want to end.
mod hostile_trees;
// What a command reads, and what is sent to it.
mod input;
// What is run once when a task has ended.
mod hooks;
// What is executed, how it ended, and what a start leaves behind.
mod lifecycle;
// Many tasks: filters, order, pages.
mod list;
mod list_cache;
// Memory, processor time, processes and open files; the groups that keep such limits.
mod limits;
// The end of a log, within limits.
mod logs;
// Signals, pauses, owners.
mod pauses;
// What is typed, what is refused, and that a refusal touches nothing.
mod payload;
// What schemas say of payloads, held against the decoder: edges, defaults, examples.
mod payload_schemas;
// Tasks that have ended go by age, number and size.
mod prune;
// Other users, other namespaces, other versions, and what somebody has planted.
mod neighbours;
// Lines in which tasks wait for a place.
mod queue;
// Many callers at the same time.
mod races;
// Runs what README.md tells people to type.
mod readme;
// A reader that is killed again and again.
mod resume;
// After a reboot or the loss of supervisors.
mod recover;
// What the processes of a task use.
mod resources;
// No space, no inodes, no descriptors, no processes, no right to write.
mod resources_gone;
// A place of its own for what a test mounts.
mod mounts;
// All of an ended task is taken away, or nothing.
mod remove;
// The next run of the same task.
mod policy;
mod restart;
// Both ends of a log, and what is found in it.
mod search;
// A log for standard error.
mod stderr;
// The end of every process of a task.
mod stop;
// Somebody who knows nothing but discovery.
mod stranger;
// When lines were written.
mod times;
// Commands that insist on a terminal.
mod terminal;
// Blocking until a line is written.
mod until_log;
// Clean and raw.
mod views;
// Blocking until tasks have ended.
mod wait;
// Being told of lines.
mod watches;
mod wording;
