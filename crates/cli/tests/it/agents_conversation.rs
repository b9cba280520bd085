//! Conversations with agents: prompts that wait their turn, what restart and stop make of them, and
//! what is left of them when supervisors, agents and readers are killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::agents::{agent_of, assert_runs, history, is_terminal, mock, send, short, texts, told};
use crate::harness::{Call, Cli, PROGRAM, end_of, eventually, pid_of, text, types, with, work};
use crate::processes;

/// A claude on the PATH that waits for a file before it says what the mock says.
struct Gated {
    cli: Cli,
    path: String,
}

impl std::ops::Deref for Gated {
    type Target = Cli;
    fn deref(&self) -> &Cli {
        &self.cli
    }
}

impl Gated {
    fn new() -> Self {
        let cli = Cli::new();
        let bin = cli.file("bin");
        fs::create_dir(&bin).unwrap();
        let script = format!(
            "#!/bin/sh\n\
             prompt=$(cat; echo .)\n\
             while [ ! -e {gate} ]; do sleep 0.01; done\n\
             printf %s \"${{prompt%.}}\" | {PROGRAM} __mock --session-id s\n",
            gate = cli.file("gate"),
        );
        cli.make_file("bin/claude", "755", &script);
        let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
        Self { cli, path }
    }

    fn call(&self, command: &str, payload: Value) -> Call {
        self.cli
            .run(command)
            .payload(payload)
            .env("PATH", &self.path)
    }

    fn begin(&self, id: &str, prompt: &str) -> Value {
        let agent = json!({ "provider": "claude", "prompt": prompt });
        let payload = json!({ "id": id, "agent": agent });
        self.call("start", payload).ok()["task"].take()
    }

    /// Says more; how many wait then.
    fn say(&self, id: &str, prompt: &str) -> u64 {
        let answer = self
            .call("send", json!({ "id": id, "prompt": prompt }))
            .ok();
        answer["agent"]["queued"].as_u64().unwrap()
    }

    fn open(&self) {
        self.touch("gate");
    }
}

#[test]
fn a_prompt_for_an_idle_agent_begins_the_next_run_at_once() {
    let cli = Cli::new();
    cli.start_and_wait(mock("a", "say one"));
    let agent = send(&cli, "a", "say two");
    assert_eq!((&agent["run"], &agent["queued"]), (&json!(2), &json!(0)));
    let task = cli.wait("a");
    assert_eq!(
        (&task["run"], &task["status"]),
        (&json!(2), &json!("exited"))
    );
    fs::write(cli.file("prompt"), "say three").unwrap();
    let from_file = json!({ "id": "a", "prompt": { "file": "prompt" } });
    cli.run("send").payload(from_file).ok();
    cli.wait("a");
    let frames = told(&cli, "a");
    assert_runs(&frames, 3);
    assert_eq!(texts(&frames), ["one", "two", "three"]);
    let agent = agent_of(&cli, "a");
    assert_eq!(agent["session_id"], "mock-bt-a");
    assert_eq!(agent["usage"]["output"], 3);
    assert_eq!(agent["last_text"], "three");
}

#[test]
fn prompts_for_an_agent_at_work_wait_their_turn() {
    let cli = Gated::new();
    cli.begin("a", "say 1");
    let waiting: Vec<u64> = (2..=5).map(|n| cli.say("a", &format!("say {n}"))).collect();
    assert_eq!(waiting, [1, 2, 3, 4]);
    assert_eq!(agent_of(&cli, "a")["queued"], 4);
    let wait = cli.run("wait").text("a").flags(["--timeout", "0.2"]);
    wait.err("TaskWaitTimedOut");
    cli.open();
    assert_eq!(cli.wait("a")["run"], 5);
    let frames = told(&cli, "a");
    assert_runs(&frames, 5);
    assert_eq!(texts(&frames), ["1", "2", "3", "4", "5"]);
    let agent = agent_of(&cli, "a");
    assert_eq!((&agent["run"], &agent["queued"]), (&json!(5), &json!(0)));
}

