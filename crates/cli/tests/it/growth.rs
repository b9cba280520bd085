//! Logs that grow: their timeline, their cap, and a supervisor that sleeps while they do not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, script, with, work};

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Lets time pass, as far as the program can tell: another task needs so long.
fn let_pass(cli: &Cli, ms: &str) {
    cli.start_and_wait(work("clock", ["sleep", ms]));
}

/// Another run, to its end.
fn restart(cli: &Cli) {
    cli.run("restart").payload(json!({ "id": "a" })).ok();
    cli.wait("a");
}

/// (time, length of the log, length of stderr's) of each mark of task `a`.
fn marks(cli: &Cli) -> Vec<(i64, u64, u64)> {
    let bytes = fs::read(cli.task_file("a", "timeline")).unwrap_or_default();
    let (words, torn) = bytes.as_chunks::<8>();
    assert!(torn.is_empty(), "{} bytes", bytes.len());
    let number = |word: &[u8; 8]| u64::from_le_bytes(*word);
    let mark = |words: &[[u8; 8]; 3]| {
        let time = i64::from_le_bytes(words[0]);
        (time, number(&words[1]), number(&words[2]))
    };
    // A header is as long as a mark.
    words.as_chunks::<3>().0.iter().skip(1).map(mark).collect()
}

/// Waits until a mark says that the logs were at least so long; returns its time.
fn time_of(cli: &Cli, log: u64, stderr: u64) -> i64 {
    let is_behind = |mark: &(i64, u64, u64)| mark.1 >= log && mark.2 >= stderr;
    let find = || marks(cli).into_iter().find(is_behind);
    eventually(find, &format!("a mark at {log} and {stderr}")).0
}

#[test]
fn lines_get_the_time_at_which_they_were_written() {
    let cli = Cli::new();
    let go = cli.file("go");
    let begun = now();
    cli.start(work(
        "a",
        ["print", "one", "wait-file", &go, "print", "two", "hang"],
    ));
    cli.await_line("a", "one");
    let one = time_of(&cli, 4, 0);
    assert!((begun..=now()).contains(&one), "{begun} {one}");
    let_pass(&cli, "200");
    let later = now();
    assert!(one < later - 200, "{one} {later}");
    cli.touch("go");
    cli.await_line("a", "two");
    let two = time_of(&cli, 8, 0);
    assert!((later..=now()).contains(&two), "{later} {two}");
}

#[test]
fn a_stream_of_its_own_has_its_own_lengths() {
    let cli = Cli::new();
    let both = with(
        work("a", ["print", "one", "eprint", "three", "hang"]),
        json!({ "stderr": "separate" }),
    );
    cli.start(both);
    time_of(&cli, 4, 6);
    assert_eq!(
        marks(&cli).last().map(|mark| (mark.1, mark.2)),
        Some((4, 6))
    );
}

#[test]
fn at_most_ten_marks_are_made_in_a_second() {
    let cli = Cli::new();
    let writer = "for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5 6 7; do echo $i$j; sleep 0.01; done; done";
    cli.start_and_wait(script("a", writer));
    let marks = marks(&cli);
    assert!(marks.len() > 3, "{marks:?}");
    // The last one is of the end, which may come at any time.
    for pair in marks[..marks.len() - 1].windows(2) {
        // A millisecond may be lost where both are rounded.
        assert!(pair[1].0 - pair[0].0 >= 99, "{pair:?}");
        assert!(pair[1].1 > pair[0].1, "{pair:?}");
    }
    assert_eq!(marks.last().map(|mark| mark.1), Some(63 * 3));
}

#[test]
fn a_restart_does_not_change_when_the_run_before_wrote() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "run"]));
    cli.await_no_supervisor("a");
    // A short run leaves that to the log's own time.
    assert!(marks(&cli).is_empty());
    let_pass(&cli, "50");
    let between = now();
    restart(&cli);
    let (first, second) = (time_of(&cli, 4, 0), time_of(&cli, 8, 0));
    assert!(
        first < between && between <= second,
        "{first} {between} {second}"
    );
    // Another generation has no part in it.
    cli.start_and_wait(work("a", ["print", "anew"]));
    assert!(!cli.task_file("a", "timeline").exists());
}

/// How often a process has gone to sleep or been put off.
fn switches(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is alive");
    let numbers = status.lines().filter(|line| line.contains("ctxt_switches"));
    numbers
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        .sum()
}

