//! Who else is on the host: other users, other namespaces, other versions, and whoever plants
//! something where we write.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use serde_json::{Value, json};

use crate::harness::{Cli, Outcome, PROGRAM, end_of, eventually, pid_of, script, text, with, work};
use crate::processes;

const UID: &str = "41731";

/// Runs a program as somebody else.
fn as_stranger(cli: &Cli, words: &[&str]) -> Outcome {
    let become_stranger = format!("exec setpriv --reuid {UID} --regid {UID} --clear-groups \"$@\"");
    cli.shell(&become_stranger, words)
}

#[test]
fn another_user_can_neither_look_nor_change_nor_end_anything() {
    let cli = Cli::new();
    // All that keeps a stranger out is the home itself.
    fs::set_permissions(cli.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let secret = json!({ "env": { "SECRET": "s3cr3t" }, "stdin": "open" });
    let pid = pid_of(&cli.start(with(work("a", ["print", "x", "hang"]), secret)));
    let supervisor = cli.supervisor("a");
    let home = cli.home().display().to_string();
    let forbidden = [
        format!("ls {home}"),
        format!("cat {home}/tasks/a/task.json"),
        format!("cat {home}/logs/a.log"),
        format!("touch {home}/planted"),
        format!("ln -s /etc/passwd {home}/logs/b.log"),
        format!("echo x > {home}/tasks/a/stdin"),
        format!("cat /proc/{pid}/environ"),
        format!("cat /proc/{supervisor}/environ"),
        format!("kill -TERM {pid}"),
        format!("kill -TERM {supervisor}"),
    ];
    for attempt in &forbidden {
        let outcome = as_stranger(&cli, &["sh", "-c", attempt]);
        assert!(!outcome.status.success(), "{attempt}: {outcome:?}");
        assert!(outcome.stdout.is_empty(), "{attempt}: {outcome:?}");
    }
    let copy = cli.file("program");
    assert!(
        cli.shell("cp \"$1\" \"$2\"", &[PROGRAM, &copy])
            .status
            .success()
    );
    for verb in ["status", "logs", "stop", "restart", "remove"] {
        let error = as_stranger(&cli, &[&copy, verb, "a"]).err("StoreError");
        assert_eq!(error["details"]["errno_name"], "EACCES", "{verb}: {error}");
    }
    assert_eq!(cli.task("a")["status"], "running");
    assert!(processes::is_alive(supervisor));
}

#[test]
fn a_task_that_has_become_another_user_is_ended_too() {
    let cli = Cli::new();
    let change = format!(
        "setpriv --reuid {UID} --regid {UID} --clear-groups sleep 600 & \
         setpriv --reuid {UID} --regid {UID} --clear-groups setsid sleep 600 & \
         echo up; exec setpriv --reuid {UID} --regid {UID} --clear-groups sleep 600"
    );
    cli.start(script("a", &change));
    cli.await_line("a", "up");
    assert_eq!(cli.stop("a")["reason"], "stop_requested");
    cli.assert_no_processes();
}

/// Every name that is written in a task's folder, and those of its logs.
const NAMES: [&str; 42] = [
    "task.json",
    "task.json.new",
    "task.prev.json",
    "task.prev.json.new",
    "want.json",
    "want.json.new",
    "after.json",
    "after.json.new",
    "end",
    "environ",
    "environ.new",
    "events.ndjson",
    "events.next.ndjson",
    "live",
    "live.new",
    "log",
    "log.next",
    "log.stderr",
    "log.stderr.next",
    "timeline",
    "cut",
    "cut.stderr",
    "lines",
    "lines.new",
    "lines.stderr",
    "lines.stderr.new",
    "supervisor.lock",
    "stdin",
    "stdin.new",
    "stdin.end",
    "stdin.end.new",
    "stdin.lock",
    "stdin.text",
    "stdin.text.new",
    "cgroup",
    "cgroup.new",
    "supervisor.panic",
    "../../logs/ID.log",
    "../../logs/ID.log.new",
    "../../logs/ID.stderr.log",
    "../../logs/ID.stderr.log.new",
    "../../locks/ID.lock",
];

/// What stands in the place of a file of ours.
#[derive(Clone, Copy, Debug)]
enum Planted {
    Link,
    HardLink,
    Fifo,
    Folder,
}

impl Planted {
    fn put(self, at: &Path, victim: &Path) {
        let _ = fs::remove_file(at);
        match self {
            Self::Link => symlink(victim, at).unwrap(),
            Self::HardLink => fs::hard_link(victim, at).unwrap(),
            Self::Fifo => nix::unistd::mkfifo(at, Mode::S_IRWXU).unwrap(),
            Self::Folder => fs::create_dir(at).unwrap(),
        }
    }
}

/// Each name is planted in a task of its own, all of which then live once more.
fn live_with(planted: Planted) {
    let cli = Cli::new();
    let victim = Path::new(&cli.file("victim")).to_owned();
    fs::write(&victim, "kept").unwrap();
    let more = json!({
        "stderr": "separate",
        "stdin": "open",
        "restart": { "policy": "always" },
        "tags": ["planted"],
    });
    let id = |number: usize| format!("t{number}");
    let all: Vec<Value> = (0..NAMES.len())
        .map(|number| with(work(&id(number), ["print", "x", "hang"]), more.clone()))
        .collect();
    let start = || cli.run("start").payload(json!(all)).output();
    start().ok();
    let of_all = json!({ "tag": "planted", "grace_ms": 0 });
    cli.run("stop").payload(of_all.clone()).ok();
    let names: Vec<String> = (0..NAMES.len())
        .map(|number| NAMES[number].replace("ID", &id(number)))
        .collect();
    for (number, name) in names.iter().enumerate() {
        planted.put(&cli.task_file(&id(number), "").join(name), &victim);
    }
    let mut started = Vec::new();
    let answer: Value = serde_json::from_slice(&start().stdout).unwrap();
    for (name, result) in names
        .iter()
        .zip(answer["data"]["results"].as_array().unwrap())
    {
        let kind = &result["error"]["type"];
        let is_told = ["StoreError", "SpawnFailed"]
            .iter()
            .any(|told| kind == told);
        assert!(
            result["ok"] == true || is_told,
            "{planted:?} {name}: {result}"
        );
        started.push(result["ok"] == true);
    }
    // Whatever is said of it, it is said in an envelope, and soon.
    let again: Vec<Value> = (0..NAMES.len()).map(|n| json!({ "id": id(n) })).collect();
    let restart = cli.run("restart").payload(json!(again)).output();
    assert!(matches!(restart.status.code(), Some(0 | 1)), "{restart:?}");
    for (number, name) in names.iter().enumerate() {
        let events = cli.run("events").payload(json!({ "id": id(number) }));
        let outcome = events.output();
        let code = outcome.status.code();
        assert!(
            matches!(code, Some(0 | 1)),
            "{planted:?} {name}: {outcome:?}"
        );
    }
    assert!(started.iter().filter(|ok| **ok).count() > 8, "{started:?}");
    let stop = cli.run("stop").payload(of_all).output();
    assert!(matches!(stop.status.code(), Some(0 | 1)), "{stop:?}");
    let data = fs::metadata(&victim).unwrap();
    // A lock's content is the spelling of its id: the one thing that is written in place.
    let is_kept = fs::read_to_string(&victim).unwrap() == "kept" && data.mode() & 0o777 == 0o644;
    let is_spelling = matches!(planted, Planted::HardLink) && data.len() < 8;
    assert!(is_kept || is_spelling, "{planted:?}");
    // The rest of the home is as ever.
    assert_eq!(
        cli.start_and_wait(work("other", ["exit", "4"]))["exit_code"],
        4
    );
}

#[test]
fn planted_links_are_neither_followed_nor_written_to() {
    live_with(Planted::Link);
}

#[test]
fn planted_hard_links_are_not_written_to() {
    live_with(Planted::HardLink);
}

#[test]
fn planted_pipes_and_folders_keep_nobody_waiting() {
    live_with(Planted::Fifo);
    live_with(Planted::Folder);
}

/// Runs the program in a pid namespace of its own, with its own `/proc`.
fn contained(cli: &Cli, words: &[&str]) -> Outcome {
    let mut all = vec![PROGRAM];
    all.extend(words);
    cli.shell("exec unshare --pid --fork --mount-proc \"$@\"", &all)
}

#[test]
fn a_supervisor_of_another_pid_namespace_is_out_of_reach_and_never_gone() {
    let cli = Cli::new();
    let started = cli.start(with(
        work("a", ["print", "x", "hang"]),
        json!({ "stdin": "open" }),
    ));
    let supervisor = cli.supervisor("a");
    assert_eq!(contained(&cli, &["status", "a"]).ok()["status"], "running");
    assert_eq!(
        contained(&cli, &["list"]).ok()["tasks"][0]["supervised"],
        true
    );
    assert_eq!(contained(&cli, &["logs", "a"]).ok()["lines"], json!(["x"]));
    contained(&cli, &["wait", "a", "--timeout", "0"]).err("TaskWaitTimedOut");
    for verb in ["stop", "restart", "pause", "remove"] {
        contained(&cli, &[verb, "a"]).err("Unsupported");
    }
    let anew = work("a", ["hang"]).to_string();
    contained(&cli, &["start", &anew]).err("TaskAlreadyRunning");
    assert_eq!(contained(&cli, &["recover"]).ok()["total"], 0);
    contained(&cli, &["prune", "{\"older_than_ms\": 0}"]).ok();
    let now = cli.task("a");
    for field in ["status", "pid", "run", "created_at"] {
        assert_eq!(now[field], started[field], "{field}");
    }
    assert_eq!(cli.find_supervisor("a"), Some(supervisor));
    // What goes through files reaches it from anywhere.
    contained(&cli, &["send", "{\"id\": \"a\", \"text\": \"x\"}"]).ok();
    assert_eq!(cli.stop("a")["reason"], "stop_requested");
}

#[test]
fn a_task_in_a_pid_namespace_is_looked_after_from_outside() {
    let cli = Cli::new();
    let payload = work("a", ["print", "x", "hang"]).to_string();
    // The namespace lives as long as its first process.
    let inside = format!("'{PROGRAM}' start '{payload}' && exec sleep 600");
    let inner = [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        &inside,
    ];
    let container = json!({ "id": "container", "command": inner[0], "args": &inner[1..] });
    cli.start(container);
    let is_listed = || cli.list(json!({})).contains(&"a".to_owned());
    eventually(is_listed, "the inner task is on record");
    cli.await_status("a", "running");
    for verb in ["pause", "resume"] {
        cli.run(verb).text("a").ok();
    }
    assert_eq!(end_of(&cli.stop("a"))[3], "stop_requested");
    cli.stop("container");
    cli.assert_no_processes();
}

#[test]
fn a_pid_that_is_used_again_is_neither_signalled_nor_taken_for_the_task() {
    let cli = Cli::new();
    let payload = work("a", ["print", "x", "hang"]).to_string();
    // In there pids are ours to choose: what is forked next gets the one after ns_last_pid. The shell
    // is the first process, which takes in orphans whenever it waits. Start times are counted in
    // hundredths of a second, and the bystander's must be another.
    let story = format!(
        "bt='{PROGRAM}'; $bt start '{payload}' >started || exit 1\n\
         main=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/' started)\n\
         for p in /proc/[0-9]*; do case $(tr '\\0' ' ' <$p/cmdline) in \
         *__supervise*) kill -9 ${{p#/proc/}};; esac; done\n\
         kill -9 $main; while [ -d /proc/$main ]; do true & wait $!; done\n\
         again=$main; sleep 0.1\n\
         while echo $((main - 1)) >/proc/sys/kernel/ns_last_pid; sleep 600 & again=$!; \
         [ $again != $main ]; do kill -9 $again; wait $again; done 2>/dev/null\n\
         $bt status a >status; $bt stop a >stopped; $bt restart a >restarted; $bt stop a >again\n\
         [ -d /proc/$main ] && echo $main $again >alive; kill -9 $main"
    );
    let words = [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        &story,
    ];
    let told = cli.shell("exec \"$@\"", &words);
    let read = |name: &str| -> Value {
        let bytes = fs::read(cli.file(name)).unwrap_or_else(|_| panic!("{name}: {told:?}"));
        serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{name}: {told:?}"))
    };
    assert_eq!(read("status")["data"]["task"]["reason"], "supervisor_lost");
    assert_eq!(read("stopped")["data"]["status"], "failed");
    assert_eq!(read("restarted")["data"]["status"], "running");
    assert_eq!(read("again")["data"]["task"]["reason"], "stop_requested");
    assert!(
        fs::exists(cli.file("alive")).unwrap(),
        "the bystander was ended: {told:?}"
    );
}

/// Puts a version that does not exist yet into a file, with fields that nobody knows.
fn make_newer(path: &Path) {
    let mut all: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    all["version"] = json!(1000);
    all["invented_later"] = json!({ "x": 1 });
    fs::write(path, all.to_string()).unwrap();
}

#[test]
fn two_versions_on_one_home_leave_each_others_tasks_alone() {
    let cli = Cli::new();
    cli.start_and_wait(work("ended", ["print", "x"]));
    cli.start(work("runs", ["print", "x", "hang"]));
    cli.start(work("ours", ["print", "x", "hang"]));
    cli.await_no_supervisor("ended");
    let mut kept = Vec::new();
    for id in ["ended", "runs"] {
        let path = cli.task_file(id, "task.json");
        make_newer(&path);
        kept.push((path.clone(), fs::read(&path).unwrap()));
    }
    for id in ["ended", "runs"] {
        for verb in ["stop", "restart", "remove", "pause", "resume", "start"] {
            let payload = match verb {
                "start" => work(id, ["hang"]),
                _ => json!({ "id": id }),
            };
            let error = cli.run(verb).payload(payload).err("Unsupported");
            let message = text(&error["message"]);
            assert!(
                message.contains("1000") && message.contains(id),
                "{verb}: {error}"
            );
        }
        let task = cli.task(id);
        assert_eq!(task["reason"], "record_corrupt");
        assert!(
            text(&task["problem"]).contains("update background-tasks"),
            "{task}"
        );
    }
    assert_eq!(cli.list(json!({})).len(), 3);
    cli.run("prune").payload(json!({ "older_than_ms": 0 })).ok();
    for (path, content) in &kept {
        assert_eq!(fs::read(path).unwrap(), *content, "{}", path.display());
    }
    assert_eq!(cli.stop("ours")["reason"], "stop_requested");
    // Its own supervisor knows its record, and brings it back.
    processes::send(cli.supervisor("runs"), nix::sys::signal::Signal::SIGTERM);
    cli.await_status("runs", "killed");
}

#[test]
fn a_wish_and_an_event_of_a_newer_version_are_passed_over() {
    let cli = Cli::new();
    cli.start(work("a", ["print", "x", "hang"]));
    cli.run("pause").text("a").ok();
    cli.run("resume").text("a").ok();
    make_newer(&cli.task_file("a", "want.json"));
    let journal = cli.task_file("a", "events.ndjson");
    let mut lines = fs::read_to_string(&journal).unwrap();
    lines += "{\"version\":1000,\"invented_later\":{\"x\":1}}\n";
    fs::write(&journal, lines).unwrap();
    assert_eq!(cli.task("a")["status"], "running");
    assert!(cli.run("events").text("a").ok()["total"].as_u64() > Some(1));
    cli.run("pause").text("a").ok();
    assert_eq!(cli.task("a")["paused"], true);
    assert_eq!(end_of(&cli.stop("a"))[3], "stop_requested");
    let frames = cli.run("events").text("a").flags(["--follow"]).frames();
    assert_eq!(frames.last().unwrap()["type"], "task.killed");
}
