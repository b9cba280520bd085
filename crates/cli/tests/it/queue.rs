//! Lines: first come, first served, never more at once than the limit, whoever is killed.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::{Value, json};

use crate::harness::{Cli, eventually, fixture, script, text, with, work};
use crate::processes;

fn line(group: &str, limit: u32) -> Value {
    json!({ "queue": { "group": group, "limit": limit } })
}

/// A task that notes its id when it begins and goes on when a file named after it appears.
fn noted(cli: &Cli, id: &str, queue: Value) -> Value {
    let (notes, go) = (cli.file("notes"), cli.file(&format!("go-{id}")));
    with(work(id, ["note", &notes, "wait-file", &go]), queue)
}

fn go(cli: &Cli, id: &str) {
    cli.touch(&format!("go-{id}"));
}

/// The ids in the order in which they began.
fn notes(cli: &Cli) -> Vec<String> {
    let notes = fs::read_to_string(cli.file("notes")).unwrap_or_default();
    notes.lines().map(str::to_owned).collect()
}

fn tickets(cli: &Cli, group: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(cli.home().join("queues").join(group)) else {
        return Vec::new();
    };
    let names = entries.map(|entry| text(&json!(entry.unwrap().file_name().to_str())));
    let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
    names.sort();
    names
}

fn position(cli: &Cli, id: &str) -> Value {
    cli.task(id)["queue_position"].take()
}

#[test]
fn an_array_runs_in_its_order_whatever_the_concurrency() {
    let cli = Cli::new();
    let ids: Vec<String> = (0..12).map(|n| format!("t{}", 97 * n % 12)).collect();
    let notes_file = cli.file("notes");
    let item = |id: &String| with(work(id, ["note", &notes_file]), line("g", 1));
    let batch: Vec<Value> = ids.iter().map(item).collect();
    let flags = ["--concurrency", "8", "--wait"];
    let answer = cli.run("start").payload(json!(batch)).flags(flags).ok();
    assert_eq!(answer["success_count"], 12);
    assert_eq!(notes(&cli), ids);
    eventually(|| tickets(&cli, "g").is_empty(), "nobody is in the line");
}

#[test]
fn the_place_in_the_line_is_shown_and_counts_down() {
    let cli = Cli::new();
    let first = cli.start(noted(&cli, "a", line("g", 1)));
    // There is a place.
    assert_eq!(first["status"], "running");
    assert!(first["pid"].is_i64());
    assert_eq!(first["supervised"], true);
    assert_eq!(position(&cli, "a"), Value::Null);
    for (id, before) in [("b", 0), ("c", 1), ("d", 2)] {
        let task = cli.start(noted(&cli, id, line("g", 1)));
        assert_eq!(task["status"], "queued");
        assert_eq!(task["queue_position"], before, "{id}");
        assert_eq!(task["pid"], Value::Null);
        assert_eq!(task["started_at"], Value::Null);
    }
    let listed = cli.run("list").payload(json!({ "status": "queued" })).ok();
    let shown: Vec<_> = (listed["tasks"].as_array().unwrap().iter())
        .map(|task| (text(&task["id"]), task["queue_position"].as_u64()))
        .collect();
    let expected = [("d", 2), ("c", 1), ("b", 0)];
    assert_eq!(shown, expected.map(|(id, n)| (id.to_owned(), Some(n))));
    // Another group is another line.
    cli.start(noted(&cli, "e", line("other", 1)));
    cli.await_status("e", "running");
    go(&cli, "a");
    cli.await_status("b", "running");
    assert_eq!(position(&cli, "c"), 0);
    assert_eq!(position(&cli, "d"), 1);
    for id in ["b", "c", "d", "e"] {
        go(&cli, id);
        assert_eq!(cli.wait(id)["exit_code"], 0);
    }
    let events = cli.run("events").payload(json!({ "id": "d" })).ok();
    let types: Vec<_> = (events["frames"].as_array().unwrap().iter())
        .map(|frame| text(&frame["type"]))
        .collect();
    let expected = [
        "task.status.snapshot",
        "task.queued",
        "task.started",
        "task.exited",
    ];
    assert_eq!(types, expected);
}