#[test]
fn nobody_is_woken_while_a_log_is_silent() {
    let cli = Cli::new();
    let go = cli.file("go");
    let capped = json!({ "limits": { "log_bytes": 65536 } });
    let writes = work(
        "a",
        ["print", "one", "wait-file", &go, "print", "two", "hang"],
    );
    cli.start(with(writes, capped));
    cli.start(work("silent", ["hang"]));
    let sleeps = || {
        // What a write leaves to be done is done by then.
        let_pass(&cli, "300");
        let supervisors = [cli.supervisor("a"), cli.supervisor("silent")];
        let before = supervisors.map(switches);
        let_pass(&cli, "600");
        assert_eq!(supervisors.map(switches), before);
    };
    time_of(&cli, 4, 0);
    sleeps();
    cli.touch("go");
    time_of(&cli, 8, 0);
    sleeps();
    // What others leave in the folder is no growth.
    fs::write(cli.task_file("a", "note"), "something").unwrap();
    sleeps();
}

const CAP: u64 = 1 << 20;

fn capped(payload: Value) -> Value {
    with(payload, json!({ "limits": { "log_bytes": CAP } }))
}

fn log_path(cli: &Cli) -> PathBuf {
    cli.home().join("logs/a.log")
}

/// What a log takes of the disk.
fn bytes_on_disk(path: &PathBuf) -> u64 {
    fs::metadata(path).map_or(0, |log| log.blocks() * 512)
}

/// Where a log begins, and how many lines are gone.
fn cut(cli: &Cli, name: &str) -> (usize, usize) {
    let cut = fs::read(cli.task_file("a", name)).expect("something was freed");
    let cut: Value = serde_json::from_slice(&cut).expect("JSON");
    let number = |name: &str| usize::try_from(cut[name].as_u64().unwrap()).unwrap();
    assert_eq!(cut["generation"], cli.record("a")["facts"]["generation"]);
    (number("offset"), number("lines"))
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn a_log_with_a_cap_takes_no_more_of_the_disk_however_much_is_written() {
    const BURST: usize = 10_000_000;
    const BURSTS: usize = 10;
    const WRITTEN: usize = BURST * BURSTS;
    let cli = Cli::new();
    // Each burst but the first waits until the one before has been freed: how fast a supervisor
    // gets its turns is the machine's affair.
    let gates: Vec<String> = (1..BURSTS).map(|n| format!("burst.{n}")).collect();
    let mut args = vec!["fill".to_owned(), BURST.to_string()];
    for gate in &gates {
        args.extend(["wait-file".to_owned(), cli.file(gate)]);
        args.extend(["fill".to_owned(), BURST.to_string()]);
    }
    args.extend(["exit".to_owned(), "3".to_owned()]);
    cli.start(capped(with(work("a", []), json!({ "args": args }))));
    for (gate, number) in gates.iter().zip(1..) {
        let is_freed = || {
            let written = fs::metadata(log_path(&cli)).map_or(0, |log| log.len());
            let on_disk = bytes_on_disk(&log_path(&cli));
            assert!(on_disk <= BURST as u64 + CAP + 8192, "{on_disk}");
            written == (BURST * number) as u64 && on_disk <= CAP + 8192
        };
        eventually(is_freed, "what is over the cap is freed");
        cli.touch(gate);
    }
    assert_eq!(cli.wait("a")["exit_code"], 3);
    cli.await_no_supervisor("a");
    let left = bytes_on_disk(&log_path(&cli));
    assert!(left <= CAP + 8192, "{left}");
    let log = fs::read(log_path(&cli)).unwrap();
    assert_eq!(log.len(), WRITTEN);
    let (offset, lines) = cut(&cli, "cut");
    assert!(WRITTEN - offset <= usize::try_from(CAP).unwrap());
    assert_eq!(lines + newlines(&log[offset..]), WRITTEN / 64);
    assert!(!log[offset..].contains(&0));
}

#[test]
fn each_stream_has_the_cap_by_itself_and_restarts_go_on_with_the_cuts() {
    let cli = Cli::new();
    let script_of_both = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); head -c 65536 /dev/zero | tr '\\0' '\\n'; head -c 65536 /dev/zero | tr '\\0' '\\n' >&2; done";
    let both = with(script("a", script_of_both), json!({ "stderr": "separate" }));
    cli.start_and_wait(capped(both));
    for (round, written) in [(1, 40 << 16), (2, 80 << 16)] {
        cli.await_no_supervisor("a");
        for (log, name) in [("a.log", "cut"), ("a.stderr.log", "cut.stderr")] {
            let path = cli.home().join("logs").join(log);
            assert!(bytes_on_disk(&path) <= CAP + 8192, "{log}, round {round}");
            let (offset, lines) = cut(&cli, name);
            let log = fs::read(&path).unwrap();
            assert_eq!(log.len(), written);
            assert_eq!(
                (lines, newlines(&log[offset..])),
                (offset, written - offset)
            );
        }
        if round == 1 {
            restart(&cli);
        }
    }
    cli.start_and_wait(work("a", ["print", "anew"]));
    for gone in ["cut", "cut.stderr", "log.stderr", "timeline"] {
        assert!(!cli.task_file("a", gone).exists(), "{gone}");
    }
    assert_eq!(cli.log("a"), "anew\n");
}

