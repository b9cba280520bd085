//! What `list` keeps for the next time changes no answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Cli, eventually, text, with, work};

/// More than are read without keeping anything.
const MANY: usize = 140;

/// A home in which many tasks have ended; they are copies of one that has really run.
fn home_of_many() -> Cli {
    home_of(MANY)
}

fn home_of(count: usize) -> Cli {
    let cli = Cli::new();
    cli.start_and_wait(with(
        work("t", ["exit", "3"]),
        json!({ "tags": ["a", "b"] }),
    ));
    cli.await_no_supervisor("t");
    let record = fs::read_to_string(cli.task_file("t", "task.json")).unwrap();
    for n in 0..count {
        let id = format!("t{n}");
        fs::create_dir(cli.task_file(&id, "")).unwrap();
        fs::write(cli.task_file(&id, "task.json"), copy(&record, &id, n)).unwrap();
    }
    cli
}

/// Most are as this build writes them, which are read in another way than the rest.
fn copy(record: &str, id: &str, n: usize) -> String {
    let mut copy: Value = serde_json::from_str(record).unwrap();
    let now = text(&copy["facts"]["created_at"]);
    let (time, session) = (
        format!("2026-01-01T00:{:02}:00.000Z", n % 50),
        n.is_multiple_of(5),
    );
    let (tag, name) = (format!("mod{}", n % 7), format!("name{}", n % 3));
    if !n.is_multiple_of(4) {
        let session = if session { r#""s""# } else { "null" };
        return record
            .replacen(r#""id":"t""#, &format!(r#""id":"{id}""#), 1)
            .replacen(&now, &time, 1)
            .replacen(r#"["a","b"]"#, &format!(r#"["{tag}","copy"]"#), 1)
            .replacen(r#""name":null"#, &format!(r#""name":"{name}""#), 1)
            .replacen(
                r#""parent_session_id":null"#,
                &format!(r#""parent_session_id":{session}"#),
                1,
            );
    }
    copy["id"] = json!(id);
    copy["facts"]["created_at"] = json!(time);
    copy["spec"]["tags"] = json!([tag, "copy"]);
    copy["spec"]["name"] = json!(name);
    if session {
        copy["spec"]["parent_session_id"] = json!("s");
    }
    copy.to_string()
}

fn cache(cli: &Cli) -> PathBuf {
    cli.home().join("list.cache")
}

/// The same home, with a cache that is in use.
fn home_with_cache() -> Cli {
    let cli = home_of_many();
    cli.run("list").ok();
    assert!(cache(&cli).exists(), "a long list is kept");
    cli
}

/// What `list` prints, to the byte.
fn printed(cli: &Cli, request: &Value) -> Vec<u8> {
    let output = cli.run("list").payload(request.clone()).output();
    assert!(output.status.success(), "{request}: {output:?}");
    output.stdout
}

/// All that can be asked about tasks that do not run.
fn requests() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "limit": 7 }),
        json!({ "limit": 1_000_000 }),
        json!({ "status": "exited" }),
        json!({ "status": ["killed", "failed"] }),
        json!({ "tag": "mod3", "limit": 5 }),
        json!({ "tags": ["copy", "mod1"] }),
        json!({ "tag": "nothing" }),
        json!({ "name": "name2", "limit": 2 }),
        json!({ "parent_session_id": "s" }),
        json!({ "workdir": "." }),
        json!({ "limit": 9, "resources": true }),
        json!({ "ids": ["t1", "t2", "nope"] }),
        json!({ "limit": 11, "after": "2026-01-01T00:20:00.000Z/t20" }),
    ]
}

/// Every answer is the same with the cache as without. Without, the cache is made anew: a copy of
/// the one that was in use is put back.
#[track_caller]
fn assert_changes_nothing(cli: &Cli, after: &str) {
    for request in requests() {
        let kept = fs::read(cache(cli)).ok();
        let with_cache = printed(cli, &request);
        let _ = fs::remove_file(cache(cli));
        let without = printed(cli, &request);
        let shown = String::from_utf8_lossy(&with_cache);
        assert!(with_cache == without, "{after}: {request}: {shown}");
        if let Some(kept) = kept {
            fs::write(cache(cli), kept).unwrap();
        }
    }
}

#[test]
fn it_is_private_and_makes_no_difference() {
    let cli = home_with_cache();
    let mode = fs::metadata(cache(&cli)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_changes_nothing(&cli, "nothing has changed");
}

#[test]
fn what_is_changed_by_hand_is_noticed_where_it_is_shown() {
    let cli = home_with_cache();
    fs::write(cli.task_file("t1", "task.json"), "{").unwrap();
    let failed = json!({ "status": "failed" });
    // Nobody has announced it: it is the cache that answers here.
    assert_eq!(cli.list(failed.clone()), [""; 0]);
    assert!(
        !cli.list(json!({ "tag": "mod1" }))
            .contains(&"t1".to_owned())
    );
    // What has been wrong once is not believed again.
    let damaged = cli.run("list").payload(failed).ok();
    assert_eq!(damaged["tasks"][0]["reason"], "record_corrupt");
    assert_changes_nothing(&cli, "a record was damaged");
}

#[test]
fn the_pages_that_it_gives_hold_every_task_once() {
    let cli = home_with_cache();
    let whole = cli.list(json!({ "limit": 1_000_000 }));
    assert_eq!(whole.len(), MANY + 1);
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut request = json!({ "limit": 13 });
        if !after.is_null() {
            request["after"] = after.take();
        }
        let mut page = cli.run("list").payload(request).ok();
        assert_eq!(page["total"], MANY + 1);
        seen.extend(
            page["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|task| text(&task["id"])),
        );
        after = page["next"].take();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(seen, whole);
}

/// They are read by several threads.
#[test]
fn thousands_are_listed_as_few_are() {
    const COUNT: usize = 2300;
    let cli = home_of(COUNT);
    fs::write(cli.task_file("t7", "task.json"), "{").unwrap();
    let all = json!({ "limit": 1_000_000 });
    let read = printed(&cli, &all);
    assert!(cache(&cli).exists());
    assert!(printed(&cli, &all) == read, "from the cache");
    let shown: Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(shown["data"]["total"], COUNT + 1);
    let order = |task: &Value| (text(&task["created_at"]), text(&task["id"]));
    let (damaged, ended): (Vec<&Value>, Vec<&Value>) = shown["data"]["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .partition(|task| task["created_at"].is_null());
    assert_eq!((damaged.len(), ended.len()), (1, COUNT));
    assert!(ended.is_sorted_by(|a, b| order(a) > order(b)));
    let page = cli.list(json!({ "limit": 9 }));
    assert_eq!(page.len(), 9);
    fs::remove_file(cache(&cli)).unwrap();
    assert_eq!(cli.list(json!({ "limit": 9 })), page);
}

#[test]
fn what_changes_an_ended_task_is_seen_at_once() {
    let cli = home_with_cache();
    cli.start_and_wait(work("t1", ["exit", "0"]));
    assert_changes_nothing(&cli, "start anew");
    assert_eq!(cli.list(json!({ "limit": 1 })), ["t1"]);
    cli.start(work("t2", ["hang"]));
    assert_eq!(cli.list(json!({ "status": "running" })), ["t2"]);
    cli.stop("t2");
    assert_changes_nothing(&cli, "start anew and stop");
    cli.run("restart").text("t3").ok();
    cli.wait("t3");
    assert_changes_nothing(&cli, "restart");
    cli.run("remove").text("t4").ok();
    assert_changes_nothing(&cli, "remove");
    cli.start_and_wait(work("t4", ["exit", "5"]));
    assert_changes_nothing(&cli, "remove and start");
    cli.run("prune").payload(json!({ "keep": 40 })).ok();
    assert_changes_nothing(&cli, "prune");
    let failed = json!({ "id": "t49", "command": "/nonexistent" });
    cli.run("start").payload(failed).err("SpawnFailed");
    assert_changes_nothing(&cli, "a start that came to nothing");
}

#[test]
fn any_order_of_changes_is_seen() {
    let cli = home_with_cache();
    // Always the same ones: what fails can be seen again.
    let mut random: u32 = 0x2545_f491;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as usize % below
    };
    for step in 0..24 {
        let id = format!("t{}", next(12));
        let request = json!({ "id": id });
        let is_there = cli.task_file(&id, "").exists();
        let done = match next(4) {
            0 | 1 => {
                let code = next(9).to_string();
                cli.start_and_wait(work(&id, ["exit", &code]));
                "start"
            }
            2 if is_there => {
                cli.run("restart").payload(request).ok();
                cli.wait(&id);
                "restart"
            }
            3 if is_there => {
                cli.run("remove").payload(request).ok();
                "remove"
            }
            _ => continue,
        };
        // One question each: all of them take too long.
        let request = &requests()[next(4)];
        let kept = fs::read(cache(&cli)).unwrap();
        let with_cache = printed(&cli, request);
        fs::remove_file(cache(&cli)).unwrap();
        let without = printed(&cli, request);
        assert!(with_cache == without, "step {step}: {done} {id}: {request}");
        fs::write(cache(&cli), kept).unwrap();
    }
}

#[test]
fn what_is_damaged_or_of_elsewhere_is_made_anew() {
    let cli = home_with_cache();
    let expected = printed(&cli, &json!({ "limit": 1_000_000 }));
    let good = fs::read(cache(&cli)).unwrap();
    let len = good.len();
    let mut spoiled: Vec<Vec<u8>> = vec![Vec::new(), b"x".to_vec(), vec![0; len]];
    spoiled.extend([30, len / 4, len / 2, len - 1].map(|cut| good[..cut].to_vec()));
    spoiled.extend([0, 9, 20, 40, 70, 100, len / 2, len - 5].map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        bytes
    }));
    for (number, bytes) in spoiled.into_iter().enumerate() {
        fs::write(cache(&cli), bytes).unwrap();
        let shown = printed(&cli, &json!({ "limit": 1_000_000 }));
        assert!(shown == expected, "damage {number}");
    }
    // Another home, though its tasks are called the same.
    let other = home_of_many();
    other.run("list").ok();
    fs::copy(cache(&other), cache(&cli)).unwrap();
    fs::copy(
        other.home().join("list.dirty"),
        cli.home().join("list.dirty"),
    )
    .unwrap();
    assert!(printed(&cli, &json!({ "limit": 1_000_000 })) == expected);
    // Nobody knows any more what has changed.
    fs::write(cache(&cli), good).unwrap();
    fs::remove_file(cli.home().join("list.dirty")).unwrap();
    cli.start_and_wait(work("t7", ["exit", "0"]));
    assert_changes_nothing(&cli, "list.dirty was deleted");
}

/// Lists until the names in the folder are noted, which they are once it has been left alone for a
/// while.
fn note_names(cli: &Cli) -> PathBuf {
    let noted = cli.home().join("list.folder");
    let _ = fs::remove_file(&noted);
    let is_noted = || {
        cli.run("list").ok();
        noted.exists()
    };
    eventually(is_noted, "the names are noted");
    noted
}

#[test]
fn names_that_are_noted_change_no_answer() {
    let cli = home_of(600);
    cli.run("list").ok();
    cli.start(work("runs", ["hang"]));
    let noted = note_names(&cli);
    // What changes in a folder that stays is no change of the folder around it.
    assert_eq!(cli.list(json!({ "status": "running" })), ["runs"]);
    cli.stop("runs");
    assert_eq!(cli.list(json!({ "status": "running" })), [""; 0]);
    assert_changes_nothing(&cli, "stop");
    cli.run("restart").text("t3").ok();
    cli.wait("t3");
    assert_changes_nothing(&cli, "restart");
    cli.start_and_wait(work("t5", ["exit", "0"]));
    assert_eq!(cli.list(json!({ "limit": 1 })), ["t5"]);
    assert_changes_nothing(&cli, "start anew");
    let good = fs::read(&noted).unwrap();
    for at in [0, 9, 30, good.len() - 9, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        fs::write(&noted, bytes).unwrap();
        assert_eq!(cli.list(json!({ "limit": 1 })), ["t5"], "byte {at}");
    }
    fs::write(&noted, good).unwrap();
    // And what does is one.
    cli.run("remove").text("t6").ok();
    assert_changes_nothing(&cli, "remove");
    cli.start_and_wait(work("new", ["exit", "0"]));
    assert_eq!(cli.list(json!({ "limit": 1 })), ["new"]);
    note_names(&cli);
    assert_changes_nothing(&cli, "noted again");
    // Its folder is another one, though the cache still has the one before.
    cli.run("remove").text("t8").ok();
    cli.start_and_wait(work("filler", ["exit", "0"]));
    cli.start_and_wait(work("t8", ["exit", "0"]));
    note_names(&cli);
    assert_changes_nothing(&cli, "started anew in another folder");
    cli.start_and_wait(work("t8", ["exit", "1"]));
    assert_changes_nothing(&cli, "started anew again");
    fs::remove_dir_all(cli.task_file("t7", "")).unwrap();
    assert_changes_nothing(&cli, "a folder was removed by hand");
}

#[test]
fn a_home_that_cannot_be_written_to_is_listed() {
    let cli = home_of_many();
    fs::create_dir(cache(&cli)).unwrap();
    fs::create_dir(cli.home().join("list.cache.new")).unwrap();
    assert_eq!(cli.list(json!({ "limit": 1_000_000 })).len(), MANY + 1);
    assert_eq!(cli.list(json!({ "limit": 1_000_000 })).len(), MANY + 1);
}
