//! argv to a command, a payload text and flags. clap builds only the command that was named:
//! building all of them would double the time that a short command takes.

use std::ffi::OsString;
use std::time::Duration;

use background_tasks_core::op::ArtifactMode;
use background_tasks_core::{Deadline, Error, Result};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches};

use crate::command::{Command, Flag};

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// A command.
    Command {
        command: Command,
        payload: Option<String>,
        flags: Flags,
    },
    /// Help, about one command or all.
    Help(Option<Command>),
    /// The version.
    Version,
}

/// How it is to be carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub output: ArtifactMode,
    pub wait: bool,
    pub stream: bool,
    pub follow: bool,
    pub exit_code: bool,
    pub concurrency: usize,
    timeout: Option<Duration>,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            output: ArtifactMode::Auto,
            wait: false,
            stream: false,
            follow: false,
            exit_code: false,
            concurrency: Self::DEFAULT_CONCURRENCY,
            timeout: None,
        }
    }
}

impl Flags {
    pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
    pub(crate) const DEFAULT_CONCURRENCY: usize = 5;

    /// When waiting ends.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout.unwrap_or(Self::DEFAULT_TIMEOUT))
    }

    /// When following ends: never, unless told.
    pub(crate) fn follow_deadline(&self) -> Deadline {
        self.timeout.map_or(Deadline::NEVER, Deadline::after)
    }
}

/// A usage error, and the command that it is about as far as that is known.
pub(crate) struct UsageError {
    pub command: String,
    pub error: Error,
}

/// Reads the arguments, without the program's own name.
pub(crate) fn parse(arguments: Vec<OsString>) -> std::result::Result<Invocation, UsageError> {
    let mut texts = Vec::with_capacity(arguments.len());
    for argument in arguments {
        texts.push(argument.into_string().map_err(|argument| UsageError {
            command: called(&texts),
            error: Error::input(
                format!("an argument is not UTF-8: {}", argument.to_string_lossy()),
                "Give the payload as UTF-8; @path reads it from a file.",
            ),
        })?);
    }
    let words: Vec<&str> = texts.iter().map(String::as_str).collect();
    match words.first().copied() {
        None | Some("help" | "--help" | "-h") => {
            let about = words.get(1..).unwrap_or_default();
            let about = about.iter().take_while(|word| !word.starts_with('-'));
            let about: Vec<&str> = about.copied().collect();
            return match Command::find(&about) {
                None if !is_first_word(&about) => Err(unknown_command(&about)),
                found => Ok(Invocation::Help(found.map(|(command, _)| command))),
            };
        }
        Some("version" | "--version" | "-V") => return Ok(Invocation::Version),
        Some(_) => {}
    }
    let Some((command, taken)) = Command::find(&words) else {
        return Err(unknown_command(&words));
    };
    texts.drain(..taken);
    parse_flags(command, texts).map_err(|error| UsageError {
        command: command.name().to_owned(),
        error,
    })
}

/// Whether nothing is named, or the first word of commands of two.
fn is_first_word(words: &[&str]) -> bool {
    let mut names = Command::ALL.iter().map(|command| command.name());
    match words {
        [] => true,
        [word] => names.any(|name| name.split_once(' ').is_some_and(|it| it.0 == *word)),
        _ => false,
    }
}

/// The command that the words before one that cannot be read are about.
fn called(words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = Command::find(&words);
    found
        .map_or("help", |(command, _)| command.name())
        .to_owned()
}

fn parse_flags(command: Command, mut texts: Vec<String>) -> Result<Invocation> {
    // Without flags there is nothing to parse, and clap alone takes a tenth of a short command.
    if texts.len() < 2
        && texts
            .iter()
            .all(|text| text == "-" || !text.starts_with('-'))
    {
        let flags = Flags::default();
        return Ok(Invocation::Command {
            command,
            payload: texts.pop(),
            flags,
        });
    }
    let matches = match clap_command(command).try_get_matches_from(texts) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            return Ok(Invocation::Help(Some(command)));
        }
        Err(error) => return Err(usage(command, &error)),
    };
    let payload = matches.get_one::<String>("payload").cloned();
    Ok(Invocation::Command {
        command,
        payload,
        flags: flags_of(command, &matches),
    })
}

