//! The README's commands: what it tells people to type works, in the order in which it stands.
//!
//! Every block marked `sh` is run. A block marked `sh build` needs the checkout and cargo, and is
//! left out; other blocks show what comes back.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::harness::{Cli, PROGRAM, eventually};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
const SKILL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/skill/SKILL.md");
/// What a block may be.
const KINDS: [&str; 5] = ["sh", "sh build", "json", "text", "rust"];

/// A fenced block.
struct Block {
    /// Where its content begins, counted from 1 as editors do.
    line: usize,
    kind: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(document.lines()) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => {
                open = Some(Block {
                    line: number + 1,
                    kind: kind.to_owned(),
                    text: String::new(),
                });
            }
            (Some(""), Some(_)) => blocks.extend(open.take()),
            (_, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

fn read(document: &str) -> Vec<Block> {
    blocks(&fs::read_to_string(document).expect("it is there"))
}

/// A shell that runs a block, with everything that it starts in a group of its own.
struct Shell(Child);

impl Shell {
    /// Its output goes to a file: a pipe would stay open as long as anything holds on to it.
    fn run(cli: &Cli, block: &Block, output: &Path) -> Self {
        let folder = Path::new(PROGRAM).parent().expect("a file is in a folder");
        let mut path = vec![folder.to_owned()];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let output = fs::File::create(output).expect("the test's folder can be written to");
        let errors = output.try_clone().expect("there are descriptors left");
        let mut shell = Command::new("sh");
        shell
            .args(["-eu", "-c", &block.text])
            .current_dir(cli.folder())
            .env("PATH", std::env::join_paths(path).expect("a PATH"))
            .env("BACKGROUND_TASKS_HOME", cli.home())
            .env_remove("BACKGROUND_TASKS_ID")
            .env_remove("BACKGROUND_TASKS_RUN")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        Self(shell.spawn().expect("there is a shell"))
    }
}

impl Drop for Shell {
    /// Ends what is left of a block that hangs; of others nothing is left to signal.
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}

#[test]
fn every_command_of_the_readme_works() {
    run_all(README);
}

#[test]
fn the_skill_can_be_followed_to_the_letter() {
    run_all(SKILL);
}

fn run_all(document: &str) {
    // Stops all tasks when it goes out of scope, also by a panic.
    let cli = Cli::new();
    // Not in the working directory of the blocks.
    let transcript = tempfile::tempdir().expect("a temporary folder can be made");
    let output: PathBuf = transcript.path().join("output");
    for block in read(document).iter().filter(|block| block.kind == "sh") {
        let place = format!("{document}:{}", block.line);
        let mut shell = Shell::run(&cli, block, &output);
        let status = eventually(
            || shell.0.try_wait().expect("it is our child"),
            &format!("{place} ends\n{}", block.text),
        );
        let printed = fs::read_to_string(&output).unwrap_or_default();
        assert!(status.success(), "{place}\n{}\n{printed}", block.text);
    }
}

#[test]
fn every_block_of_the_readme_says_what_it_is() {
    let blocks = read(README);
    for block in &blocks {
        let Block { line, kind, text } = block;
        assert!(KINDS.contains(&kind.as_str()), "README.md:{line}: `{kind}`");
        let needs_checkout = text
            .lines()
            .any(|line| line.starts_with("cargo ") || line.starts_with("npm "));
        assert_eq!(kind == "sh build", needs_checkout, "README.md:{line}");
    }
    assert!(blocks.iter().filter(|block| block.kind == "sh").count() > 10);
}
