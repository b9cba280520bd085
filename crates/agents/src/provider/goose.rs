//! Goose.

use super::{Cli, Read};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Stdin, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};

/// The CLI.
pub(crate) struct Goose;

impl Cli for Goose {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader)
    }

    fn program(&self) -> Program {
        Program::Named("goose")
    }

    fn supports(&self) -> Supports {
        Supports {
            system_prompt: true,
            plan_enforced: false,
            edit: false,
            max_turns: true,
            ..Supports::LEAST
        }
    }

    fn invocation(&self, turn: &Turn<'_>) -> Invocation {
        let spec = turn.spec;
        let (provider, model) = spec.model.as_deref().map_or((None, None), whose);
        // Whoever names a provider themselves means the model as it stands.
        let is_given = spec
            .args
            .iter()
            .any(|word| word.split('=').next() == Some("--provider"));
        let (provider, model) = match is_given {
            true => (None, spec.model.as_deref()),
            false => (provider, model),
        };
        // A plain --resume takes the latest session of the whole machine.
        let resume: &[&str] = if turn.session.is_some() {
            &["--resume"]
        } else {
            &[]
        };
        let session = turn.session.unwrap_or(turn.conversation);
        let name = if is_own_id(session) {
            "--session-id"
        } else {
            "--name"
        };
        let args = Argv::new(&["run", "--output-format", "stream-json"])
            .words(resume)
            .option(name, Some(session))
            .option("--provider", provider)
            .option("--model", model)
            .option("--system", spec.system_prompt.as_deref())
            .option(
                "--max-turns",
                spec.max_turns.map(|it| it.to_string()).as_deref(),
            )
            .extra(turn)
            .words(&["-i", "-"]);
        // The other modes wait for an approval that nobody can give.
        let mut invocation = Invocation::new(self.program(), args, turn).env("GOOSE_MODE", "auto");
        if spec.mode == Mode::Plan {
            invocation.stdin = Stdin::Text(format!("/plan {}", turn.prompt));
        }
        invocation
    }

    fn done_patterns(&self) -> &'static [DonePattern] {
        const {
            &[
                DonePattern::done(line_of_type!("complete|error")),
                DonePattern::goes_on(line_of_type!("message")),
            ]
        }
    }

    fn login(&self) -> LoginTraces {
        LoginTraces {
            variables: &[
                "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY",
                "GOOGLE_API_KEY",
                "OPENROUTER_API_KEY",
            ],
            files: const {
                &[LoginFile::new(
                    Some("XDG_CONFIG_HOME"),
                    ".config",
                    "goose/config.yaml",
                )]
            },
            advice: "Run goose configure, or set GOOSE_PROVIDER, GOOSE_MODEL and the provider's key variable.",
        }
    }

    fn installer(&self) -> Option<Installer> {
        Some(Installer::script(
            "https://github.com/block/goose/releases/download/stable/download_cli.sh",
            "CONFIGURE=false",
        ))
    }

    fn instead(&self, missing: Missing) -> Option<&'static str> {
        match missing {
            Missing::Mode => Some(
                "goose cannot be kept from running commands: use mode full with \"allow_unsandboxed\": true, or plan, which it is only told to keep.",
            ),
            Missing::Mcp => Some("Leave mcp out, and add the extensions with goose configure."),
            Missing::Effort => Some("Leave effort out, or set it in goose's own configuration."),
            _ => None,
        }
    }

    fn resumes_by_name(&self) -> bool {
        true
    }
}

/// The provider and the name of a model. One that tells neither by its form is left to goose's own
/// configuration.
fn whose(model: &str) -> (Option<&str>, Option<&str>) {
    if let Some((provider, name)) = model.split_once('/')
        && PROVIDERS.contains(&provider)
    {
        return (Some(provider), Some(name));
    }
    let provider = match model {
        _ if model.contains('/') => None,
        _ if model.contains("claude") => Some("anthropic"),
        _ if model.starts_with("gpt-") => Some("openai"),
        _ if model.starts_with("gemini-") => Some("google"),
        _ => None,
    };
    (provider, Some(model))
}

/// What may stand before a model's name; others use `/` within names.
const PROVIDERS: [&str; 6] = [
    "anthropic",
    "openai",
    "google",
    "openrouter",
    "ollama",
    "databricks",
];

/// Its own ids are a date and a number: `20260523_1`.
fn is_own_id(session: &str) -> bool {
    session.split_once('_').is_some_and(|(date, number)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        date.len() == 8 && is_number(date) && is_number(number)
    })
}

struct Reader;

impl Read for Reader {
    fn line(&mut self, _line: &Line<'_>, _run: &mut Run) {}

    fn begins_run(&self, _line: &Line<'_>) -> bool {
        false
    }
}