fn flags_of(command: Command, matches: &ArgMatches) -> Flags {
    let has = |flag: Flag| command.flags().contains(&flag) && matches.get_flag(flag.name());
    let output = match matches.get_one::<String>("output").map(String::as_str) {
        Some("inline") => ArtifactMode::Inline,
        Some("artifact") => ArtifactMode::Artifact,
        _ => ArtifactMode::Auto,
    };
    let concurrency = command
        .flags()
        .contains(&Flag::Concurrency)
        .then(|| matches.get_one::<usize>("concurrency"));
    Flags {
        output,
        wait: has(Flag::Wait),
        stream: has(Flag::Stream),
        follow: has(Flag::Follow),
        exit_code: has(Flag::ExitCode),
        concurrency: concurrency
            .flatten()
            .copied()
            .unwrap_or(Flags::DEFAULT_CONCURRENCY),
        timeout: matches.get_one::<Duration>("timeout").copied(),
    }
}

/// The clap description of one command.
pub(crate) fn clap_command(command: Command) -> clap::Command {
    let payload = Arg::new("payload")
        .value_name("PAYLOAD")
        .help("One JSON value: inline, @path (a file), or - (standard input)");
    command.flags().iter().fold(
        clap::Command::new(command.name())
            .no_binary_name(true)
            .about(command.purpose())
            .arg(payload),
        |built, flag| built.arg(clap_flag(*flag)),
    )
}

fn clap_flag(flag: Flag) -> Arg {
    let arg = Arg::new(flag.name()).long(flag.name()).help(flag.help());
    let arg = match flag.value_name() {
        Some(name) => arg.value_name(name),
        None => arg,
    };
    match flag {
        Flag::Wait | Flag::Stream | Flag::Follow | Flag::ExitCode => arg.action(ArgAction::SetTrue),
        Flag::Output => arg.value_parser(["auto", "inline", "artifact"]),
        Flag::Timeout => arg.allow_negative_numbers(true).value_parser(parse_timeout),
        Flag::Concurrency => arg
            .allow_negative_numbers(true)
            .value_parser(parse_concurrency),
    }
}

fn parse_timeout(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "it is not a number of seconds".to_owned())?;
    if seconds.is_nan() || seconds < 0.0 {
        return Err("it must be 0 or more seconds".to_owned());
    }
    // Longer than anyone waits is as good as for ever.
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn parse_concurrency(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("it must be a whole number from 1 up".to_owned()),
    }
}

/// clap's first paragraph says what is wrong; its usage lines are for terminals.
fn usage(command: Command, error: &clap::Error) -> Error {
    let text = error.to_string();
    let message: Vec<&str> = text
        .lines()
        .take_while(|line| !line.is_empty())
        .map(str::trim)
        .collect();
    let message = message.join(" ");
    let message = message
        .strip_prefix("error: ")
        .unwrap_or(&message)
        .to_owned();
    let allowed: Vec<String> = command
        .flags()
        .iter()
        .map(|flag| format!("--{}", flag.name()))
        .collect();
    Error::input(
        message,
        format!(
            "background-tasks {} [PAYLOAD] takes: {}.",
            command.name(),
            allowed.join(" ")
        ),
    )
    .with("allowed", allowed)
}

fn unknown_command(words: &[&str]) -> UsageError {
    let typed = words.first().copied().unwrap_or_default();
    let known: Vec<&str> = Command::ALL.iter().map(|command| command.name()).collect();
    // `schema` alone, `schema sow`: both words are meant.
    let typed = match words {
        [first, second, ..]
            if known
                .iter()
                .any(|name| name.split(' ').next() == Some(first) && name.contains(' ')) =>
        {
            format!("{first} {second}")
        }
        _ => typed.to_owned(),
    };
    let near = background_tasks_core::request::nearest(&typed, known.iter().copied());
    let message = match &near {
        Some(name) => format!("unknown command `{typed}`: did you mean `{name}`?"),
        None if typed.starts_with('-') => {
            format!("`{typed}` stands before the command: the command comes first")
        }
        None => format!("unknown command `{typed}`"),
    };
    let error = Error::input(
        message,
        "Run background-tasks help, or capabilities for programs.",
    )
    .with("nearest", near)
    .with("available", known);
    UsageError {
        command: typed,
        error,
    }
}

#[cfg(test)]
mod tests;