#[test]
fn a_queued_task_is_stopped_at_once_and_the_next_goes_on() {
    let cli = Cli::new();
    cli.start(noted(&cli, "a", line("g", 1)));
    cli.await_status("a", "running");
    cli.start(noted(&cli, "b", line("g", 1)));
    cli.start(noted(&cli, "c", line("g", 1)));
    let running = cli.run("start").payload(noted(&cli, "b", line("g", 1)));
    assert_eq!(
        running.err("TaskAlreadyRunning")["details"]["status"],
        "queued"
    );
    let stopped = cli.stop("b");
    assert_eq!(stopped["status"], "killed");
    assert_eq!(stopped["reason"], "stop_requested");
    for field in ["pid", "exit_code", "signal", "started_at", "queue_position"] {
        assert_eq!(stopped[field], Value::Null, "{field}");
    }
    assert_eq!(position(&cli, "c"), 0);
    go(&cli, "a");
    go(&cli, "c");
    cli.wait("c");
    assert_eq!(notes(&cli), ["a", "c"]);
}

#[test]
fn each_compares_with_its_own_limit_and_nobody_overtakes() {
    let cli = Cli::new();
    cli.start(noted(&cli, "one", line("g", 1)));
    cli.await_status("one", "running");
    cli.start(noted(&cli, "two", line("g", 2)));
    cli.await_status("two", "running");
    cli.start(noted(&cli, "waits", line("g", 2)));
    // It would have a place, but others were there before.
    cli.start(noted(&cli, "any", line("g", 0)));
    let waiting = cli.supervisor("any");
    eventually(|| processes::is_asleep(waiting), "any waits");
    assert_eq!(position(&cli, "any"), 1);
    go(&cli, "one");
    cli.await_status("waits", "running");
    cli.await_status("any", "running");
    for id in ["two", "waits", "any"] {
        go(&cli, id);
        cli.wait(id);
    }
    // The last two begin one right after the other.
    assert_eq!(notes(&cli).len(), 4);
}

#[test]
fn a_restart_goes_to_the_end_of_the_line_and_an_automatic_one_keeps_its_place() {
    let cli = Cli::new();
    cli.start(noted(&cli, "a", line("g", 1)));
    cli.await_status("a", "running");
    eventually(|| notes(&cli) == ["a"], "a has begun");
    cli.start(noted(&cli, "b", line("g", 1)));
    let restarted = cli.run("restart").payload(json!({ "id": "a" })).ok();
    assert_eq!(restarted["status"], "queued");
    assert_eq!(restarted["task"]["run"], 2);
    cli.await_status("b", "running");
    assert_eq!(position(&cli, "a"), 0);
    go(&cli, "b");
    cli.await_status("a", "running");
    go(&cli, "a");
    cli.wait("a");
    assert_eq!(notes(&cli), ["a", "b", "a"]);

    let again = json!({ "restart": {
        "policy": "on_failure", "max_retries": 2, "delay_ms": 50, "backoff": "constant",
    }});
    let fails = work("fails", ["note", &cli.file("notes"), "exit", "1"]);
    let batch = json!([
        with(with(fails, again), line("g", 1)),
        noted(&cli, "b", line("g", 1)),
    ]);
    let answer = cli.run("start").payload(batch).flags(["--wait"]).ok();
    assert_eq!(
        answer["results"][0]["data"]["task"]["reason"],
        "restart_limit"
    );
    assert_eq!(notes(&cli)[3..], ["fails", "fails", "fails", "b"]);
}

#[test]
fn a_queued_restart_of_what_is_queued_waits_on_and_an_ended_one_starts_anew() {
    let cli = Cli::new();
    cli.start(script("b", "echo earlier"));
    cli.wait("b");
    cli.start(noted(&cli, "a", line("g", 1)));
    cli.await_status("a", "running");
    // From here on its log is that of the new start.
    cli.start(noted(&cli, "b", line("g", 1)));
    assert_eq!(cli.log("b"), "");
    cli.start(noted(&cli, "c", line("g", 1)));
    let restarted = cli.run("restart").payload(json!({ "id": "b" })).ok();
    assert_eq!(restarted["status"], "queued");
    eventually(|| position(&cli, "b") == 1, "b is behind c");
    for id in ["a", "b", "c"] {
        go(&cli, id);
    }
    cli.wait("b");
    assert_eq!(notes(&cli), ["a", "c", "b"]);
}

#[test]
fn a_queued_supervisor_that_is_killed_loses_its_place() {
    let cli = Cli::new();
    cli.start(noted(&cli, "a", line("g", 1)));
    cli.await_status("a", "running");
    cli.start(noted(&cli, "b", line("g", 1)));
    cli.start(noted(&cli, "c", line("g", 1)));
    cli.lose_supervisor("b");
    let lost = cli.wait("b");
    assert_eq!(lost["status"], "failed");
    assert_eq!(lost["reason"], "supervisor_lost");
    eventually(|| position(&cli, "c") == 0, "c is the next");
    go(&cli, "a");
    cli.await_status("c", "running");
    // It can be started again, behind the others.
    let restarted = cli.run("restart").payload(json!({ "id": "b" })).ok();
    assert_eq!(restarted["status"], "queued");
    go(&cli, "b");
    go(&cli, "c");
    assert_eq!(cli.wait("b")["exit_code"], 0);
    assert_eq!(notes(&cli), ["a", "c", "b"]);
    eventually(|| tickets(&cli, "g").is_empty(), "nobody is in the line");
}