#[test]
fn a_run_that_fails_keeps_no_prompt_from_its_own() {
    let cli = Gated::new();
    cli.begin("a", "crash");
    for prompt in ["exit 3", "error no", "fork\nno-result", "say last"] {
        cli.say("a", prompt);
    }
    cli.open();
    assert_eq!(end_of(&cli.wait("a"))[1], 0);
    let frames = told(&cli, "a");
    assert_runs(&frames, 5);
    let ends: Vec<String> = frames
        .iter()
        .filter(|it| is_terminal(it))
        .map(short)
        .collect();
    // The shell tells with which code its child ended.
    assert!(ends[0].starts_with("crashed 137 null"), "{ends:?}");
    assert!(ends[1].starts_with("crashed 3 null"), "{ends:?}");
    assert_eq!(ends[2], "end unknown: no");
    assert_eq!(
        ends[3..],
        ["end~ unknown: claude ended without a result", "end"]
    );
    cli.assert_no_processes();
}

#[test]
fn restart_says_the_last_prompt_again() {
    let cli = Cli::new();
    cli.start_and_wait(mock("a", "say one"));
    cli.run("restart").text("a").ok();
    cli.wait("a");
    send(&cli, "a", "say two");
    cli.wait("a");
    cli.run("restart").text("a").ok();
    cli.wait("a");
    send(&cli, "a", "say three\nhang");
    eventually(|| texts(&told(&cli, "a")).len() == 5, "it is said");
    cli.run("restart").text("a").ok();
    eventually(|| texts(&told(&cli, "a")).len() == 6, "it is said again");
    cli.stop("a");
    let frames = told(&cli, "a");
    assert_runs(&frames, 6);
    assert_eq!(
        texts(&frames),
        ["one", "one", "two", "two", "three", "three"]
    );
}

#[test]
fn a_stop_drops_the_prompts_that_wait() {
    let cli = Gated::new();
    cli.begin("a", "say 1");
    cli.say("a", "say dropped");
    cli.say("a", "say dropped too");
    let stopped = cli.stop("a");
    assert_eq!(stopped["reason"], "stop_requested");
    let frames = history(&cli, "a");
    let dropped = frames
        .iter()
        .find(|it| it["type"] == "task.work_dropped")
        .unwrap();
    assert_eq!(dropped["data"]["count"], 2, "{dropped}");
    assert_eq!(agent_of(&cli, "a")["queued"], 0);
    cli.open();
    cli.say("a", "say 2");
    cli.wait("a");
    let frames = told(&cli, "a");
    assert_runs(&frames, 2);
    assert_eq!(texts(&frames), ["2"]);
    // The same where the run that was stopped is said again.
    fs::remove_file(cli.file("gate")).unwrap();
    cli.say("a", "say 3");
    cli.say("a", "say dropped");
    cli.stop("a");
    cli.open();
    cli.call("restart", json!({ "id": "a" })).ok();
    cli.wait("a");
    assert_eq!(texts(&told(&cli, "a")), ["2", "3"]);
}

/// Follows a task by filter, so that it goes on after its end.
fn follow(cli: &Cli) -> crate::harness::Stream {
    let events = cli.run("events").payload(json!({ "tag": "agent" }));
    events.flags(["--follow"]).stream()
}

