//! What is measured of each.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::Setup;
use super::super::home::{nohup, scratch};
use super::super::memory::pss;
use super::super::race::{Contender, milliseconds, race, timed};
use super::super::report::{Row, Samples};
use super::super::stop::alive;
use super::super::storm::at_once;
use super::tool::{End, Tool, asked, start};
use crate::Result;

type Tools = [Box<dyn Tool>];

/// How long anything may take that has to come true by itself.
const SOON: Duration = Duration::from_secs(20);

/// Everything, in the order in which it disturbs what comes later least.
pub fn all(setup: &Setup, tools: &Tools, rows: &mut Vec<Row>) -> Result {
    rows.extend(starts(setup, tools)?);
    rows.extend(status(setup, tools)?);
    rows.extend(waits(setup, tools)?);
    rows.extend(ends_told(tools)?);
    rows.extend(left_by_stop(setup, tools)?);
    rows.extend(logs(setup, tools)?);
    rows.extend(storm(setup, tools)?);
    rows.extend(memory(tools)?);
    rows.extend(lists(setup, tools)?);
    Ok(())
}

fn starts(setup: &Setup, tools: &Tools) -> Result<Vec<Row>> {
    let folder = scratch(setup, "alternatives-nohup")?;
    let mut contenders = vec![Contender::new("start of true: nohup", || {
        Ok(nohup(&folder, "true")?.0)
    })];
    contenders.extend(tools.iter().map(|tool| {
        Contender::new(format!("start of true: {}", tool.name()), || {
            Ok(start(&**tool, &["true"])?.0)
        })
    }));
    race(setup.rounds(50, 10), contenders, |_| Ok(()))
}

fn status(setup: &Setup, tools: &Tools) -> Result<Vec<Row>> {
    let mut contenders = Vec::new();
    for tool in tools {
        let (_, id) = start(&**tool, &["true"])?;
        contenders.push(Contender::new(
            format!("status: {}", tool.name()),
            move || Ok(asked(&mut tool.status(&id))?.0),
        ));
    }
    race(setup.rounds(30, 10), contenders, |_| Ok(()))
}

/// Start and wait as two calls, without what the command itself takes.
fn waits(setup: &Setup, tools: &Tools) -> Result<Vec<Row>> {
    const SLEEP: f64 = 400.0;
    let contenders = tools.iter().filter(|tool| tool.wait("0").is_some());
    let contenders = contenders.map(|tool| {
        let name = format!("start, then wait, - 400 ms: {}", tool.name());
        Contender::new(name, || {
            let (first, id) = start(&**tool, &["sleep", "0.4"])?;
            let mut wait = tool.wait(&id).ok_or("it can wait")?;
            Ok(first + asked(&mut wait)?.0 - SLEEP)
        })
    });
    race(setup.rounds(15, 5), contenders.collect(), |_| Ok(()))
}

/// Which of two ends each can tell: an exit code, a signal.
fn ends_told(tools: &Tools) -> Result<Vec<Row>> {
    const ENDS: [(End, &str); 2] = [(End::Exit7, "exit 7"), (End::Killed, "kill -9 $$")];
    let mut rows = Vec::new();
    for tool in tools {
        let mut told = 0;
        for (end, script) in ENDS {
            let (_, id) = start(&**tool, &["sh", "-c", script])?;
            // Long enough for those that look once a second.
            let deadline = Instant::now() + Duration::from_secs(3);
            let mut tells = false;
            while !tells && Instant::now() < deadline {
                tells = tool.tells(&asked(&mut tool.status(&id))?.1, end);
                std::thread::sleep(Duration::from_millis(20));
            }
            told += usize::from(tells);
        }
        let name = format!("ends told, of exit 7 and SIGKILL: {}", tool.name());
        rows.push(Row::new(name, "", Samples::from_iter([told as f64])));
    }
    Ok(rows)
}

