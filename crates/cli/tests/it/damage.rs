//! Homes in which one task is damaged at random, again and again: the program answers in time and
//! as its schemas say, and no other task is touched.
//!
//! Each round makes a task, damages one or two of its files and asks everything of it. The seed is
//! printed, and what was done in the round; the same seed does the same again:
//!
//! ```text
//! DAMAGE_SEED=7 DAMAGE_ROUNDS=5000 cargo test -p background-tasks --test it -- damage::
//! ```

#![allow(clippy::print_stdout, reason = "a round is to be had again")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};

use crate::harness::{
    Cli, Outcome, eventually, fixture, parsed, pid_of, script, text, types, with, work,
};
use crate::processes;

const VICTIM: &str = "damaged-at-random";

/// Numbers that look random and come again with the same seed: SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.roll() % end).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    let told = std::env::var(name).ok();
    told.map_or(otherwise, |told| told.parse().expect("a number"))
}

/// A home with tasks in every state, and how they are told of.
struct Scene {
    cli: Cli,
    processes: Vec<i32>,
    told: BTreeMap<String, Value>,
}

impl Scene {
    fn new() -> Self {
        let cli = Cli::new();
        cli.start_and_wait(work("exited", ["print", "hello", "exit", "0"]));
        cli.start_and_wait(with(
            work("both", ["print", "out", "eprint", "err", "exit", "3"]),
            json!({ "stderr": "separate", "tags": ["a"], "ttl_ms": 86_400_000 }),
        ));
        cli.start_and_wait(work("signalled", ["signal", "KILL"]));
        cli.start_and_wait(with(
            work("capped", ["fill", "300000"]),
            json!({ "limits": { "log_bytes": 65536 } }),
        ));
        cli.start_and_wait(with(
            work("flapping", ["exit", "1"]),
            json!({ "restart": { "policy": "on_failure", "max_retries": 1, "delay_ms": 1 } }),
        ));
        cli.start(work("running", ["lines", "3", "hang"]));
        cli.start(work("stopped", ["print", "up", "hang"]));
        cli.await_line("stopped", "up");
        cli.stop("stopped");
        cli.start(work("lost", ["print", "up", "hang"]));
        cli.await_line("lost", "up");
        let lost = pid_of(&cli.task("lost"));
        cli.lose_supervisor("lost");
        processes::send(lost, Signal::SIGKILL);
        eventually(|| cli.task("lost")["status"] == "failed", "it is lost");
        cli.start(work("paused", ["print", "up", "hang"]));
        cli.run("pause").text("paused").ok();
        cli.start(with(
            work("between-runs", ["exit", "1"]),
            json!({ "restart": { "policy": "always", "delay_ms": 86_400_000, "max_delay_ms": 86_400_000 } }),
        ));
        cli.await_status("between-runs", "starting");
        let in_line = json!({ "queue": { "group": "line", "limit": 1 } });
        cli.start(with(work("holds", ["hang"]), in_line.clone()));
        cli.start(with(work("queued", ["hang"]), in_line));
        cli.start(with(
            script("depends", "true"),
            json!({ "after": { "ids": ["running"] } }),
        ));
        for (id, line) in [("running", "3"), ("paused", "up")] {
            cli.await_line(id, line);
        }
        for id in ["running", "paused"] {
            let noted = || {
                cli.task_file(id, "timeline")
                    .metadata()
                    .is_ok_and(|it| it.len() > 24)
            };
            eventually(noted, "when its lines were written");
        }
        // What has ended has had its last word.
        for id in [
            "exited",
            "both",
            "signalled",
            "capped",
            "flapping",
            "stopped",
        ] {
            cli.await_no_supervisor(id);
        }
        let mut scene = Self {
            cli,
            processes: Vec::new(),
            told: BTreeMap::new(),
        };
        scene.processes = scene.cli.processes();
        scene.told = scene.tell_others();
        assert_eq!(scene.told.len(), 13, "{:?}", scene.told.keys());
        scene
    }

