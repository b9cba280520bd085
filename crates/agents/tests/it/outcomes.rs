use background_tasks_agents::AgentEvent;
use background_tasks_core::task::SignalNumber;
use serde_json::{Value, json};

use super::{Outcome, Provider, last, log, run};

/// The lines of a run without its last.
fn going() -> String {
    log(&[
        json!({"type": "system", "subtype": "init", "session_id": "s"}),
        json!({"type": "assistant", "session_id": "s", "message": {"content": [
            {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "make"}}]}}),
    ])
}

fn ended(is_error: bool) -> String {
    let result = json!({"type": "result", "subtype": "success", "is_error": is_error, "result": "so it is",
        "session_id": "s"});
    going() + &log(&[result])
}

fn verdict(stdout: &str, stderr: &str, outcome: Outcome) -> Value {
    last(&run(Provider::Claude, stdout, stderr, outcome))
}

fn killed() -> Outcome {
    Outcome::Signalled(SignalNumber::KILL)
}

#[test]
fn a_success_needs_the_last_line_and_a_clean_exit() {
    for outcome in [
        Outcome::Exited(0),
        Outcome::Completed,
        Outcome::EndOfInput,
        Outcome::Lost,
    ] {
        let last = verdict(&ended(false), "", outcome);
        assert_eq!(last["data"].get("error"), None, "{outcome:?}");
        assert_eq!(last["data"].get("synthetic"), None);
    }
    for outcome in [Outcome::Exited(1), killed()] {
        let last = verdict(&ended(false), "", outcome);
        let message = last["data"]["error"]["message"].as_str().expect("an error");
        assert!(
            message.contains("after it had reported success"),
            "{message}"
        );
    }
}

#[test]
fn an_error_of_the_provider_is_the_error_whatever_its_exit() {
    for outcome in [
        Outcome::Exited(0),
        Outcome::Exited(1),
        killed(),
        Outcome::Completed,
        Outcome::EndOfInput,
    ] {
        let last = verdict(&ended(true), "429 too many requests\n", outcome);
        assert_eq!(last["data"]["error"]["message"], "so it is", "{outcome:?}");
    }
}

#[test]
fn a_requested_stop_is_no_crash() {
    let stopped = Outcome::Stopped { exit_code: None };
    let last = verdict(&going(), "", stopped);
    assert_eq!(last["type"], "agent.end");
    assert_eq!(last["data"]["error"]["category"], "stopped");
    assert_eq!(last["data"]["error"]["retryable"], false);

    let late = verdict(&ended(false), "", Outcome::Stopped { exit_code: Some(0) });
    assert_eq!(late["data"].get("error"), None, "it was done before");
    let failed = verdict(&ended(true), "", stopped);
    assert_eq!(failed["data"]["error"]["category"], "stopped");
}

#[test]
fn time_limits_are_limits() {
    for outcome in [Outcome::TimedOut { ms: 5 }, Outcome::Idle { ms: 5 }] {
        let last = verdict(&going(), "", outcome);
        assert_eq!(last["data"]["error"]["category"], "limit");
        assert_eq!(last["data"]["synthetic"], true);
    }
}

#[test]
fn a_limit_after_the_last_line_is_none_unless_it_went_on() {
    let timed_out = Outcome::TimedOut { ms: 5 };
    let done = verdict(&ended(false), "", timed_out);
    assert_eq!(done["data"].get("error"), None, "it was done, and lingered");
    let more = json!({"type": "assistant", "session_id": "s", "message": {"content": "more"}});
    let cut = verdict(&(ended(false) + &log(&[more])), "", timed_out);
    assert_eq!(cut["data"]["error"]["category"], "limit");
}

#[test]
fn an_exit_without_a_result_is_an_error() {
    for outcome in [Outcome::Exited(0), Outcome::EndOfInput, Outcome::Completed] {
        let last = verdict(&going(), "", outcome);
        assert_eq!(last["type"], "agent.end");
        assert_eq!(
            last["data"]["error"]["message"],
            "claude ended without a result"
        );
        assert_eq!(last["data"]["synthetic"], true);
    }
    let last = verdict(
        &going(),
        "connect ECONNREFUSED 127.0.0.1:443\n",
        Outcome::Exited(0),
    );
    assert_eq!(last["data"]["error"]["category"], "network");
    assert_eq!(last["data"]["error"]["retryable"], true);
}

#[test]
fn what_nobody_can_explain_is_a_crash() {
    let stderr = "thread main panicked at src/auth.rs:401:12\n    at authenticate (x.js:403:1)\nWARN 429 once\n";
    let last = verdict(&going(), stderr, killed());
    assert_eq!(
        last,
        json!({"type": "agent.crashed", "data": {"run": 1, "exit_code": null, "signal": "SIGKILL",
        "message": "claude was ended by SIGKILL without a result", "output": stderr}})
    );
    assert_eq!(
        verdict(&going(), "", Outcome::Exited(3))["data"]["exit_code"],
        3
    );
    assert_eq!(verdict("", "", Outcome::Lost)["type"], "agent.crashed");
}

#[test]
fn a_reason_that_was_got_over_explains_no_crash() {
    let log = "fetch failed, trying again\n".to_owned() + &going();
    assert_eq!(verdict(&log, "", killed())["type"], "agent.crashed");
}

#[test]
fn open_tools_are_closed_before_the_end() {
    let events = run(Provider::Claude, &going(), "", killed());
    let [
        ..,
        AgentEvent::ToolEnd {
            tool_id,
            synthetic: true,
            ..
        },
        AgentEvent::Crashed { .. },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(tool_id, "t");
}

#[test]
fn a_crash_shows_the_end_of_what_was_printed() {
    let noise: String = (0..20_000)
        .map(|number| format!("line {number} é\n"))
        .collect();
    let last = verdict(&noise, "", killed());
    let output = last["data"]["output"].as_str().expect("text");
    assert!((4000..=4096).contains(&output.len()), "{}", output.len());
    assert!(noise.ends_with(output));
}
