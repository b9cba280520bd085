//! A large log as frames: how fast they are made, and how fast they go through a pipe, beside what
//! that pipe takes of frames that are in a file.

use std::cell::RefCell;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::json;

use super::Setup;
use super::large_log::LargeLog;
use super::race::{Contender, milliseconds, race};
use super::report::{Row, Samples};
use crate::{Result, command};

/// Against `cat`. The processor's time is steadier than the clock on a busy machine. All speeds are
/// those of the log: its frames have four times as many bytes.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let log = LargeLog::new(setup, "frames")?;
    let wish = json!({"id": log.id, "lines": 100_000_000});
    let stream = || log.home.command("events", &wish, &["--stream"]);
    let frames = log.home.folder.join("frames");
    command::run(stream().stdout(File::create(&frames)?))?;
    let busy = RefCell::new(Samples::default());
    let contenders = vec![
        Contender::new("cat FILE > /dev/null", || {
            discarded(Command::new("cat").arg(&log.file))
        }),
        Contender::new("events --stream > /dev/null", || {
            let before = processor_time()?;
            let time = discarded(&mut stream())?;
            busy.borrow_mut().push(processor_time()? - before);
            Ok(time)
        }),
        Contender::new("cat FRAMES | cat > /dev/null", || {
            piped(Command::new("cat").arg(&frames))
        }),
        Contender::new("events --stream | cat > /dev/null", || piped(&mut stream())),
    ];
    let mut rows = race(setup.rounds(7, 3), contenders, |_| Ok(()))?;
    rows.push(Row::new(
        "events --stream > /dev/null, processor time",
        "ms",
        busy.take(),
    ));
    let speed = |median| log.speed(median);
    Ok(rows.into_iter().map(|row| row.remark(speed)).collect())
}

/// What children that have ended have used so far, in milliseconds.
fn processor_time() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let sum = usage.user_time() + usage.system_time();
    Ok(sum.num_microseconds() as f64 / 1000.0)
}

fn discarded(program: &mut Command) -> Result<f64> {
    let start = Instant::now();
    command::run(program.stdout(File::create("/dev/null")?))?;
    Ok(milliseconds(start))
}

fn piped(program: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let mut writer = program.stdout(Stdio::piped()).spawn()?;
    let pipe = writer.stdout.take().ok_or("there is a pipe")?;
    let reader = Command::new("cat")
        .stdin(pipe)
        .stdout(File::create("/dev/null")?)
        .status()?;
    match writer.wait()? {
        status if status.success() && reader.success() => Ok(milliseconds(start)),
        status => Err(format!("{status}: {}", command::line(program)).into()),
    }
}