    /// What the program tells of every other task: its record, its events, its lines.
    fn tell_others(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        let list = self.call("list", Some(json!({ "limit": 100 })), &[]);
        let list = list.expect("one task hurts no list");
        for task in list["tasks"].as_array().expect("tasks is an array") {
            let mut task = task.clone();
            task["duration_ms"] = Value::Null;
            all.insert(text(&task["id"]), json!({ "task": task, "frames": [] }));
        }
        let events = self.call("events", Some(json!({ "all": true, "lines": 2 })), &[]);
        let events = events.expect("one task hurts no stream");
        for frame in events["frames"].as_array().expect("frames is an array") {
            let mut frame = frame.clone();
            frame["sequence"] = Value::Null;
            if frame["type"] == "task.status.snapshot" || frame["type"] == "task.failed" {
                // Made when it was asked for.
                frame["timestamp"] = Value::Null;
                frame["data"]["task"]["duration_ms"] = Value::Null;
            }
            let told = all.entry(text(&frame["task_id"])).or_default();
            let frames = told["frames"].as_array_mut();
            frames.expect("every task is listed").push(frame);
        }
        all.remove(VICTIM);
        all
    }

    /// A call of which only that it keeps its promises is known: an answer or an error, and soon
    /// enough for the harness.
    fn call(&self, verb: &str, payload: Option<Value>, flags: &[&str]) -> Result<Value, Value> {
        let mut call = self.cli.run(verb);
        if let Some(payload) = payload {
            call = call.payload(payload);
        }
        let outcome = call.flags(flags.iter().copied()).output();
        let is_stream = flags.contains(&"--stream");
        match outcome.status.code() {
            Some(0) if is_stream => Ok(json!(types(&outcome.frames()))),
            Some(0) => Ok(outcome.ok()),
            Some(1) if is_stream => Err(Value::Null),
            // Of a batch in which an item failed.
            Some(1) if outcome.stderr.is_empty() => Ok(outcome.exits(1)),
            Some(1) => Err(failed(outcome)),
            _ => panic!("{outcome:?}"),
        }
    }

    /// What is known of the others is as it was.
    fn must_be_untouched(&self, what: &str) {
        let told = self.tell_others();
        for (id, before) in &self.told {
            let now = told.get(id);
            assert!(now == Some(before), "{id}, {what}\n{before:#}\n{now:#?}");
        }
        assert_eq!(told.len(), self.told.len(), "{what}");
    }

    fn ask(&self, what: &str) {
        let id = || Some(json!({ "id": VICTIM }));
        let _ = self.call("status", id(), &[]);
        let _ = self.call("logs", id(), &[]);
        let grep = json!({ "id": VICTIM, "grep": "p", "context": 1 });
        let _ = self.call("logs", Some(grep), &[]);
        let _ = self.call("logs", Some(json!({ "id": VICTIM, "head": 2 })), &[]);
        let _ = self.call("logs", id(), &["--stream"]);
        let _ = self.call("events", id(), &["--stream"]);
        let _ = self.call("wait", id(), &["--timeout", "0.01"]);
        self.must_be_untouched(what);
    }

    fn change(&self, verb: &str) -> Result<Value, Value> {
        let soon = ["--timeout", "2"];
        let id = json!({ "id": VICTIM });
        match verb {
            "signal" => self.call(verb, Some(with(id, json!({ "signal": "CONT" }))), &soon),
            "send" => self.call(verb, Some(with(id, json!({ "text": "x" }))), &soon),
            "stop" => self.call(verb, Some(with(id, json!({ "grace_ms": 50 }))), &soon),
            "start" => self.call(verb, Some(work(VICTIM, ["print", "anew"])), &soon),
            "prune" => {
                let victims = json!({ "keep": 0, "tag": VICTIM });
                self.call(verb, Some(victims), &soon)
            }
            _ => self.call(verb, Some(id), &soon),
        }
    }

    /// Takes everything away that is the victim's, however it looks by now.
    fn clear(&self) {
        let home = self.cli.home();
        for pid in self.cli.processes() {
            if !self.processes.contains(&pid) {
                processes::send(pid, Signal::SIGKILL);
            }
        }
        eventually(
            || {
                self.cli
                    .processes()
                    .iter()
                    .all(|pid| self.processes.contains(pid))
            },
            "the victim's processes are gone",
        );
        for folder in ["tasks", "logs", "locks", "trash", "ttl", "queues/line"] {
            let Ok(entries) = fs::read_dir(home.join(folder)) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                if folder == "trash" || name.to_string_lossy().contains(VICTIM) {
                    take_away(&entry.path());
                }
            }
        }
    }
}

/// The error of a call that failed as promised.
fn failed(outcome: Outcome) -> Value {
    let kind = text(&parsed(&outcome.stderr)["error"]["type"]);
    outcome.err(&kind)
}