#[test]
fn prompts_outlive_their_supervisor_and_the_agent() {
    let cli = Gated::new();
    let task = cli.begin("a", "say 1");
    let stream = follow(&cli);
    stream.await_frame("task.started");
    cli.say("a", "say 2");
    cli.say("a", "say 3");
    // Both at once: nobody sees how the run ends.
    let supervisor = cli.supervisor("a");
    processes::send(supervisor, Signal::SIGKILL);
    for pid in cli.commands() {
        let follows = processes::arguments(pid).contains(&"--follow".to_owned());
        if !follows {
            processes::send(pid, Signal::SIGKILL);
        }
    }
    eventually(|| processes::has_ended(pid_of(&task)), "the agent is dead");
    let lost = cli.await_status("a", "failed");
    assert_eq!(lost["reason"], "supervisor_lost");
    assert_eq!(agent_of(&cli, "a")["queued"], 2);
    let mut followed = vec![stream.await_frame("agent.crashed")];
    let failed = stream.await_frame("task.failed");
    cli.open();
    cli.say("a", "say 4");
    cli.wait("a");
    let frames = told(&cli, "a");
    assert_runs(&frames, 4);
    assert_eq!(texts(&frames), ["2", "3", "4"]);
    assert!(
        short(&frames[0]).starts_with("crashed null null"),
        "{frames:?}"
    );
    // Whoever followed was told the same, once.
    let read = |stream: &crate::harness::Stream, followed: &mut Vec<Value>| {
        while followed.len() < frames.len() {
            let frame = stream.next().unwrap();
            if text(&frame["type"]).starts_with("agent.") {
                followed.push(frame);
            }
        }
    };
    let mut resumed = followed.clone();
    read(&stream, &mut followed);
    assert_runs(&followed, 4);
    let shorts = |frames: &[Value]| -> Vec<String> { frames.iter().map(short).collect() };
    assert_eq!(shorts(&followed), shorts(&frames));
    // And whoever goes on from that end, which no supervisor could put into the journal.
    let request = json!({ "tag": "agent", "cursors": { "a": failed["cursor"] } });
    let events = cli.run("events").payload(request).flags(["--follow"]);
    read(&events.stream(), &mut resumed);
    assert_eq!(shorts(&resumed), shorts(&frames));
}

#[test]
fn an_agent_that_outlives_its_supervisor_is_looked_after_again() {
    let cli = Gated::new();
    cli.begin("a", "say 1");
    let stream = follow(&cli);
    stream.await_frame("task.started");
    cli.say("a", "say 2");
    cli.lose_supervisor("a");
    assert_eq!(cli.task("a")["status"], "running");
    cli.say("a", "say 3");
    assert_eq!(agent_of(&cli, "a")["queued"], 2);
    cli.supervisor("a");
    cli.open();
    cli.wait("a");
    let frames = told(&cli, "a");
    assert_runs(&frames, 3);
    assert_eq!(texts(&frames), ["1", "2", "3"]);
    let mut over = 0;
    let mut said = Vec::new();
    while over < 3 {
        let frame = stream.next().unwrap();
        over += u64::from(is_terminal(&frame));
        said.push(frame);
    }
    said.retain(|frame| text(&frame["type"]).starts_with("agent."));
    assert_runs(&said, 3);
    assert_eq!(texts(&said), ["1", "2", "3"]);
}

#[test]
fn what_many_say_at_the_ends_of_runs_is_said_once_each() {
    const CALLERS: usize = 6;
    const PROMPTS: usize = 6;
    let cli = Cli::new();
    cli.start(mock("a", "say first"));
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let cli = &cli;
            scope.spawn(move || {
                for prompt in 0..PROMPTS {
                    send(cli, "a", &format!("say {caller} {prompt}"));
                    // Some wait until it is idle, some ask when it is about to be.
                    if (caller + prompt) % 3 == 0 {
                        cli.wait("a");
                    }
                }
            });
        }
    });
    cli.wait("a");
    let frames = told(&cli, "a");
    assert_runs(&frames, (CALLERS * PROMPTS + 1) as u64);
    let said = texts(&frames);
    assert_eq!(said[0], "first");
    for caller in 0..CALLERS {
        let own = said
            .iter()
            .filter(|it| it.starts_with(&format!("{caller} ")));
        let expected: Vec<String> = (0..PROMPTS).map(|it| format!("{caller} {it}")).collect();
        assert!(own.eq(&expected), "{caller}: {said:?}");
    }
    assert_eq!(said.len(), CALLERS * PROMPTS + 1);
}

