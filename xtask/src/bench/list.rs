//! `list` of many tasks that have ended; they are copies of one that has really run.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use super::Setup;
use super::home::{Home, nohup, scratch, text};
use super::race::{Contender, race};
use super::report::{Row, Samples};
use crate::Result;

const CREATED_AT: &str = "\"created_at\":";

/// A thousand tasks and more, with what `list` has kept of them and without.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let counts: &[usize] = match setup.quick {
        true => &[1_000, 10_000],
        false => &[1_000, 10_000, 100_000],
    };
    for &count in counts {
        rows.extend(of_many(setup, count)?);
    }
    Ok(rows)
}

fn of_many(setup: &Setup, count: usize) -> Result<Vec<Row>> {
    let home = Home::new(setup, &format!("list-{count}"))?;
    populate(&home, count)?;
    let list = |limit: usize| -> Result<f64> {
        let (time, data) = home.ask("list", &json!({"limit": limit}), &[])?;
        let shown = data["tasks"].as_array().map_or(0, Vec::len);
        let broken = data["tasks"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|task| task["status"] != "exited");
        match (data["total"].as_u64(), broken) {
            (Some(total), None) if total == count as u64 && shown == limit => Ok(time),
            (total, None) => {
                Err(format!("list shows {shown} of {total:?}, not {limit} of {count}").into())
            }
            (_, Some(task)) => Err(format!("list shows a task as {}", task["status"]).into()),
        }
    };
    let first = Row::new(
        format!("first list of {count}"),
        "ms",
        Samples::from_iter([list(count)?]),
    );
    let folder = scratch(setup, &format!("list-{count}-nohup"))?;
    // A folder in the place of what is about to be kept: then nothing is.
    let without_cache = |limit| {
        let [cache, aside, kept] =
            ["list.cache", "list.cache.new", "kept"].map(|name| home.folder.join(name));
        fs::rename(&cache, &kept)?;
        fs::create_dir(&aside)?;
        let time = list(limit);
        fs::remove_dir(&aside)?;
        fs::rename(&kept, &cache)?;
        time
    };
    let contenders = vec![
        Contender::new("nohup true", || Ok(nohup(&folder, "true")?.0)),
        Contender::new(format!("list 50 of {count}"), || list(50)),
        Contender::new(format!("list 50 of {count}, nothing kept"), || {
            without_cache(50)
        }),
        Contender::new(format!("list all of {count}"), || list(count)),
        Contender::new(format!("list all of {count}, nothing kept"), || {
            without_cache(count)
        }),
    ];
    let per_task = |median: f64| format!("{:.2} us per task", median * 1000.0 / count as f64);
    let rounds = setup.rounds(if count > 10_000 { 9 } else { 30 }, 7);
    let rows = race(rounds, contenders, |_| Ok(()))?;
    let remarked = |(number, row): (usize, Row)| match number {
        0 | 1 => row,
        _ => row.remark(per_task),
    };
    let rows = rows.into_iter().enumerate().map(remarked);
    Ok(rows.chain([first.remark(per_task)]).collect())
}

/// Runs one task to its end and copies it until there are so many.
fn populate(home: &Home, count: usize) -> Result {
    let (_, task) = home.start(&json!({"command": "true"}), &["--wait"])?;
    let id = text(&task, "id")?;
    // Its supervisor may still be tidying up.
    std::thread::sleep(Duration::from_millis(500));
    for number in 1..count {
        copy(home, &id, number)
            .map_err(|problem| format!("cannot copy the task {id}: {problem}"))?;
    }
    Ok(())
}

fn copy(home: &Home, id: &str, number: usize) -> Result {
    let new_id = format!("bg_{number:08x}");
    let log = home.log(&new_id);
    fs::copy(home.log(id), &log)?;
    let folder = home.folder.join("tasks").join(&new_id);
    let original = home.folder.join("tasks").join(id);
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, fs::metadata(&original)?.permissions())?;
    for entry in fs::read_dir(&original)? {
        let entry = entry?;
        let to = folder.join(entry.file_name());
        if entry.file_type()?.is_fifo() {
            mkfifo(&to, Mode::S_IRUSR | Mode::S_IWUSR)?;
        } else if entry.file_name() == "log" {
            fs::hard_link(&log, &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    rewrite(&folder.join("task.json"), id, &new_id, number)
}

/// Gives a record its new id and a time of its own, as text: the order of its fields stays.
fn rewrite(path: &Path, id: &str, new_id: &str, number: usize) -> Result {
    let text = fs::read_to_string(path)?.replace(id, new_id);
    let (before, rest) = text
        .split_once(CREATED_AT)
        .ok_or("the record has no created_at")?;
    let end = rest.find([',', '}']).ok_or("the record ends early")?;
    let created_at = match rest[..end].trim().parse::<i64>() {
        Ok(milliseconds) => (milliseconds - i64::try_from(number)?).to_string(),
        Err(_) => format!("\"{}\"", moment(number)),
    };
    fs::write(
        path,
        [before, CREATED_AT, &created_at, &rest[end..]].concat(),
    )?;
    Ok(())
}

/// So many seconds into a day in the past.
fn moment(number: usize) -> String {
    let (hours, minutes, seconds) = (number / 3600 % 24, number / 60 % 60, number % 60);
    format!("2026-01-01T{hours:02}:{minutes:02}:{seconds:02}.000Z")
}