#[test]
fn a_place_is_taken_while_the_command_lives_without_its_supervisor() {
    let cli = Cli::new();
    cli.start(noted(&cli, "a", line("g", 1)));
    let main = cli.await_status("a", "running")["pid"].as_i64().unwrap();
    let main = i32::try_from(main).unwrap();
    cli.start(noted(&cli, "b", line("g", 1)));
    let waiting = cli.supervisor("b");
    cli.await_rest("b");
    let slept = processes::times_slept(waiting);
    cli.lose_supervisor("a");
    // It has been woken, has looked, and sleeps again.
    let looked = || processes::times_slept(waiting) > slept && processes::is_asleep(waiting);
    eventually(looked, "b has looked");
    assert!(processes::is_alive(main));
    assert_eq!(cli.task("b")["status"], "queued");
    processes::send(main, Signal::SIGKILL);
    cli.await_status("b", "running");
    go(&cli, "b");
    cli.wait("b");
    assert_eq!(notes(&cli), ["a", "b"]);
}

#[test]
fn what_cannot_be_executed_is_told_at_once_where_there_is_a_place() {
    let cli = Cli::new();
    let nothing = json!({ "id": "a", "command": "/no/such/program" });
    let payload = with(nothing, line("g", 1));
    cli.run("start").payload(payload).err("SpawnFailed");
    cli.run("status").payload(json!("a")).err("TaskNotFound");
    assert_eq!(tickets(&cli, "g"), [] as [String; 0]);
    // Its place is free.
    assert_eq!(
        cli.start(noted(&cli, "b", line("g", 1)))["status"],
        "running"
    );
    cli.start(noted(&cli, "c", line("g", 1)));
    let restarted = cli.run("restart").payload(json!({ "id": "c" })).ok();
    assert_eq!(restarted["status"], "queued");
    go(&cli, "b");
    go(&cli, "c");
    cli.wait("c");
    // So is that of one that ran and is restarted, once nothing is left of the others.
    eventually(|| tickets(&cli, "g").is_empty(), "nobody is in the line");
    let restarted = cli.run("restart").payload(json!({ "id": "b" })).ok();
    assert_eq!(restarted["status"], "running");
    assert_eq!(cli.wait("b")["exit_code"], 0);
    eventually(|| tickets(&cli, "g").is_empty(), "nobody is in the line");
}

#[test]
fn what_cannot_be_executed_fails_in_its_turn() {
    let cli = Cli::new();
    cli.start(noted(&cli, "a", line("g", 1)));
    let nothing = json!({ "id": "b", "command": "/no/such/program" });
    let started = cli.start(with(nothing, line("g", 1)));
    assert_eq!(started["status"], "queued");
    cli.start(noted(&cli, "c", line("g", 1)));
    go(&cli, "a");
    let failed = cli.wait("b");
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["reason"], "spawn_failed");
    assert!(text(&failed["problem"]).contains("/no/such/program"));
    cli.await_status("c", "running");
    go(&cli, "c");
    cli.wait("c");
}

#[test]
fn limits_count_from_the_run_and_the_owner_from_the_start() {
    let cli = Cli::new();
    let mut owner = Command::new("sleep")
        .arg("1000")
        .spawn()
        .expect("there is one");
    cli.start(noted(&cli, "a", line("g", 1)));
    cli.await_status("a", "running");
    let owned = with(
        noted(&cli, "owned", line("g", 1)),
        json!({ "owner": { "pid": owner.id() } }),
    );
    cli.start(owned);
    let limited = json!({ "timeout_ms": 300, "stop": { "grace_ms": 0 } });
    let began = Instant::now();
    cli.start(with(noted(&cli, "limited", line("g", 1)), limited));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let task = cli.wait("owned");
    assert_eq!(
        (&task["status"], &task["reason"]),
        (&json!("killed"), &json!("owner_gone"))
    );
    assert_eq!(task["started_at"], Value::Null);
    eventually(
        || began.elapsed().as_millis() > 350,
        "more time than a run may last",
    );
    assert_eq!(cli.task("limited")["status"], "queued");
    go(&cli, "a");
    assert_eq!(cli.wait("limited")["reason"], "timed_out");
    assert_eq!(notes(&cli), ["a", "limited"]);
}

