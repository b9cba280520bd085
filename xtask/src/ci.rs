//! `cargo xtask ci`: everything that a change must pass, in order, up to the first failure.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::toolchain::Target;
use crate::workspace::Workspace;
use crate::{Result, assets, command, forbid, fuzz, instructions, npm, schemas, toolchain};

/// Where the published crates must compile besides this machine.
const OTHER_TARGETS: [&str; 3] = [
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "aarch64-unknown-linux-musl",
];
/// The black-box checks that may lie beside the checkout.
const ACCEPTANCE: &str = "../shared/acceptance/lifecycle.py";

/// A step answers with a remark for its line, or an empty one.
type Step = (&'static str, fn(&Workspace) -> Result<String>);

const STEPS: [Step; 15] = [
    ("format", |workspace| {
        cargo(workspace, &["fmt", "--all", "--check"])
    }),
    ("clippy", clippy),
    ("other targets", other_targets),
    ("build", |workspace| {
        cargo(workspace, &["build", "--workspace"])
    }),
    ("schemas", |workspace| {
        Ok(format!("{} files", schemas::check(workspace)?))
    }),
    ("assets", |workspace| {
        Ok(format!("{} files", assets::check(workspace)?))
    }),
    ("test", test),
    ("chaos", chaos),
    ("docs", docs),
    ("forbid", |workspace| {
        Ok(format!("{} files", forbid::check(workspace)?))
    }),
    ("fuzz", fuzz::check),
    ("npm launcher", npm::check),
    ("release build", |workspace| {
        cargo(
            workspace,
            &["build", "--release", "--package", "background-tasks"],
        )
    }),
    ("instructions", instructions::check),
    ("acceptance", acceptance),
];

/// Runs all steps; fails with the first that fails.
pub fn run(workspace: &Workspace) -> Result {
    let start = Instant::now();
    for (name, step) in STEPS {
        let begun = Instant::now();
        match step(workspace) {
            Ok(remark) => println!("{}", report("ok", begun.elapsed(), name, &remark)),
            Err(problem) => {
                println!("{}", report("FAILED", begun.elapsed(), name, ""));
                return Err(format!("ci failed at {name}: {problem}").into());
            }
        }
    }
    println!(
        "ci: {} steps passed in {:.1} s",
        STEPS.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn report(outcome: &str, time: Duration, name: &str, remark: &str) -> String {
    let line = format!(
        "ci: {outcome:<6} {:>6.1} s  {name:<14} {remark}",
        time.as_secs_f64()
    );
    line.trim_end().to_owned()
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    command::run(&mut workspace.cargo(arguments))?;
    Ok(String::new())
}

fn clippy(workspace: &Workspace) -> Result<String> {
    cargo(
        workspace,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    )
}

fn other_targets(workspace: &Workspace) -> Result<String> {
    let mut left_out = Vec::new();
    for triple in OTHER_TARGETS {
        if toolchain::ensure(workspace, triple)? == Target::NoRustup {
            if std::env::var_os("CI").is_some() {
                return Err(toolchain::advice(triple).into());
            }
            left_out.push(triple);
            continue;
        }
        let packages = [
            "--package",
            "background-tasks-core",
            "--package",
            "background-tasks-agents",
            "--package",
            "background-tasks",
        ];
        let mut check = workspace.cargo(&["check", "--target", triple]);
        command::run(check.args(packages).env("RUSTFLAGS", "-D warnings"))?;
    }
    if left_out.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(
        "left out for want of rustup: {}",
        left_out.join(", ")
    ))
}

fn docs(workspace: &Workspace) -> Result<String> {
    let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps"]);
    command::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(String::new())
}

fn test(workspace: &Workspace) -> Result<String> {
    let tally = run_tests(&mut workspace.cargo(&["test", "--workspace"]))?;
    match tally {
        Tally { passed: 0, .. } => Err("no test ran".into()),
        Tally { ignored: 0, passed } => Ok(format!("{passed} tests")),
        Tally { ignored, .. } => Err(format!("{ignored} tests are ignored").into()),
    }
}

/// Shows the output of the tests while they run, and counts.
fn run_tests(tests: &mut Command) -> Result<Tally> {
    let mut child = tests
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|problem| command::cannot_run(tests, &problem))?;
    let mut tally = Tally::default();
    let printed = child.stdout.take().map(BufReader::new);
    for line in printed.into_iter().flat_map(|printed| printed.split(b'\n')) {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.add(&line);
    }
    let status = child.wait()?;
    if status.success() {
        Ok(tally)
    } else {
        Err(format!("{status}: {}", command::line(tests)).into())
    }
}

/// The sums over all `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in result.split(['.', ';']) {
            match part.trim().split_once(' ') {
                Some((count, "passed")) => self.passed += count.parse().unwrap_or(0),
                Some((count, "ignored")) => self.ignored += count.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn chaos(workspace: &Workspace) -> Result<String> {
    crate::chaos::check(workspace)
}

/// Stopping others at their system calls is written for Linux.
#[cfg(not(target_os = "linux"))]
fn chaos(_: &Workspace) -> Result<String> {
    Ok("left out: it needs Linux".to_owned())
}

fn acceptance(workspace: &Workspace) -> Result<String> {
    let script = workspace.root.join(ACCEPTANCE);
    if !script.exists() {
        return Ok("left out: no acceptance checks beside the checkout".to_owned());
    }
    if !command::exists("python3") {
        return Ok("left out: no python3".to_owned());
    }
    let mut checks = workspace.command("python3");
    checks
        .arg(script)
        .arg(workspace.target.join("release/background-tasks"));
    command::run(checks.env("PYTHONDONTWRITEBYTECODE", "1"))?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut tally = Tally::default();
        tally.add("running 7 tests");
        tally.add("test result: ok. 5 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        tally.add("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s");
        assert_eq!(
            tally,
            Tally {
                passed: 17,
                ignored: 2
            }
        );
    }
}