/// A shell, a child of it, and one in a session of its own: how many live two seconds after stop.
fn left_by_stop(setup: &Setup, tools: &Tools) -> Result<Vec<Row>> {
    let folder = scratch(setup, "alternatives-trees")?;
    let mut rows = Vec::new();
    for (number, tool) in tools.iter().enumerate() {
        let mut left = Samples::default();
        let mut took = Samples::default();
        for round in 0..setup.rounds(5, 2) {
            let pids = folder.join(format!("{number}-{round}"));
            let tree = format!(
                "exec 2>/dev/null; p={}; sleep 600 & echo $! >>$p; \
                 setsid sh -c \"echo \\$\\$ >>$p; exec sleep 600\" & echo $$ >>$p; wait",
                pids.display()
            );
            let (_, id) = start(&**tool, &["sh", "-c", &tree])?;
            let tree = await_lines(&pids, 3)?;
            took.push(asked(&mut tool.stop(&id))?.0);
            let deadline = Instant::now() + Duration::from_secs(2);
            while tree.iter().any(|pid| alive(*pid)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            left.push(tree.iter().filter(|pid| alive(**pid)).count() as f64);
        }
        let name = tool.name();
        rows.push(Row::new(
            format!("left of a tree of 3 after stop: {name}"),
            "",
            left,
        ));
        rows.push(Row::new(format!("stop of a tree of 3: {name}"), "ms", took));
    }
    Ok(rows)
}

/// The pids in a file, once there are so many.
fn await_lines(file: &Path, count: usize) -> Result<Vec<i32>> {
    let deadline = Instant::now() + SOON;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if pids.len() == count && text.ends_with('\n') {
            return Ok(pids);
        }
        if Instant::now() > deadline {
            return Err(format!("{} has {} lines, not {count}", file.display(), pids.len()).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A command that prints: from its start until it is known to have ended.
fn logs(setup: &Setup, tools: &Tools) -> Result<Vec<Row>> {
    let bytes: u64 = if setup.quick { 8 << 20 } else { 64 << 20 };
    // Lines of 64 bytes: some are slow by the line, not by the byte.
    let script = format!("yes {} | head -c {bytes}", "x".repeat(63));
    let folder = scratch(setup, "alternatives-log")?;
    let mut contenders = vec![Contender::new("log: a shell's redirect", || {
        let line = format!("{script} >> log; rm log");
        let mut shell = std::process::Command::new("sh");
        Ok(timed(shell.args(["-c", &line]).current_dir(&folder))?.0)
    })];
    let waiting = tools.iter().filter(|tool| tool.wait("0").is_some());
    contenders.extend(waiting.map(|tool| {
        Contender::new(format!("log: {}", tool.name()), || {
            let (first, id) = start(&**tool, &["sh", "-c", &script])?;
            let mut wait = tool.wait(&id).ok_or("it can wait")?;
            Ok(first + asked(&mut wait)?.0)
        })
    }));
    let rows = race(setup.rounds(3, 1), contenders, |_| Ok(()))?;
    let speed = |median: f64| format!("{:.0} MB/s", bytes as f64 / 1000.0 / median);
    Ok(rows.into_iter().map(|row| row.remark(speed)).collect())
}

/// So many starts at once, and how many of their commands have run.
fn storm(setup: &Setup, tools: &Tools) -> Result<Vec<Row>> {
    const STARTS: usize = 64;
    let folder = scratch(setup, "alternatives-storm")?;
    let mut rows = Vec::new();
    for (number, tool) in tools.iter().enumerate().filter(|(_, tool)| tool.is_quick()) {
        let (mut times, mut kept) = (Samples::default(), Samples::default());
        for round in 0..setup.rounds(5, 2) {
            let here = folder.join(format!("{number}-{round}"));
            fs::create_dir(&here)?;
            times.push(at_once(STARTS, |call| {
                let file = here.join(call.to_string()).display().to_string();
                tool.start(&["touch", &file])
            })?);
            let begun = Instant::now();
            let ran = || fs::read_dir(&here).map_or(0, Iterator::count);
            while ran() < STARTS && begun.elapsed() < SOON {
                std::thread::sleep(Duration::from_millis(5));
            }
            kept.push(ran() as f64);
        }
        let name = tool.name();
        rows.push(Row::new(
            format!("{STARTS} starts at once: {name}"),
            "ms",
            times,
        ));
        rows.push(Row::new(
            format!("commands run of {STARTS}: {name}"),
            "",
            kept,
        ));
    }
    Ok(rows)
}

/// What is kept in memory for 100 commands that run, for each of them.
fn memory(tools: &Tools) -> Result<Vec<Row>> {
    const JOBS: usize = 100;
    let mut rows = Vec::new();
    for tool in tools.iter().filter(|tool| tool.is_quick()) {
        let mut ids = Vec::new();
        for _ in 0..JOBS {
            ids.push(start(&**tool, &["sleep", "600"])?.1);
        }
        // Whatever a start leaves to be done is done by then.
        std::thread::sleep(Duration::from_secs(1));
        let keepers = tool.place().keepers("sleep");
        let sum: f64 = keepers.iter().filter_map(|pid| pss(*pid).ok()).sum();
        let name = format!("PSS per command, 100 run: {}", tool.name());
        let row = Row::new(name, "KiB", Samples::from_iter([sum / JOBS as f64]));
        rows.push(row.remark(|_| format!("{} processes", keepers.len())));
        for id in ids {
            asked(&mut tool.stop(&id))?;
        }
    }
    Ok(rows)
}

/// All of a thousand that have ended, beside those that the other figures have left.
fn lists(setup: &Setup, tools: &Tools) -> Result<Vec<Row>> {
    let count = if setup.quick { 200 } else { 1000 };
    let mut contenders = Vec::new();
    for tool in tools.iter().filter(|tool| tool.is_quick()) {
        let begun = Instant::now();
        for _ in 0..count {
            start(&**tool, &["true"])?;
        }
        let filled = milliseconds(begun);
        println!("{count} starts of {}: {filled:.0} ms", tool.name());
        let name = format!("list of {count} and some: {}", tool.name());
        contenders.push(Contender::new(name, || Ok(asked(&mut tool.list())?.0)));
    }
    race(setup.rounds(20, 5), contenders, |_| Ok(()))
}
