//! The binary for Linux on arm64, tried on a machine that has another processor.

use std::env;
use std::env::consts::{ARCH, OS};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::npm::{build, emptied};
use crate::workspace::Workspace;
use crate::{Result, command};

const PLATFORM: &str = "linux-arm64";
const EMULATORS: [&str; 2] = ["qemu-aarch64-static", "qemu-aarch64"];
/// What lacks, in the words of Debian.
const ADVICE: &str = "linux-arm64 cannot be tried: install qemu-user-static and proot";

/// Has it run a task to its end.
pub fn smoke_test(workspace: &Workspace, packages: &Path) -> Result<String> {
    let binary = packages.join(PLATFORM).join("bin").join(build::NAME);
    let Some(runner) = runner() else {
        if env::var_os("CI").is_some() {
            return Err(ADVICE.into());
        }
        return Ok(format!("left out: {ADVICE}"));
    };
    let home = emptied(&workspace.target.join("npm/emulated"))?;
    let run = |arguments: &[&str]| {
        let (program, before) = runner.split_first().unwrap_or((&"env", &[]));
        let mut command = Command::new(program);
        command.args(before).arg(&binary).args(arguments);
        command.env("BACKGROUND_TASKS_HOME", &home);
        command
    };
    let answer = |arguments: &[&str]| -> Result<Value> {
        let told = command::output(&mut run(arguments))?;
        Ok(serde_json::from_slice::<Value>(&told)?["data"].take())
    };
    let arch = &answer(&["capabilities"])?["platform"]["arch"];
    expect("the architecture", arch, &Value::from("aarch64"))?;
    let payload = r#"{"id": "smoke", "shell": "echo $((6 * 7)); exit 3"}"#;
    let started = answer(&["start", "--wait", payload])?;
    expect(
        "the exit code",
        &started["task"]["exit_code"],
        &Value::from(3),
    )?;
    expect("the log", &started["logs"]["lines"][0], &Value::from("42"))?;
    let code = run(&["wait", "--exit-code", "smoke"])
        .output()?
        .status
        .code();
    expect("wait's exit status", &code.into(), &Value::from(3))?;
    // proot traces all that it has executed, and ends when the supervisor does.
    let server = r#"{"id": "server", "command": "sleep", "args": ["60"]}"#;
    let mut started = run(&["start", server]).stdout(Stdio::piped()).spawn()?;
    let mut told = String::new();
    let printed = started.stdout.take().map(BufReader::new);
    printed.ok_or("no output")?.read_line(&mut told)?;
    let told: Value = serde_json::from_str(&told)?;
    expect(
        "start's status",
        &told["data"]["task"]["status"],
        &Value::from("running"),
    )?;
    let stopped = answer(&["stop", "server"])?;
    expect(
        "stop's outcome",
        &stopped["task"]["status"],
        &Value::from("killed"),
    )?;
    started.wait()?;
    fs::remove_dir_all(home)?;
    Ok(format!("{PLATFORM} runs a task under {}", runner.join(" ")))
}

/// How to run it; empty where the processor does.
///
/// qemu alone is not enough: the program executes itself as the supervisor, and the kernel is
/// asked to do that, which does not know the format. proot has that executed by qemu as well, and
/// does not need to be told to the kernel (binfmt_misc) for the whole machine.
fn runner() -> Option<Vec<&'static str>> {
    if (OS, ARCH) == ("linux", "aarch64") {
        return Some(Vec::new());
    }
    let emulator = EMULATORS.into_iter().find(|name| command::exists(name))?;
    (OS == "linux" && command::exists("proot")).then(|| vec!["proot", "-q", emulator])
}

fn expect(what: &str, found: &Value, expected: &Value) -> Result {
    if found == expected {
        return Ok(());
    }
    Err(format!("{PLATFORM}: {what} is {found} instead of {expected}").into())
}