#[test]
fn a_queued_task_can_be_followed_and_a_line_of_it_waited_for() {
    let cli = Cli::new();
    cli.start(noted(&cli, "a", line("g", 1)));
    cli.await_status("a", "running");
    let speaks = work("b", ["print", "ready", "wait-file", &cli.file("go-b")]);
    cli.start(with(speaks, line("g", 1)));
    let until = json!({ "id": "b", "until": { "log": "ready" } });
    let wait = cli.run("wait").payload(until).spawn();
    let follow = cli.run("events").payload(json!({ "id": "b" }));
    let follow = follow.flags(["--follow"]).spawn();
    wait.await_asleep();
    follow.await_asleep();
    go(&cli, "a");
    assert_eq!(wait.finish().ok()["match"]["number"], 1);
    go(&cli, "b");
    let frames = follow.finish().frames();
    let types: Vec<_> = frames.iter().map(|frame| text(&frame["type"])).collect();
    let expected = [
        "task.status.snapshot",
        "task.queued",
        "task.started",
        "task.log.line",
        "task.exited",
    ];
    assert_eq!(types, expected);
}

#[test]
fn a_killed_holder_of_the_lines_lock_blocks_nobody() {
    let cli = Cli::new();
    cli.start_and_wait(noted_and_done(&cli, "a"));
    let lock = cli.home().join("queues/g/lock");
    let mut holder = Command::new("flock")
        .args(["--no-fork".as_ref(), lock.as_os_str(), "sleep".as_ref()])
        .arg("1000")
        .stdin(Stdio::null())
        .spawn()
        .expect("util-linux is there");
    let is_held = || fs::File::open(&lock).is_ok_and(|lock| lock.try_lock().is_err());
    eventually(is_held, "the lock is held");
    let call = cli.run("start").payload(noted_and_done(&cli, "b")).spawn();
    call.await_asleep();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(call.finish().ok()["task"]["status"], "running");
    assert_eq!(cli.wait("b")["exit_code"], 0);
}

fn noted_and_done(cli: &Cli, id: &str) -> Value {
    with(work(id, ["note", &cli.file("notes")]), line("g", 1))
}

#[test]
fn tickets_without_a_task_are_void() {
    let cli = Cli::new();
    cli.start_and_wait(noted_and_done(&cli, "gone"));
    cli.start_and_wait(noted_and_done(&cli, "damaged"));
    cli.start_and_wait(noted_and_done(&cli, "anew"));
    cli.await_no_processes();
    cli.run("remove").payload(json!({ "id": "gone" })).ok();
    fs::write(cli.task_file("damaged", "task.json"), "{").unwrap();
    for (number, stage, id) in [
        (1, "r", "gone"),
        (2, "r", "damaged"),
        (3, "w", "anew"),
        (4, "w", "never"),
    ] {
        let name = format!("{number:020}.{stage}.0123456789abcdef.{id}");
        let path = cli.home().join("queues/g").join(name);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    }
    assert_eq!(tickets(&cli, "g").len(), 4);
    cli.start(noted(&cli, "b", line("g", 1)));
    cli.await_status("b", "running");
    assert_eq!(tickets(&cli, "g").len(), 1);
    go(&cli, "b");
    cli.wait("b");
}

#[test]
fn a_caller_that_is_killed_while_it_lines_up_leaves_no_place_taken() {
    let cli = Cli::new();
    cli.start_and_wait(noted_and_done(&cli, "z"));
    let notes_file = cli.file("notes");
    let queued = |id: &str| with(work(id, ["note", &notes_file]), line("g", 1));
    let batch: Vec<Value> = (0..100).map(|n| queued(&format!("t{n}"))).collect();
    let call = cli
        .run("start")
        .payload(json!(batch))
        .flags(["--concurrency", "1"]);
    let call = call.spawn();
    eventually(|| cli.task_file("t20", "end").exists(), "it is under way");
    call.kill();
    let last = cli
        .run("start")
        .payload(queued("last"))
        .flags(["--wait"])
        .ok();
    assert_eq!(last["task"]["exit_code"], 0);
    let begun = notes(&cli);
    let numbers = begun[1..begun.len() - 1].iter();
    let numbers: Vec<u32> = numbers.map(|id| id[1..].parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() >= 20, "{numbers:?}");
    assert_eq!(begun.last().unwrap(), "last");
    for task in cli.run("list").payload(json!({})).ok()["tasks"]
        .as_array()
        .unwrap()
    {
        let lost = task["reason"] == "supervisor_lost";
        assert!(task["status"] == "exited" || lost, "{task}");
    }
}

