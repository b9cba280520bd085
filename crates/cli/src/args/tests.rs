//! What is understood, and how what is not is told.

use super::*;

#[test]
fn every_description_is_sound() {
    for command in Command::ALL {
        clap_command(command).debug_assert();
    }
}

fn parsed(words: &[&str]) -> std::result::Result<Invocation, UsageError> {
    parse(words.iter().map(OsString::from).collect())
}

#[test]
fn flags_stand_before_or_behind_the_payload() {
    for words in [
        ["wait", "a", "--timeout", "0.5"],
        ["wait", "--timeout", "0.5", "a"],
    ] {
        let Ok(Invocation::Command {
            command,
            payload,
            flags,
        }) = parsed(&words)
        else {
            panic!("{words:?}");
        };
        assert_eq!(command, Command::Wait);
        assert_eq!(payload.as_deref(), Some("a"));
        assert_eq!(flags.timeout, Some(Duration::from_millis(500)));
    }
}

#[test]
fn wrong_flags_are_told_with_the_right_ones() {
    for words in [
        &["start", "{}", "--concurrency", "0"][..],
        &["start", "{}", "--timeout", "-1"],
        &["start", "{}", "--timeout", "NaN"],
        &["start", "{}", "--nosuch"],
        &["list", "{}", "--follow"],
        &["start", "{}", "{}"],
    ] {
        let error = parsed(words).err().unwrap().error;
        assert!(
            error.details().contains_key("allowed"),
            "{words:?}: {error}"
        );
    }
}

#[test]
fn unknown_commands_are_told_the_nearest() {
    for (typed, near) in [
        ("strat", "start"),
        ("lst", "list"),
        ("schema", "schema list"),
    ] {
        let error = parsed(&[typed]).err().unwrap().error;
        if typed != "schema" {
            assert_eq!(error.details()["nearest"], near);
        }
    }
    assert!(parsed(&["--timeout", "5", "status"]).is_err());
}
