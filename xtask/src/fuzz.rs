//! `cargo xtask fuzz`: inputs that nobody would think of, for everything that is read.
//!
//! libFuzzer, by way of `fuzz/`. Its instrumentation is asked for by flags that the stable compiler
//! takes; the sanitizers, which it does not, would find little in a crate with hardly any `unsafe`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::workspace::Workspace;
use crate::{Result, command};

/// What an input may take before it counts as a hang.
const LONGEST: Duration = Duration::from_secs(10);
/// Runs of each target in brief mode: a number, not a time, so that each time is like the last.
const BRIEF_RUNS: u32 = 3000;

/// How long each target is run.
#[derive(Clone, Copy)]
enum Length {
    /// The corpus, and a fixed number of inputs made of it. Nothing is kept.
    Brief,
    /// So many seconds. What reaches new places is kept below `target`, and used again.
    Seconds(u64),
}

/// Runs the chore: `[--target NAME] [--seconds N]`; without seconds, briefly.
pub fn run(workspace: &Workspace, options: &[&str]) -> Result {
    let (mut only, mut length) = (None, Length::Brief);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match (*option, options.next()) {
            ("--target", Some(name)) => only = Some(*name),
            ("--seconds", Some(seconds)) => length = Length::Seconds(seconds.parse()?),
            _ => return Err("usage: cargo xtask fuzz [--target NAME] [--seconds N]".into()),
        }
    }
    let mut targets = targets(workspace)?;
    targets.retain(|target| only.is_none_or(|only| target == only));
    if targets.is_empty() {
        return Err("there is no such target; each has a folder in fuzz/corpus".into());
    }
    let program = build(workspace)?;
    for target in &targets {
        fuzz(workspace, &program, target, length)?;
    }
    Ok(())
}

/// The step of the gate.
pub fn check(workspace: &Workspace) -> Result<String> {
    let mut format = workspace.cargo(&["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]);
    command::run(&mut format)?;
    let program = build(workspace)?;
    let targets = targets(workspace)?;
    for target in &targets {
        fuzz(workspace, &program, target, Length::Brief)?;
    }
    Ok(format!("{} targets", targets.len()))
}

/// Each has a folder with its corpus.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in workspace.root.join("fuzz/corpus").read_dir()? {
        targets.extend(entry?.file_name().into_string());
    }
    targets.sort();
    Ok(targets)
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    const COVERAGE: [&str; 5] = [
        "-Cpasses=sancov-module",
        "-Cllvm-args=-sanitizer-coverage-level=4",
        "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
        "-Cllvm-args=-sanitizer-coverage-pc-table",
        "-Cllvm-args=-sanitizer-coverage-trace-compares",
    ];
    let host = host(workspace)?;
    let folder = workspace.target.join("fuzz");
    // With a target given, build scripts and macros are compiled without these flags.
    let mut build = workspace.cargo(&["build", "--release", "--locked", "--target", &host]);
    build
        .args(["--manifest-path", "fuzz/Cargo.toml"])
        .env("CARGO_TARGET_DIR", &folder)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(
            "RUSTFLAGS",
            format!("{} --cfg fuzzing -Dwarnings", COVERAGE.join(" ")),
        );
    command::run(&mut build)?;
    Ok(folder.join(host).join("release/background-tasks-fuzz"))
}

fn host(workspace: &Workspace) -> Result<String> {
    let told = command::output(workspace.command("rustc").arg("-vV"))?;
    let told = String::from_utf8(told)?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc names no host")?.to_owned())
}

fn fuzz(workspace: &Workspace, program: &Path, target: &str, length: Length) -> Result {
    let corpus = workspace.root.join("fuzz/corpus").join(target);
    let found = workspace.target.join("fuzz/found").join(target);
    std::fs::create_dir_all(&found)?;
    let mut run = Command::new(program);
    run.current_dir(&workspace.root)
        .env("FUZZ_TARGET", target)
        .arg(format!("-timeout={}", LONGEST.as_secs()))
        .arg(format!("-artifact_prefix={}/crash-", found.display()));
    if let Length::Seconds(seconds) = length {
        let kept = workspace.target.join("fuzz/kept").join(target);
        std::fs::create_dir_all(&kept)?;
        run.arg(format!("-max_total_time={seconds}"))
            .arg("-print_final_stats=1")
            .arg(kept);
        run.arg(corpus);
        return command::run(&mut run);
    }
    run.args(["-seed=1", "-verbosity=0"]);
    run.arg(format!("-runs={BRIEF_RUNS}"))
        .arg(corpus_copy(&corpus, &found)?);
    quietly(&mut run, target, &found)
}

/// libFuzzer writes what it finds into the first folder; that of the sources is to stay as it is.
fn corpus_copy(corpus: &Path, found: &Path) -> Result<PathBuf> {
    let copy = found.join("corpus");
    if copy.exists() {
        std::fs::remove_dir_all(&copy)?;
    }
    std::fs::create_dir(&copy)?;
    for entry in corpus.read_dir()? {
        let entry = entry?;
        std::fs::copy(entry.path(), copy.join(entry.file_name()))?;
    }
    Ok(copy)
}

/// Shows what was printed only where something was found.
fn quietly(run: &mut Command, target: &str, found: &Path) -> Result {
    let outcome = run.stdin(std::process::Stdio::null()).output();
    let outcome = outcome.map_err(|problem| command::cannot_run(run, &problem))?;
    if outcome.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&outcome.stderr);
    Err(format!(
        "{printed}\n{target}: {}; the input is in {}",
        outcome.status,
        found.display()
    )
    .into())
}