fn take_away(path: &Path) {
    let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let taken = if is_folder {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    taken.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The task of a round; its payload says what it has files of.
fn make_victim(scene: &Scene, dice: &mut Dice) -> (&'static str, Option<i32>) {
    let cli = &scene.cli;
    let marked = |payload: Value| with(payload, json!({ "tags": [VICTIM] }));
    let ended = |more| {
        let words = ["print", "up", "eprint", "problem", "exit", "3"];
        cli.start_and_wait(with(marked(work(VICTIM, words)), more));
    };
    let alive = |words: [&str; 3], more| {
        cli.start(with(marked(work(VICTIM, words)), more));
        cli.await_line(VICTIM, "up");
        Some(pid_of(&cli.task(VICTIM)))
    };
    let up = ["print", "up", "hang"];
    match dice.below(8) {
        0 => ended(json!({ "ttl_ms": 3_600_000 })),
        1 | 2 => ended(json!({ "stderr": "separate", "on_exit": { "command": "true" } })),
        3 => {
            let again = json!({ "policy": "on_failure", "max_retries": 1, "delay_ms": 1 });
            ended(json!({ "restart": again, "stdin": { "text": "typed" } }));
        }
        4 => {
            let words = json!([fixture(), "fill", "200000"]);
            let capped = json!({ "limits": { "log_bytes": 65536 } });
            let filling = json!({ "id": VICTIM, "command": fixture(), "args": &words.as_array().unwrap()[1..] });
            cli.start_and_wait(with(marked(filling), capped));
        }
        5 => return ("running", alive(up, json!({ "stdin": "open" }))),
        6 => {
            let again = json!({ "policy": "always", "delay_ms": 60_000 });
            return (
                "running",
                alive(up, json!({ "restart": again, "stderr": "separate" })),
            );
        }
        _ => {
            let line = json!({ "queue": { "group": "line", "limit": 1 } });
            cli.start(with(marked(work(VICTIM, up)), line));
            return ("queued", None);
        }
    }
    ("ended", None)
}

/// Everything on the disk that is the victim's.
fn files(home: &Path) -> Vec<PathBuf> {
    let mut files = vec![home.join("tasks").join(VICTIM)];
    for folder in [
        "tasks/damaged-at-random",
        "logs",
        "locks",
        "ttl",
        "queues/line",
    ] {
        let entries = fs::read_dir(home.join(folder)).into_iter().flatten();
        let paths = entries.flatten().map(|entry| entry.path());
        files.extend(paths.filter(|path| path.to_string_lossy().contains(VICTIM)));
    }
    files.sort();
    files
}

/// Damages one file; returns what was done.
fn damage(home: &Path, path: &Path, dice: &mut Dice) -> String {
    let kind = *dice.pick(&[
        "truncate",
        "flip",
        "flip",
        "flip",
        "extend",
        "folder",
        "symlink",
        "fifo",
        "socket",
        "device",
        "remove",
        "forbid",
        "another's",
        "giant",
        "not UTF-8",
        "deep",
        "empty",
        "numbers",
    ]);
    let done = format!("{kind} {}", path.strip_prefix(home).unwrap().display());
    let content = fs::symlink_metadata(path)
        .ok()
        .filter(fs::Metadata::is_file)
        .and_then(|_| fs::read(path).ok())
        .unwrap_or_default();
    let is_regular = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    let instead = |make: &dyn Fn()| {
        let aside = path.with_extension("aside-of-damage");
        if fs::rename(path, &aside).is_ok() {
            make();
            take_away(&aside);
        }
    };
    let node = |kind: SFlag, device| {
        let private = Mode::S_IRUSR | Mode::S_IWUSR;
        // Only root may make devices; for others it is removed.
        instead(&|| {
            let _ = mknod(path, kind, private, device);
        });
    };
    match kind {
        "folder" => instead(&|| fs::create_dir(path).unwrap()),
        "symlink" => {
            let name = path.file_name().unwrap();
            let others = path.to_string_lossy().replace(VICTIM, "exited");
            let of_other = [
                others.into(),
                home.join("tasks/running").join(name),
                "/dev/zero".into(),
            ];
            let target: &PathBuf = dice.pick(&of_other);
            instead(&|| symlink(target, path).unwrap());
        }
        "fifo" => node(SFlag::S_IFIFO, 0),
        "socket" => node(SFlag::S_IFSOCK, 0),
        // /dev/zero never ends, /dev/null always has.
        "device" => node(
            SFlag::S_IFCHR,
            makedev(1, if dice.below(2) == 0 { 5 } else { 3 }),
        ),
        "remove" => instead(&|| ()),
        "forbid" => {
            let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o000));
        }
        _ if !is_regular => {}
        _ => {
            if kind == "not UTF-8" {
                let stray = OsString::from_vec([VICTIM.as_bytes(), b"\xff"].concat());
                let _ = fs::write(path.with_file_name(stray), "");
            }
            rewrite(kind, path, content, dice);
        }
    }
    done
}

