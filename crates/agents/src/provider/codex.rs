//! Codex: `codex exec --json`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Cli, Read};
use crate::event::{AgentError, Usage};
use crate::install::Installer;
use crate::invocation::{Argv, DonePattern, Invocation, Program, Turn, line_of_type};
use crate::line::Line;
use crate::login::{LoginFile, LoginTraces};
use crate::object::Object;
use crate::reason::reason;
use crate::request::Mode;
use crate::run::Run;
use crate::supports::{Missing, Supports};
use crate::tool::{Names, Tool, output_text};

/// The CLI.
pub(crate) struct Codex;

impl Cli for Codex {
    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader::default())
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

/// Tools of MCP servers that stand in for common ones.
const TOOLS: Names = &[
    ("read_file", "read"),
    ("write_file", "write"),
    ("apply_patch", "edit"),
    ("patch", "edit"),
    ("glob_file_search", "glob"),
    ("grep_search", "grep"),
    ("bash", "shell"),
    ("run_command", "shell"),
];

#[derive(Default)]
struct Reader {
    /// Tools that are done: an item may be told of again.
    done: BTreeSet<String>,
}

/// How far an item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Going,
    Completed,
}

impl Read for Reader {
    fn line(&mut self, kind: &str, line: &Object<'_>, run: &mut Run) {
        match kind {
            "thread.started" => run.session(&line.text_or_empty("thread_id")),
            "turn.started" => run.goes_on(),
            "item.started" | "item.updated" => self.item(&line.object("item"), Stage::Going, run),
            "item.completed" => self.item(&line.object("item"), Stage::Completed, run),
            "turn.completed" => {
                let used = line.object("usage");
                run.set_session_usage(Usage {
                    input: used.count("input_tokens"),
                    output: used.count("output_tokens"),
                    cache_read: used.count("cached_input_tokens"),
                    cache_write: None,
                    reasoning: used.count("reasoning_output_tokens"),
                });
                run.ended(None);
            }
            "turn.failed" => run.ended(Some(AgentError::from_value(&line.to_value()))),
            // Also told of connections that are tried again; what it comes to is told by the turn.
            "error" => run.remember(AgentError::from_value(&line.to_value())),
            "item.message.delta" => run.text_delta(&line.text_or_empty("text")),
            "item.plan.delta" | "request_user_input" => {}
            _ => run.unknown(),
        }
    }

    fn begins_run(&self, line: &Line<'_>) -> bool {
        matches!(line, Line::Json("thread.started", _))
    }
}

impl Reader {
    fn item(&mut self, item: &Object<'_>, stage: Stage, run: &mut Run) {
        let is_failed = ["failed", "declined"].contains(&&*item.text_or_empty("status"));
        let is_completed = stage == Stage::Completed;
        match &*item.text_or_empty("type") {
            "agent_message" if is_completed => run.text(&item.text_or_empty("text")),
            "reasoning" if is_completed => run.thinking(&item.text_or_empty("text")),
            "command_execution" => {
                let input = json!({ "command": item.value("command") });
                let tool = Tool::named("shell".into(), "command_execution", input);
                let code = item.value("exit_code");
                let is_error = is_failed || code.as_i64().is_some_and(|code| code != 0);
                self.tool(item, stage, tool, run, || {
                    (
                        item.text_or_empty("aggregated_output").into_owned(),
                        is_error,
                    )
                });
            }
            "file_change" => self.file_changes(item, stage, is_failed, run),
            "mcp_tool_call" => {
                let tool = Tool::new(&item.text_or_empty("tool"), item.value("arguments"), TOOLS);
                self.tool(item, stage, tool, run, || mcp_answer(item, is_failed));
            }
            kind @ ("web_search" | "todo_list" | "collab_tool_call") => {
                let mut input = item.to_value();
                if let Some(input) = input.as_object_mut() {
                    input.retain(|name, _| !["id", "type", "status"].contains(&name.as_str()));
                }
                let tool = Tool::named(kind.into(), kind, input);
                self.tool(item, stage, tool, run, || (String::new(), is_failed));
            }
            // `error` items are warnings: of the configuration, of a model that stands in.
            _ => {}
        }
    }

    /// One call for each file, since each is a change of its own.
    fn file_changes(&mut self, item: &Object<'_>, stage: Stage, is_failed: bool, run: &mut Run) {
        let item_id = item.text_or_empty("id");
        for change in item.objects("changes") {
            let (path, kind) = (change.text_or_empty("path"), change.text_or_empty("kind"));
            let input = json!({ "file_path": path, "path": path, "content": null, "kind": kind });
            let tool = Tool::named("write".into(), "file_change", input);
            let answer = || (format!("{kind} {path}"), is_failed);
            self.call(&format!("{item_id}:{path}"), stage, tool, run, answer);
        }
    }

    fn tool(
        &mut self,
        item: &Object<'_>,
        stage: Stage,
        tool: Tool,
        run: &mut Run,
        answer: impl FnOnce() -> (String, bool),
    ) {
        self.call(&item.text_or_empty("id"), stage, tool, run, answer);
    }

    fn call(
        &mut self,
        id: &str,
        stage: Stage,
        tool: Tool,
        run: &mut Run,
        answer: impl FnOnce() -> (String, bool),
    ) {
        if self.done.contains(id) {
            return;
        }
        run.tool_start(id, tool, None);
        if stage == Stage::Completed {
            let (output, is_error) = answer();
            run.tool_end(id, output, is_error);
            self.done.insert(id.to_owned());
        }
    }
}

fn mcp_answer(item: &Object<'_>, is_failed: bool) -> (String, bool) {
    if let Value::Object(error) = item.value("error") {
        return (reason(&Value::Object(error)), true);
    }
    let mut result = item.value("result");
    let content = result.get_mut("content").map(Value::take);
    (output_text(content.unwrap_or(result)), is_failed)
}
