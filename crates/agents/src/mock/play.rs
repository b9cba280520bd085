//! A script as lines in the shape of claude's.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::script::{self, Directive};

/// What the mock does beside printing its lines.
pub(super) trait Stage {
    fn sleep(&mut self, time: Duration);
    fn stderr(&mut self, line: &str) -> io::Result<()>;
    fn write_file(&mut self, path: &str, text: &str) -> io::Result<()>;
    fn ignore_term(&mut self) -> io::Result<()>;
    fn leave_a_process(&mut self) -> io::Result<()>;
    fn workdir(&self) -> String;
}

/// How the mock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Exit(i32),
    Crash,
    Hang,
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) session_id: String,
    pub(super) model: String,
}

/// Follows the prompt. What was written before it ends has been handed on.
pub(super) fn play(
    prompt: &str,
    identity: &Identity,
    stage: &mut dyn Stage,
    output: &mut dyn Write,
) -> io::Result<Ending> {
    let words = prompt.split_whitespace().count();
    let mut play = Play {
        identity,
        stage,
        output,
        ids: 0,
        said: String::new(),
        words: 0,
        result: true,
    };
    play.begin()?;
    for directive in script::parse(prompt) {
        if let Some(ending) = play.perform(directive, words)? {
            play.output.flush()?;
            return Ok(ending);
        }
    }
    if play.result {
        let said = std::mem::take(&mut play.said);
        play.end(&said, false, words)?;
    }
    play.output.flush()?;
    Ok(Ending::Exit(0))
}

struct Play<'a> {
    identity: &'a Identity,
    stage: &'a mut dyn Stage,
    output: &'a mut dyn Write,
    /// Messages and tools are numbered in one row.
    ids: u32,
    /// The last text: what the result repeats.
    said: String,
    /// How many words were said: its tokens.
    words: usize,
    /// Whether there is to be a result.
    result: bool,
}