#[test]
fn a_conversation_goes_on_in_another_task() {
    let cli = Cli::new();
    let workdir = cli.file("there");
    fs::create_dir(&workdir).unwrap();
    cli.start_and_wait(with(mock("a", "say one"), json!({ "workdir": workdir })));
    let resume = |id: &str, of: &str| {
        let agent = json!({ "provider": "mock", "prompt": "say two", "resume": of });
        let task = cli.start_and_wait(json!({ "id": id, "agent": agent }));
        let agent = agent_of(&cli, id);
        (text(&agent["session_id"]), text(&task["workdir"]))
    };
    assert_eq!(resume("b", "a"), ("mock-bt-a".to_owned(), workdir.clone()));
    // And on, in its own runs.
    send(&cli, "b", "say three");
    cli.wait("b");
    assert_eq!(agent_of(&cli, "b")["session_id"], "mock-bt-a");
    assert_eq!(resume("c", "b").0, "mock-bt-a");
    // What is no task is a session of the provider's.
    let here = text(&json!(cli.folder().to_str().unwrap()));
    assert_eq!(resume("d", "0192-abc"), ("0192-abc".to_owned(), here));
    let other = json!({ "provider": "claude", "prompt": "x", "resume": "a" });
    let start = cli
        .run("start")
        .payload(json!({ "id": "e", "agent": other }));
    let error = start.err("CommandInputError");
    assert_eq!(error["details"]["field"], "agent.resume");
    assert!(text(&error["message"]).contains("mock"), "{error}");
}

#[test]
fn agents_are_started_in_batches_queues_and_after_others() {
    let cli = Cli::new();
    let more = |id: &str, prompt: &str, more: Value| with(mock(id, prompt), more);
    let batch = json!([
        more(
            "one",
            "say one",
            json!({ "queue": { "group": "q", "limit": 1 } })
        ),
        more(
            "two",
            "say two",
            json!({ "queue": { "group": "q", "limit": 1 } })
        ),
        more(
            "three",
            "say three",
            json!({ "after": { "ids": ["two", "plain"] } })
        ),
        work("plain", ["print", "x", "exit", "0"]),
    ]);
    let started = cli.run("start").payload(batch).flags(["--wait"]).ok();
    assert_eq!(started["success_count"], 4, "{started}");
    for id in ["one", "two", "three"] {
        let frames = told(&cli, id);
        assert_runs(&frames, 1);
        assert_eq!(texts(&frames), [id]);
    }
    let at = |id: &str, field: &str| text(&cli.task(id)[field]);
    assert!(at("three", "started_at") >= at("two", "exited_at"));
    send(&cli, "three", "say more");
    cli.wait("three");
    assert_eq!(texts(&told(&cli, "three")), ["three", "more"]);
    // One that waits for its turn has prompts that wait, too.
    let go = cli.file("go");
    cli.start(work("gate", ["wait-file", &go]));
    cli.start(more(
        "later",
        "say 1",
        json!({ "after": { "ids": ["gate"] } }),
    ));
    let agent = send(&cli, "later", "say 2");
    assert_eq!(cli.task("later")["status"], "queued");
    assert_eq!((&agent["run"], &agent["queued"]), (&json!(1), &json!(1)));
    cli.touch("go");
    cli.wait("later");
    let frames = told(&cli, "later");
    assert_runs(&frames, 2);
    assert_eq!(texts(&frames), ["1", "2"]);
    // One item that cannot be is refused with all others, by its number.
    let wrong = json!([mock("x", "say x"), mock("y", "")]);
    let error = cli.run("start").payload(wrong).err("CommandInputError");
    assert_eq!(error["details"]["index"], 1);
    cli.run("status").text("x").err("TaskNotFound");
}

#[test]
fn an_id_that_is_used_again_begins_a_new_conversation() {
    let cli = Gated::new();
    let old = cli.begin("a", "say old");
    cli.say("a", "say old too");
    let supervisor = cli.supervisor("a");
    processes::send(supervisor, Signal::SIGKILL);
    for pid in cli.commands() {
        processes::send(pid, Signal::SIGKILL);
    }
    eventually(|| processes::has_ended(pid_of(&old)), "the agent is dead");
    cli.await_status("a", "failed");
    assert_eq!(agent_of(&cli, "a")["queued"], 1);
    cli.open();
    cli.begin("a", "say new");
    cli.wait("a");
    assert_eq!(agent_of(&cli, "a")["queued"], 0);
    cli.say("a", "say newer");
    cli.wait("a");
    let frames = told(&cli, "a");
    assert_runs(&frames, 2);
    assert_eq!(
        texts(&frames),
        ["new", "newer"],
        "{frames:#?} {}",
        cli.log("a")
    );
    // Nor does anything stay when it is removed.
    cli.run("remove").text("a").ok();
    assert!(!cli.task_file("a", "").exists());
    assert!(!cli.home().join("logs/a.stderr.log").exists());
    cli.run("send")
        .payload(json!({ "id": "a", "prompt": "x" }))
        .err("TaskNotFound");
}