#[test]
fn a_log_within_its_cap_or_without_one_stays_whole() {
    let cli = Cli::new();
    for limits in [json!({ "log_bytes": 0 }), json!({}), json!(null)] {
        cli.start_and_wait(with(
            work("a", ["fill", "9000000"]),
            json!({ "limits": limits }),
        ));
        cli.await_no_supervisor("a");
        assert!(!cli.task_file("a", "cut").exists());
        assert_eq!(newlines(cli.log("a").as_bytes()), 9_000_000 / 64);
    }
}

#[test]
fn limits_are_shown_as_they_were_given() {
    let cli = Cli::new();
    for (given, shown) in [
        (json!({ "log_bytes": 65536 }), 65536),
        (json!({ "logBytes": 70000 }), 70000),
        (json!({ "log_bytes": 0 }), 0),
        (json!({}), 268_435_456),
        (json!(null), 268_435_456),
    ] {
        let task = cli.start_and_wait(with(work("a", []), json!({ "limits": given })));
        assert_eq!(task["limits"]["log_bytes"], shown);
        assert_eq!(task["limits"]["memory_bytes"], json!(null));
    }
}

#[test]
fn limits_that_cannot_be_meant_are_refused() {
    let cli = Cli::new();
    let refused = |limits: Value| {
        let payload = with(work("a", []), json!({ "limits": limits }));
        cli.run("start").payload(payload).err("CommandInputError")["details"].clone()
    };
    for wrong in [json!(1), json!(65535), json!(-1), json!("1M"), json!(null)] {
        let details = refused(json!({ "log_bytes": wrong }));
        assert_eq!(details["field"], "limits.log_bytes", "{wrong}");
    }
    for field in ["memory_bytes", "cpu_percent", "processes", "open_files"] {
        let details = refused(json!({ field: 0 }));
        assert_eq!(details["field"], format!("limits.{field}"));
    }
    assert_eq!(refused(json!([65536]))["field"], "limits");
    let unknown = refused(json!({ "log_byte": 65536 }));
    assert_eq!(
        (&unknown["field"], &unknown["nearest"], &unknown["allowed"]),
        (
            &json!("limits.log_byte"),
            &json!("log_bytes"),
            &json!([
                "cpu_percent",
                "log_bytes",
                "memory_bytes",
                "open_files",
                "processes"
            ])
        )
    );
    assert!(!cli.home().join("tasks/a").exists());
}

#[test]
fn a_record_of_before_there_were_limits_is_read() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "one"]));
    cli.await_no_supervisor("a");
    cli.edit_record("a", |record| {
        let spec = record["spec"].as_object_mut().unwrap();
        assert!(spec.remove("stderr").is_some() && spec.remove("limits").is_some());
    });
    let task = cli.task("a");
    assert_eq!(task["stderr"], "merge");
    assert_eq!(task["limits"]["log_bytes"], 268_435_456);
    restart(&cli);
    assert_eq!(cli.log("a"), "one\none\n");
}

#[test]
fn a_doctor_tries_what_logs_need() {
    let cli = Cli::new();
    let told = cli.run("doctor").ok();
    let checks = told["checks"].as_array().unwrap();
    for id in ["log_times", "log_cap"] {
        let check = checks.iter().find(|check| check["id"] == id).expect(id);
        assert_eq!(
            (&check["ok"], &check["required"]),
            (&json!(true), &json!(false)),
            "{check}"
        );
    }
}
