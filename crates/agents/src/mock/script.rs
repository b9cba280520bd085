//! The language of the mock's prompts: a directive per line, and whatever is none is said back.

use serde_json::{Map, Value};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Directive {
    /// Say a block of text.
    Say(String),
    /// The same, as a line that is written in two pieces.
    Partial(String),
    /// Call a tool, which succeeds.
    Tool {
        name: String,
        input: Map<String, Value>,
    },
    /// Write a file by the tool for it.
    Write { path: String, text: String },
    /// Do nothing for so many milliseconds.
    Sleep(u64),
    /// Print a line that is no JSON.
    Noise(String),
    /// Print a line on standard error.
    Stderr(String),
    /// Fail with this message, and end.
    Error(String),
    /// Exit with this code, without a result.
    Exit(i32),
    /// End by a signal that cannot be caught.
    Crash,
    /// Go on for ever.
    Hang,
    /// From now on, do not end when asked to.
    IgnoreTerm,
    /// Print no result at the end.
    NoResult,
    /// Leave a process behind.
    Fork,
}

/// Reads a prompt. Lines that are no directive, or only look like one, are text; those that stand
/// together are said together.
pub(super) fn parse(prompt: &str) -> Vec<Directive> {
    let mut directives = Vec::new();
    let mut text: Vec<&str> = Vec::new();
    for line in prompt.lines() {
        match directive(line) {
            None => text.push(line),
            Some(directive) => {
                say_back(&mut text, &mut directives);
                directives.push(directive);
            }
        }
    }
    say_back(&mut text, &mut directives);
    directives
}

fn say_back(text: &mut Vec<&str>, directives: &mut Vec<Directive>) {
    let block = text.join("\n");
    text.clear();
    let block = block.trim_matches('\n');
    if !block.trim().is_empty() {
        directives.push(Directive::Say(block.to_owned()));
    }
}

fn directive(line: &str) -> Option<Directive> {
    let line = line.trim_end();
    Some(match line {
        "crash" => Directive::Crash,
        "hang" => Directive::Hang,
        "ignore-term" => Directive::IgnoreTerm,
        "no-result" => Directive::NoResult,
        "fork" => Directive::Fork,
        _ => {
            let (word, rest) = line.split_once(' ')?;
            let rest = rest.trim_start();
            let text = || rest.to_owned();
            match word {
                "say" => Directive::Say(text()),
                "partial" => Directive::Partial(text()),
                "noise" => Directive::Noise(text()),
                "stderr" => Directive::Stderr(text()),
                "error" => Directive::Error(text()),
                "sleep" => Directive::Sleep(rest.parse().ok()?),
                "exit" => Directive::Exit(i32::from(rest.parse::<u8>().ok()?)),
                "tool" => tool(rest)?,
                "write" => write(rest)?,
                _ => return None,
            }
        }
    })
}

fn tool(rest: &str) -> Option<Directive> {
    let (name, input) = rest.split_once(' ').unwrap_or((rest, "{}"));
    let input = serde_json::from_str(input).ok()?;
    Some(Directive::Tool {
        name: name.to_owned(),
        input,
    })
}

fn write(rest: &str) -> Option<Directive> {
    let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Directive::Write {
        path: path.to_owned(),
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str) -> Directive {
        Directive::Say(text.to_owned())
    }

    #[test]
    fn every_directive_is_read() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let cases = [
            ("say  two words ", say("two words")),
            ("partial a b", Directive::Partial("a b".to_owned())),
            ("noise [WARN] x", Directive::Noise("[WARN] x".to_owned())),
            ("stderr oh", Directive::Stderr("oh".to_owned())),
            (
                "error 402 payment required",
                Directive::Error("402 payment required".to_owned()),
            ),
            ("sleep 20", Directive::Sleep(20)),
            ("exit 3", Directive::Exit(3)),
            ("crash", Directive::Crash),
            ("hang", Directive::Hang),
            ("ignore-term", Directive::IgnoreTerm),
            ("no-result", Directive::NoResult),
            ("fork", Directive::Fork),
            (
                r#"tool Bash {"command": "ls -l"}"#,
                Directive::Tool {
                    name: "Bash".to_owned(),
                    input: object(serde_json::json!({ "command": "ls -l" })),
                },
            ),
            (
                "tool LS",
                Directive::Tool {
                    name: "LS".to_owned(),
                    input: Map::new(),
                },
            ),
            (
                "write a.txt some words",
                Directive::Write {
                    path: "a.txt".to_owned(),
                    text: "some words".to_owned(),
                },
            ),
            (
                "write a.txt",
                Directive::Write {
                    path: "a.txt".to_owned(),
                    text: String::new(),
                },
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), [expected], "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_directive_is_said() {
        let lines = [
            "exit the building",
            "exit 256",
            "crash the party",
            "sleep well",
            "fork it",
            "say",
            "saying hello",
            "tool Bash {broken",
            "tool Bash [1]",
            " say x",
        ];
        for line in lines {
            assert_eq!(parse(line), [say(line)], "{line}");
        }
    }

    #[test]
    fn text_that_stands_together_is_said_together() {
        let script = parse("\nHello,\n\nworld.\n\nsay x\n\n  \nThe end\n");
        assert_eq!(
            script,
            [say("Hello,\n\nworld."), say("x"), say("  \nThe end")]
        );
        assert_eq!(parse(""), []);
        assert_eq!(parse(" \n\n"), []);
    }
}
