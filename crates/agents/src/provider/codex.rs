//! Codex.

use super::{Cli, Read};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};

/// The CLI.
pub(crate) struct Codex;

impl Cli for Codex {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader)
    }

    fn program(&self) -> Program {
        Program::Named("codex")
    }

    fn supports(&self) -> Supports {
        Supports {
            system_prompt: true,
            effort: true,
            efforts: &["none", "minimal", "low", "medium", "high", "xhigh"],
            ..Supports::LEAST
        }
    }

    fn invocation(&self, turn: &Turn<'_>) -> Invocation {
        let spec = turn.spec;
        // A reviewer in the user's configuration could approve what the sandbox is to refuse.
        let permissions: &[&str] = match spec.mode {
            Mode::Plan => &["--sandbox", "read-only", "-c", "approval_policy=\"never\""],
            Mode::Edit => &[
                "--sandbox",
                "workspace-write",
                "-c",
                "approval_policy=\"never\"",
            ],
            Mode::Full => &["--yolo"],
        };
        let instructions = spec.system_prompt.as_deref().map(developer_instructions);
        let effort = spec.effort.as_deref();
        let effort = effort.map(|it| format!("model_reasoning_effort={}", toml_string(it)));
        // Options of `exec` stand before its subcommand `resume`.
        let args = Argv::new(&["exec", "--json", "--skip-git-repo-check"])
            .words(permissions)
            .option("--model", spec.model.as_deref())
            .option("-c", instructions.as_deref())
            .option("-c", effort.as_deref())
            .extra(turn)
            .pair("resume", turn.session)
            .words(&["-"]);
        Invocation::new(self.program(), args, turn)
    }

    fn done_patterns(&self) -> &'static [DonePattern] {
        const {
            &[
                DonePattern::done(line_of_type!(r"turn\.completed|turn\.failed")),
                DonePattern::goes_on(line_of_type!(
                    r"turn\.started|item\.(?:started|updated|completed)"
                )),
            ]
        }
    }

    fn login(&self) -> LoginTraces {
        LoginTraces {
            variables: &["CODEX_API_KEY", "CODEX_ACCESS_TOKEN"],
            files: const { &[LoginFile::new(Some("CODEX_HOME"), ".codex", "auth.json")] },
            advice: "Run codex login, or set CODEX_API_KEY; OPENAI_API_KEY alone does not do.",
        }
    }

    fn installer(&self) -> Option<Installer> {
        Some(Installer::npm("@openai/codex"))
    }

    fn full_options(&self) -> &'static [&'static str] {
        &[
            "--yolo",
            "--dangerously-bypass-approvals-and-sandbox",
            "--full-auto",
            "--sandbox",
            "-s",
            // Behind -c.
            "sandbox_mode",
            "approval_policy",
        ]
    }

    fn instead(&self, missing: Missing) -> Option<&'static str> {
        (missing == Missing::Mcp)
            .then_some("Leave mcp out, and set the servers up with codex mcp add.")
    }

    fn system_prompt_length(&self, text: &str) -> usize {
        developer_instructions(text).len()
    }
}

/// The setting that takes the place of a system prompt.
fn developer_instructions(text: &str) -> String {
    format!("developer_instructions={}", toml_string(text))
}

/// A basic string of TOML. Unlike in JSON, DEL is escaped too.
fn toml_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

struct Reader;

impl Read for Reader {
    fn line(&mut self, _line: &Line<'_>, _run: &mut Run) {}

    fn begins_run(&self, _line: &Line<'_>) -> bool {
        false
    }
}