/// Gives a file another content.
fn rewrite(kind: &str, path: &Path, content: Vec<u8>, dice: &mut Dice) {
    let in_place = |bytes: &[u8]| {
        // Through the file that is there, which others may have open.
        if let Ok(file) = fs::File::options().write(true).open(path) {
            let _ = file
                .set_len(bytes.len() as u64)
                .and_then(|()| file.write_all_at(bytes, 0));
        }
    };
    match kind {
        "truncate" => in_place(&content[..dice.below(content.len())]),
        "empty" => in_place(b""),
        "flip" => {
            let mut content = content;
            for _ in 0..=dice.below(4) {
                let at = dice.below(content.len());
                if let Some(byte) = content.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            in_place(&content);
        }
        "extend" => {
            let more: Vec<u8> = (0..dice.below(5000))
                .map(|_| dice.roll().to_le_bytes()[0])
                .collect();
            in_place(&[content, more].concat());
        }
        "another's" => {
            let others: Vec<PathBuf> = ["both", "capped", "flapping", "queued", "lost"]
                .map(|id| path.to_string_lossy().replace(VICTIM, id).into())
                .into();
            if let Ok(other) = fs::read(dice.pick(&others)) {
                in_place(&other);
            }
        }
        "giant" => {
            // A log of that size is no damage, and takes its time to be read.
            let is_log = path.to_string_lossy().contains("log");
            let size = if is_log { 16 << 20 } else { 2 << 30 };
            let _ = fs::File::options()
                .write(true)
                .open(path)
                .and_then(|file| file.set_len(size));
        }
        "not UTF-8" => in_place(&[b"\xff\xfe", &content[..]].concat()),
        "deep" => in_place(&[b"{\"a\":".repeat(100_000), b"[".repeat(100_000)].concat()),
        _ => {
            // Every number as large as can be.
            let text = String::from_utf8_lossy(&content).into_owned();
            let mut large = String::new();
            for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
                let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
                match (digits.is_empty(), large.ends_with(':')) {
                    (false, true) => {
                        let largest = ["18446744073709551615", "4294967295", "-1"];
                        large.push_str(largest[dice.below(largest.len())]);
                        large.push_str(&part[digits.len()..]);
                    }
                    _ => large.push_str(part),
                }
            }
            in_place(large.as_bytes());
        }
    }
}

fn rounds(seed: u64) {
    let seed = from_environment("DAMAGE_SEED", seed);
    let count = from_environment("DAMAGE_ROUNDS", 25);
    println!("DAMAGE_SEED={seed} DAMAGE_ROUNDS={count}");
    let scene = Scene::new();
    for round in 0..count {
        // Each round by itself can be had again: DAMAGE_SEED is that of the first.
        let mut dice = Dice(seed.wrapping_add(round).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let (state, main) = make_victim(&scene, &mut dice);
        let mut what = format!("seed {}, round {round}, {state}:", seed.wrapping_add(round));
        for _ in 0..=dice.below(2) {
            let files = files(scene.cli.home());
            if !files.is_empty() {
                let path = dice.pick(&files).clone();
                what += &format!(" {};", damage(scene.cli.home(), &path, &mut dice));
            }
        }
        println!("{what}");
        scene.ask(&what);
        let verbs = [
            "stop", "restart", "remove", "prune", "start", "signal", "pause", "resume", "send",
        ];
        for _ in 0..2 {
            let verb = *dice.pick(&verbs);
            let answer = scene.change(verb);
            what += &format!(" {verb}");
            if verb == "stop" && answer.is_ok() {
                let lives = main.is_some_and(processes::is_alive);
                assert!(!lives, "{what}: it was stopped, and lives");
            }
        }
        println!("{what}");
        let _ = scene.call("status", Some(json!({ "id": VICTIM })), &[]);
        scene.must_be_untouched(&what);
        let broken = scene.cli.task_file(VICTIM, "supervisor.panic");
        let broken = fs::read_to_string(broken);
        assert!(broken.is_err(), "{what}: {broken:?}");
        scene.clear();
    }
    scene.must_be_untouched("after all");
}

#[test]
fn a_damaged_task_hurts_no_other() {
    rounds(1);
}

#[test]
fn a_damaged_task_hurts_no_other_either() {
    rounds(1_000_000);
}