/// A small random number generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// Those who wait (`w`) or have a place (`r`) now.
fn with_stage(cli: &Cli, stage: &str) -> Vec<String> {
    let names = tickets(cli, "chaos");
    let meant = names.iter().filter(|name| name[21..].starts_with(stage));
    meant
        .filter_map(|name| name.splitn(4, '.').nth(3))
        .map(str::to_owned)
        .collect()
}

fn kill_supervisor(cli: &Cli, id: &str) -> bool {
    let found = cli.find_supervisor(id);
    found.is_some_and(|pid| {
        processes::send(pid, Signal::SIGKILL);
        true
    })
}

/// The pid of a command that runs, as far as the record knows.
fn main_on_record(cli: &Cli, id: &str) -> Option<i64> {
    let record = fs::read(cli.task_file(id, "task.json")).ok()?;
    let record: Value = serde_json::from_slice(&record).unwrap_or_default();
    record["facts"]["state"]["running"]["main"]["pid"].as_i64()
}

fn kill_command(cli: &Cli, id: &str) -> bool {
    let mark = format!("BACKGROUND_TASKS_ID={id}");
    let main = main_on_record(cli, id);
    let main = main.and_then(|pid| i32::try_from(pid).ok());
    main.is_some_and(|pid| {
        let is_it = processes::environment(pid).contains(&mark);
        if is_it {
            processes::send(pid, Signal::SIGKILL);
        }
        is_it
    })
}

#[test]
fn two_hundred_keep_their_order_and_their_limit_while_holders_are_killed() {
    const TASKS: usize = 200;
    const LIMIT: u32 = 3;
    let cli = Cli::new();
    let (slots, notes_file) = (cli.file("slot"), cli.file("notes"));
    let ids: Vec<String> = (0..TASKS).map(|n| format!("t{n:03}")).collect();
    let item = |id: &String| {
        // Whoever finds all slots taken exits with 70: one too many runs.
        let work = ["slot", &slots, "3", "note", &notes_file, "sleep", "25"];
        let task = json!({ "id": id, "command": fixture(), "args": work });
        with(task, line("chaos", LIMIT))
    };
    let batch: Vec<Value> = ids.iter().map(item).collect();
    let call = cli.run("start").payload(json!(batch));
    let call = call.flags(["--concurrency", "8"]).spawn();

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut supervisors, mut commands) = (0, 0);
    loop {
        let seen = notes(&cli).len();
        let end = seen + 1 + random.below(4);
        let is_over = || seen > 0 && with_stage(&cli, "w").is_empty();
        eventually(|| notes(&cli).len() >= end || is_over(), "the line goes on");
        if is_over() {
            break;
        }
        // One that is killed before its command is on record may be a start that came to nothing.
        let mut holders = with_stage(&cli, "r");
        holders.retain(|id| main_on_record(&cli, id).is_some());
        if holders.is_empty() {
            continue;
        }
        let id = &holders[random.below(holders.len())];
        let kind = random.below(3);
        if kind != 0 {
            commands += usize::from(kill_command(&cli, id));
        }
        if kind != 1 {
            supervisors += usize::from(kill_supervisor(&cli, id));
        }
    }
    assert_eq!(call.finish().ok()["success_count"], TASKS);
    let wait = cli.run("wait").payload(json!({ "ids": ids }));
    let done = wait.flags(["--timeout", "30"]).ok();
    assert_eq!(done["outcome"], "reached");

    // Enough has happened, and all the same nobody found the places taken.
    assert!(
        supervisors >= 10 && commands >= 10,
        "{supervisors} {commands}"
    );
    let mut fates = std::collections::BTreeMap::new();
    for task in done["tasks"].as_array().unwrap() {
        assert_ne!(task["exit_code"], 70, "{task}");
        let fate = text(&task["status"]) + " " + task["reason"].as_str().unwrap_or("");
        *fates.entry(fate).or_insert(0) += 1;
    }
    let known = ["exited ", "killed signalled", "failed supervisor_lost"];
    assert!(
        fates.keys().all(|fate| known.contains(&fate.as_str())),
        "{fates:?}"
    );
    assert!(fates["exited "] > TASKS / 2, "{fates:?}");

    // When one begins, all before it have been given their place. Those of them that have not
    // begun yet take one each, so they are fewer than the limit.
    let begun = notes(&cli);
    let unique: BTreeSet<_> = begun.iter().collect();
    assert_eq!(unique.len(), begun.len());
    for (at, id) in begun.iter().enumerate() {
        let late = begun[at..].iter().filter(|other| *other < id).count();
        assert!(late < LIMIT as usize, "{id} overtook {late}: {begun:?}");
    }
}