#[test]
fn pages_that_end_within_a_line_miss_nothing() {
    let cli = Cli::new();
    let bin = cli.file("bin");
    fs::create_dir(&bin).unwrap();
    let block = |n: u64| json!({ "type": "text", "text": format!("block {n}") });
    let tool = |n: u64| json!({ "type": "tool_use", "id": format!("t{n}"), "name": "Bash", "input": { "command": "x" } });
    let line = |id: &str, blocks: Value| {
        let message = json!({ "id": id, "role": "assistant", "content": blocks });
        format!("{{\"type\":\"assistant\",\"message\":{message},\"session_id\":\"s\"}}")
    };
    let script = [
        "#!/bin/sh\ncat >/dev/null\ncat <<'END'".to_owned(),
        line(
            "m1",
            json!([block(1), tool(1), block(2), tool(2), block(3)]),
        ),
        line("m2", json!([block(4), block(5)])),
        "noise".to_owned(),
        line("m3", json!([tool(3), tool(4)])),
        "END\nexit 1\n".to_owned(),
    ];
    cli.make_file("bin/claude", "755", &script.join("\n"));
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let agent = json!({ "provider": "claude", "prompt": "x" });
    let start = cli
        .run("start")
        .payload(json!({ "id": "a", "agent": agent }));
    start.env("PATH", &path).flags(["--wait"]).ok();
    for _ in 0..2 {
        let whole: Vec<String> = told(&cli, "a").iter().map(short).collect();
        for size in [1, 2, 3, 5] {
            let mut pages = Vec::new();
            let mut cursor = None;
            loop {
                let mut payload = json!({ "id": "a", "lines": size });
                let first = history(&cli, "a")[0]["cursor"].clone();
                payload["cursor"] = cursor.clone().unwrap_or(first);
                let page = cli.run("events").payload(payload).ok();
                let frames = page["frames"].as_array().unwrap();
                let frames: Vec<&Value> = (frames.iter())
                    .filter(|it| it["type"] != "task.status.snapshot")
                    .collect();
                let Some(last) = frames.last() else { break };
                cursor = Some(last["cursor"].clone());
                let agents = (frames.iter()).filter(|it| text(&it["type"]).starts_with("agent."));
                let page: Vec<String> = agents.map(|it| short(it)).collect();
                assert!(page.len() <= size, "{page:?}");
                pages.extend(page);
            }
            assert_eq!(pages, whole, "{size}");
        }
        // Tools that were open are closed before the end, also in the middle of a page.
        assert_eq!(
            whole.iter().filter(|it| *it == "tool ends!~ ").count() % 4,
            0
        );
        let more = cli.run("send").payload(json!({ "id": "a", "prompt": "x" }));
        more.env("PATH", &path).ok();
        cli.wait("a");
    }
}

/// How many conversations there are in all; under `AGENT_CONVERSATIONS` there can be others.
fn conversations() -> usize {
    let given = std::env::var("AGENT_CONVERSATIONS").ok();
    given.map_or(50, |text| text.parse().expect("a number"))
}

const TURNS: usize = 5;
const AT_ONCE: usize = 10;

/// What one reader of all conversations has taken in, and what it would go on with.
#[derive(Default)]
struct Taken {
    cursors: BTreeMap<String, String>,
    /// Of each task: what was told, in short, run by run.
    runs: BTreeMap<String, Vec<Vec<String>>>,
    frames: usize,
    ended: usize,
}

impl Taken {
    fn take(&mut self, frame: &Value) {
        let id = text(&frame["task_id"]);
        self.cursors.insert(id.clone(), text(&frame["cursor"]));
        if !text(&frame["type"]).starts_with("agent.") {
            return;
        }
        let runs = self.runs.entry(id).or_default();
        let run = usize::try_from(frame["data"]["run"].as_u64().unwrap()).unwrap();
        if run == runs.len() + 1 {
            runs.push(Vec::new());
        }
        // Never of a run before, nor of one that is over.
        assert_eq!(run, runs.len(), "{frame}");
        let own = runs.last_mut().unwrap();
        assert_ne!(own.last().map(String::as_str), Some("end"), "{frame}");
        own.push(short(frame));
        self.frames += 1;
        self.ended += usize::from(is_terminal(frame));
    }