impl Play<'_> {
    /// Does one thing; the ending, if that was the last.
    fn perform(&mut self, directive: Directive, prompt_words: usize) -> io::Result<Option<Ending>> {
        match directive {
            Directive::Say(text) => {
                let line = self.text(text);
                self.line(&line)?;
            }
            Directive::Partial(text) => {
                let line = self.text(text);
                self.in_two_pieces(&line)?;
            }
            Directive::Tool { name, input } => self.tool(&name, &input, "ok", false)?,
            Directive::Write { path, text } => self.write(&path, &text)?,
            Directive::Sleep(millis) => {
                self.output.flush()?;
                self.stage.sleep(Duration::from_millis(millis));
            }
            Directive::Noise(text) => self.raw(&text)?,
            Directive::Stderr(text) => self.stage.stderr(&text)?,
            Directive::IgnoreTerm => self.stage.ignore_term()?,
            Directive::NoResult => self.result = false,
            Directive::Fork => {
                self.output.flush()?;
                self.stage.leave_a_process()?;
            }
            Directive::Error(message) => {
                self.end(&message, true, prompt_words)?;
                return Ok(Some(Ending::Exit(1)));
            }
            Directive::Exit(code) => return Ok(Some(Ending::Exit(code))),
            Directive::Crash => return Ok(Some(Ending::Crash)),
            Directive::Hang => return Ok(Some(Ending::Hang)),
        }
        Ok(None)
    }

    fn begin(&mut self) -> io::Result<()> {
        let Identity { session_id, model } = self.identity;
        self.line(&json!({
            "type": "system", "subtype": "init", "cwd": self.stage.workdir(),
            "session_id": session_id, "tools": ["Read", "Write", "Edit", "Bash"],
            "model": model, "permissionMode": "bypassPermissions",
        }))
    }

    fn end(&mut self, result: &str, is_error: bool, prompt_words: usize) -> io::Result<()> {
        let words = self.words;
        self.line(&json!({
            "type": "result", "subtype": "success", "is_error": is_error, "num_turns": 1,
            "result": result, "session_id": self.identity.session_id,
            "usage": { "input_tokens": prompt_words, "output_tokens": words },
        }))
    }

    fn text(&mut self, text: String) -> Value {
        self.words += text.split_whitespace().count();
        let line = self.message(&json!({ "type": "text", "text": text }));
        self.said = text;
        line
    }

    fn message(&mut self, block: &Value) -> Value {
        self.ids += 1;
        json!({
            "type": "assistant",
            "message": {
                "id": format!("msg_{}", self.ids), "type": "message", "role": "assistant",
                "model": self.identity.model, "content": [block],
            },
            "parent_tool_use_id": null, "session_id": self.identity.session_id,
        })
    }

    fn tool(
        &mut self,
        name: &str,
        input: &Map<String, Value>,
        output: &str,
        failed: bool,
    ) -> io::Result<()> {
        let id = format!("toolu_{}", self.ids + 1);
        let call =
            self.message(&json!({ "type": "tool_use", "id": id, "name": name, "input": input }));
        self.line(&call)?;
        self.line(&json!({
            "type": "user",
            "message": { "role": "user", "content": [{
                "type": "tool_result", "tool_use_id": id, "content": output, "is_error": failed,
            }] },
            "parent_tool_use_id": null, "session_id": self.identity.session_id,
        }))
    }

    fn write(&mut self, path: &str, text: &str) -> io::Result<()> {
        let mut input = Map::new();
        input.insert("file_path".to_owned(), path.into());
        input.insert("content".to_owned(), text.into());
        match self.stage.write_file(path, text) {
            Ok(()) => self.tool("Write", &input, &format!("File written: {path}"), false),
            Err(error) => self.tool("Write", &input, &format!("Error: {error}"), true),
        }
    }

    /// One write per line, as far as the system allows: so it is seen as soon as it is said.
    fn raw(&mut self, line: &str) -> io::Result<()> {
        self.output.write_all(format!("{line}\n").as_bytes())?;
        self.output.flush()
    }

    fn line(&mut self, line: &Value) -> io::Result<()> {
        self.raw(&line.to_string())
    }

    fn in_two_pieces(&mut self, line: &Value) -> io::Result<()> {
        let line = format!("{line}\n");
        let (first, second) = line.as_bytes().split_at(line.len() / 2);
        self.output.write_all(first)?;
        self.output.flush()?;
        self.output.write_all(second)?;
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Pretend(Vec<String>);

    impl Stage for Pretend {
        fn sleep(&mut self, time: Duration) {
            self.0.push(format!("sleep {}", time.as_millis()));
        }
        fn stderr(&mut self, line: &str) -> io::Result<()> {
            self.0.push(format!("stderr {line}"));
            Ok(())
        }
        fn write_file(&mut self, path: &str, text: &str) -> io::Result<()> {
            self.0.push(format!("write {path} {text}"));
            match path {
                "/no" => Err(io::ErrorKind::PermissionDenied.into()),
                _ => Ok(()),
            }
        }
        fn ignore_term(&mut self) -> io::Result<()> {
            self.0.push("ignore-term".to_owned());
            Ok(())
        }
        fn leave_a_process(&mut self) -> io::Result<()> {
            self.0.push("fork".to_owned());
            Ok(())
        }
        fn workdir(&self) -> String {
            "/w".to_owned()
        }
    }

    /// Remembers what came in which write.
    #[derive(Default)]
    struct Pieces(Vec<Vec<u8>>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Played {
        lines: Vec<Value>,
        other: Vec<String>,
        deeds: Vec<String>,
        writes: usize,
        ending: Ending,
    }

    fn played(prompt: &str) -> Played {
        let identity = Identity {
            session_id: "s1".to_owned(),
            model: "mock".to_owned(),
        };
        let (mut stage, mut pieces) = (Pretend::default(), Pieces::default());
        let ending = play(prompt, &identity, &mut stage, &mut pieces).unwrap();
        let text = String::from_utf8(pieces.0.concat()).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        let (json, other): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.starts_with("{\""));
        Played {
            lines: json
                .iter()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            other: other.into_iter().map(str::to_owned).collect(),
            deeds: stage.0,
            writes: pieces.0.len(),
            ending,
        }
    }

    fn kinds(lines: &[Value]) -> Vec<&str> {
        lines
            .iter()
            .map(|line| line["type"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn text_is_said_between_the_first_line_and_the_result() {
        let run = played("Hello there,\nmock.\nsay Bye.");
        assert_eq!(
            kinds(&run.lines),
            ["system", "assistant", "assistant", "result"]
        );
        assert_eq!(run.lines[0]["subtype"], "init");
        assert!(run.lines.iter().all(|line| line["session_id"] == "s1"));
        let text = |line: &Value| line["message"]["content"][0]["text"].clone();
        assert_eq!(text(&run.lines[1]), "Hello there,\nmock.");
        assert_eq!(text(&run.lines[2]), "Bye.");
        assert_eq!(run.lines[3]["result"], "Bye.");
        assert_eq!(run.lines[3]["is_error"], false);
        assert_eq!(
            run.lines[3]["usage"],
            json!({ "input_tokens": 5, "output_tokens": 4 })
        );
        assert_eq!(run.writes, 4);
        assert_eq!(run.ending, Ending::Exit(0));
    }

    #[test]
    fn tools_are_called_and_answer() {
        let run = played("tool Bash {\"command\": \"ls\"}\nwrite a.txt two words\nwrite /no x");
        assert_eq!(
            kinds(&run.lines),
            [
                "system",
                "assistant",
                "user",
                "assistant",
                "user",
                "assistant",
                "user",
                "result"
            ]
        );
        let call = |at: usize| run.lines[at]["message"]["content"][0].clone();
        assert_eq!(call(1)["name"], "Bash");
        assert_eq!(call(1)["input"], json!({ "command": "ls" }));
        assert_eq!(
            call(3)["input"],
            json!({ "file_path": "a.txt", "content": "two words" })
        );
        for at in [1, 3, 5] {
            assert_eq!(call(at)["id"], call(at + 1)["tool_use_id"]);
        }
        assert_ne!(call(1)["id"], call(3)["id"]);
        assert_eq!(
            [2, 4, 6].map(|at| call(at)["is_error"].clone()),
            [false, false, true]
        );
        assert_eq!(run.deeds, ["write a.txt two words", "write /no x"]);
    }

    #[test]
    fn a_partial_line_is_one_line_in_two_writes() {
        let run = played("partial in halves");
        assert_eq!(kinds(&run.lines), ["system", "assistant", "result"]);
        assert_eq!(run.writes, 4);
        assert_eq!(run.lines[2]["result"], "in halves");
    }

    #[test]
    fn noise_is_no_json_and_the_rest_is_done_in_its_order() {
        let run = played("noise [WARN] hm\nstderr oh\nsleep 7\nignore-term\nfork\nno-result");
        assert_eq!(run.other, ["[WARN] hm"]);
        assert_eq!(run.deeds, ["stderr oh", "sleep 7", "ignore-term", "fork"]);
        assert_eq!(kinds(&run.lines), ["system"]);
        assert_eq!(run.ending, Ending::Exit(0));
    }

    #[test]
    fn an_error_is_a_result_and_the_end() {
        let run = played("say a\nerror rate limit\nsay b");
        assert_eq!(kinds(&run.lines), ["system", "assistant", "result"]);
        assert_eq!(run.lines[2]["is_error"], true);
        assert_eq!(run.lines[2]["result"], "rate limit");
        assert_eq!(run.ending, Ending::Exit(1));
    }

    #[test]
    fn the_other_ends_come_at_once_and_without_a_result() {
        let ends = [
            ("exit 7", Ending::Exit(7)),
            ("crash", Ending::Crash),
            ("hang", Ending::Hang),
        ];
        for (line, ending) in ends {
            let run = played(&format!("say a\n{line}\nsay b"));
            assert_eq!(kinds(&run.lines), ["system", "assistant"], "{line}");
            assert_eq!(run.ending, ending, "{line}");
        }
    }

    #[test]
    fn an_empty_prompt_gets_an_empty_answer() {
        let run = played("");
        assert_eq!(kinds(&run.lines), ["system", "result"]);
        assert_eq!(run.lines[1]["result"], "");
    }

    #[test]
    fn two_plays_of_one_prompt_are_the_same() {
        let prompt = "say a\ntool LS\npartial b";
        assert_eq!(played(prompt).lines, played(prompt).lines);
    }
}
