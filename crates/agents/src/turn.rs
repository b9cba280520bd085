//! The command of an agent's task: it works out what its run is about, and becomes the CLI.
//!
//! The supervisor executes this for each run, also for prompts that were said while another run was
//! going: only now is the session known that they go on with.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use background_tasks_core::op::{Assignment, EXTENSION_FILE};
use background_tasks_core::{Client, Error, Result, op};

use crate::conversation::{conversation_name, session_name, session_of};
use crate::evidence::{NOT_EXECUTED, OWN_VOICE};
use crate::install::NotInstalled;
use crate::invocation::{Invocation, Program, Stdin, Turn};
use crate::kept::{Kept, Piece};
use crate::mock;
use crate::provider::Provider;
use crate::request::check_prompt;
use crate::spec::McpSource;
use crate::start::SUBCOMMAND;
use crate::surroundings::{Surroundings, is_executable};

/// Carries out what this program was executed for, if that is a part of an agent's task; then the
/// exit status.
///
/// A program that embeds this crate calls it first thing, before arguments of its own.
pub fn take_over(arguments: &[OsString]) -> Option<u8> {
    let first = arguments.first()?;
    if first == mock::SUBCOMMAND {
        let code = mock::run_mock(arguments[1..].iter().cloned());
        return Some(u8::try_from(code).unwrap_or(1));
    }
    if first == SUBCOMMAND {
        // Only what could not be executed comes back.
        let Err(error) = become_agent();
        tell(&error);
        return Some(NOT_EXECUTED);
    }
    None
}

/// Tells why there is no agent, where the agent's own words would stand.
fn tell(error: &Error) {
    let lines = match error {
        Error::Internal { message } => vec![message.clone()],
        error => vec![error.to_string(), error.hint()],
    };
    for line in lines {
        let _ = writeln!(io::stderr(), "{OWN_VOICE}{line}");
    }
}

fn become_agent() -> Result<std::convert::Infallible> {
    let client = Client::from_environment()?;
    let assignment = op::assignment(&client)?;
    let kept = Kept::of(&assignment.extension)?;
    let piece = Piece::decode(&assignment.piece)?;
    let session = session(&client, &assignment, &kept)?;
    let mcp_file = mcp_file(&assignment, &kept)?;
    let workdir =
        std::env::current_dir().map_err(|error| failed("find the working directory", &error))?;
    let name = conversation_name(&assignment.id);
    let prompt = kept.told(&piece.prompt, session.as_deref());
    check_prompt(kept.spec.provider, "prompt", &prompt)?;
    let turn = Turn {
        spec: &kept.spec,
        prompt: &prompt,
        session: session.as_deref(),
        conversation: &name,
        mcp_file: mcp_file.as_deref(),
        workdir: &workdir,
        is_root: nix::unistd::geteuid().is_root(),
    };
    let invocation = kept.spec.provider.invocation(&turn);
    let program = program(kept.spec.provider, &invocation, piece.program)?;
    let mut command = command(&invocation, &program);
    command.stdin(input(&assignment.folder, &invocation.stdin)?);
    let error = command.exec();
    Err(failed(&format!("execute {}", program.display()), &error))
}

/// The session to go on with, which is written down. The first run of a task has none of its own.
fn session(client: &Client, assignment: &Assignment, kept: &Kept) -> Result<Option<String>> {
    let path = assignment.folder.join(session_name());
    if assignment.run == 1 {
        // An earlier task of this id may have had one.
        let _ = std::fs::remove_file(path);
        return Ok(kept.resume.clone());
    }
    let Some(session) = session_of(client, &assignment.id)? else {
        return Ok(None);
    };
    if let Some(reported) = &session.reported {
        // It is needed only where the lines that told of it are freed.
        let _ = write_down(&path, reported);
    }
    Ok(session.session_id)
}

fn write_down(path: &Path, session: &str) -> io::Result<()> {
    let aside = path.with_extension("aside");
    private_file(&aside)?.write_all(session.as_bytes())?;
    std::fs::rename(aside, path)
}

/// What is executed. Where it was found may be long ago; then this run's own PATH counts.
fn program(
    provider: Provider,
    invocation: &Invocation,
    was_at: Option<PathBuf>,
) -> Result<PathBuf> {
    let Program::Named(name) = invocation.program else {
        return std::env::current_exe().map_err(|error| failed("find this program", &error));
    };
    if let Some(path) = was_at.as_ref().filter(|path| is_executable(path)) {
        return Ok(path.clone());
    }
    match provider.find(&Surroundings::of_this_process()) {
        Ok(found) => Ok(found.unwrap_or_else(|| name.into())),
        Err(absent) => Err(NotInstalled { was_at, ..absent }.into()),
    }
}

fn command(invocation: &Invocation, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(&invocation.args)
        .envs(invocation.env.iter().map(|(name, value)| (name, value)));
    command
}

/// A file with nothing but the text, which ends: a pipe would have to be filled by somebody.
fn input(folder: &Path, stdin: &Stdin) -> Result<Stdio> {
    let text = match stdin {
        Stdin::Null => return Ok(Stdio::null()),
        Stdin::Text(text) => text,
    };
    // Not `.new`: the supervisor may be clearing away what writers of an earlier task left aside.
    let path = folder.join(format!("{EXTENSION_FILE}prompt"));
    let file = private_file(&path).and_then(|mut file| {
        std::fs::remove_file(&path)?;
        file.write_all(text.as_bytes())?;
        file.rewind()?;
        Ok(file)
    });
    file.map(Stdio::from)
        .map_err(|error| failed("write down the prompt", &error))
}

/// Where the agent's MCP servers are described.
fn mcp_file(assignment: &Assignment, kept: &Kept) -> Result<Option<PathBuf>> {
    let path = assignment.folder.join(mcp_name());
    match (&kept.spec.mcp, &kept.mcp) {
        (Some(McpSource::File(path)), _) => Ok(Some(path.clone())),
        (Some(McpSource::OfTask), Some(servers)) => {
            let unwritten = |error| failed("write down the MCP servers", &error);
            let text = serde_json::to_vec(servers).map_err(|error| unwritten(error.into()))?;
            private_file(&path)
                .and_then(|mut file| file.write_all(&text))
                .map_err(unwritten)?;
            Ok(Some(path))
        }
        (Some(McpSource::OfTask), None) | (None, _) => {
            // An earlier task of this id may have had some, and secrets among them.
            let _ = std::fs::remove_file(path);
            Ok(None)
        }
    }
}

/// The name of that file within the task's folder.
pub(crate) fn mcp_name() -> String {
    format!("{EXTENSION_FILE}mcp.json")
}

/// A new file that only its owner reads, in the place of an earlier run's.
fn private_file(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn failed(action: &str, error: &io::Error) -> Error {
    Error::Internal {
        message: format!("cannot {action}: {error}"),
    }
}