    /// Reads at least so many frames, then kills the reader in the middle of whatever it does; or
    /// until so many runs have ended.
    fn read_and_kill(&mut self, cli: &Cli, at_least: usize, until: usize) {
        let mut request = json!({ "tag": "agent" });
        if !self.cursors.is_empty() {
            request["cursors"] = json!(self.cursors);
        }
        let mut reader = Command::new(PROGRAM)
            .args([
                "events",
                &request.to_string(),
                "--follow",
                "--timeout",
                "60",
            ])
            .env("BACKGROUND_TASKS_HOME", cli.home())
            .current_dir(cli.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(reader.stdout.take().unwrap());
        let target = self.frames + at_least;
        let mut line = Vec::new();
        let mut is_killed = false;
        loop {
            line.clear();
            stdout.read_until(b'\n', &mut line).unwrap();
            if !line.ends_with(b"\n") {
                break;
            }
            self.take(&serde_json::from_slice(&line).unwrap());
            if !is_killed && (self.frames >= target || self.ended >= until) {
                reader.kill().unwrap();
                is_killed = true;
            }
        }
        reader.wait().unwrap();
        let unread = || {
            let request = json!({ "tag": "agent", "cursors": self.cursors });
            let frames = cli
                .run("events")
                .payload(request)
                .flags(["--stream"])
                .frames();
            let is_news = |frame: &&Value| frame["type"] != "task.status.snapshot";
            let news: Vec<_> = frames.iter().filter(is_news).cloned().collect();
            format!("of {:?}, unread {news:#?}", self.cursors)
        };
        assert!(is_killed, "nothing more comes {}", unread());
    }
}

/// What is said in a turn, and what that comes to.
fn turn(conversation: usize, turn: usize) -> (String, Vec<String>) {
    let prompt = format!(
        "say hello {conversation}.{turn}\ntool Bash {{\"command\": \"run {turn}\"}}\n\
         noise hm\npartial well {conversation}.{turn}\nstderr oh"
    );
    let told = vec![
        format!("session mock-bt-c{conversation}"),
        format!("text hello {conversation}.{turn}"),
        format!(r#"tool shell {{"command":"run {turn}"}}"#),
        "tool ends ok".to_owned(),
        format!("text well {conversation}.{turn}"),
        "end".to_owned(),
    ];
    (prompt, told)
}

#[test]
fn one_reader_of_fifty_conversations_that_is_killed_has_everything_once() {
    let cli = Cli::new();
    let count = conversations();
    let mut taken = Taken::default();
    std::thread::scope(|scope| {
        for worker in 0..AT_ONCE {
            let cli = &cli;
            scope.spawn(move || {
                for conversation in (worker..count).step_by(AT_ONCE) {
                    let id = format!("c{conversation}");
                    cli.start(mock(&id, &turn(conversation, 0).0));
                    for number in 1..TURNS {
                        // Some say all at once, some wait for each answer.
                        if conversation % 2 == 0 {
                            cli.wait(&id);
                        }
                        send(cli, &id, &turn(conversation, number).0);
                    }
                    cli.wait(&id);
                }
            });
        }
        let all = count * TURNS;
        let mut at_least = 1;
        while taken.ended < all {
            taken.read_and_kill(&cli, at_least, all);
            at_least = (at_least * 3) % 200 + 1;
        }
    });
    assert_eq!(taken.runs.len(), count);
    for conversation in 0..count {
        let expected: Vec<_> = (0..TURNS).map(|it| turn(conversation, it).1).collect();
        assert_eq!(taken.runs[&format!("c{conversation}")], expected);
    }
    let kinds = types(&history(&cli, "c0"));
    assert_eq!(kinds.iter().filter(|it| *it == "agent.end").count(), TURNS);
}
