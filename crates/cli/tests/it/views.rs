//! What is shown of coloured and redrawn output: what a terminal would show, or what was written.

use serde_json::{Value, json};

use crate::harness::{Cli, lines, script, text};

/// A build with colours, a progress bar, a title, a link and `\r\n`.
const BUILD: &str = r"printf '\033]0;building\007\033[1;32m   Compiling\033[0m a v1\n'
printf '10%%\r 50%%\r100%%\n'
printf 'fetching...\033[2K\rdone\r\n'
printf '\033]8;;http://x\033\\link\033]8;;\033\\\n'
printf 'a\bb\tc\n'
printf '\033[?25lwaiting\033[?25h'";

const CLEAN: [&str; 6] = [
    "   Compiling a v1",
    "100%",
    "done",
    "link",
    "b\tc",
    "waiting",
];

const RAW: [&str; 6] = [
    "\x1b]0;building\x07\x1b[1;32m   Compiling\x1b[0m a v1",
    "10%\r 50%\r100%",
    "fetching...\x1b[2K\rdone\r",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "a\x08b\tc",
    "\x1b[?25lwaiting\x1b[?25h",
];

fn shown(answer: &Value) -> Vec<String> {
    answer["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect()
}

#[test]
fn every_reader_shows_either_view() {
    let cli = Cli::new();
    cli.start_and_wait(script("a", BUILD));
    for (request, expected) in [
        (json!({ "id": "a" }), CLEAN),
        (json!({ "id": "a", "view": "clean" }), CLEAN),
        (json!({ "id": "a", "view": "raw" }), RAW),
    ] {
        assert_eq!(
            shown(&cli.run("logs").payload(request.clone()).ok()),
            expected
        );
        for flag in ["--stream", "--follow"] {
            let call = |command| cli.run(command).payload(request.clone()).flags([flag]);
            assert_eq!(lines(&call("logs").frames()), expected, "{flag}");
            assert_eq!(lines(&call("events").frames()), expected, "{flag}");
        }
        let answer = cli.run("events").payload(request).ok();
        assert_eq!(lines(answer["frames"].as_array().unwrap()), expected);
    }
    // The file holds what was written.
    assert_eq!(cli.log("a"), RAW.join("\n"));
    // What comes with other answers is meant to be read.
    assert_eq!(shown(&cli.run("wait").text("a").ok()["logs"]), CLEAN);
}

#[test]
fn a_limit_is_one_of_what_is_shown() {
    let cli = Cli::new();
    cli.start_and_wait(script(
        "a",
        r"i=0; while [ $i -lt 500 ]; do i=$((i+1)); printf '\033[32m%03d\r' $i; done; echo ok",
    ));
    let limited = |view: &str| {
        let request = json!({ "id": "a", "view": view, "max_line_bytes": 3 });
        cli.run("logs").payload(request).ok()
    };
    let clean = limited("clean");
    assert_eq!(
        (&clean["lines"], &clean["clipped_lines"]),
        (&json!(["ok"]), &json!(0))
    );
    let raw = limited("raw");
    assert_eq!(raw["clipped_lines"], 1);
    assert!(text(&raw["lines"][0]).starts_with("\x1b[3…"), "{raw}");
}
