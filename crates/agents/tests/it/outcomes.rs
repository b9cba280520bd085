use background_tasks_agents::{AgentEvent, Parser};
use background_tasks_core::task::{FailReason, SignalNumber};
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
        "session_id": "s", "total_cost_usd": 0.5, "usage": {"output_tokens": 3}});
    going() + &log(&[result])
}

fn verdict(stdout: &str, stderr: &str, outcome: Outcome) -> Value {
    last(&run(Provider::Claude, stdout, stderr, outcome))
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
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
        let last = verdict(&ended(true), "it did not go well\n", outcome);
        assert_eq!(last["data"]["error"]["message"], "so it is", "{outcome:?}");
    }
}

#[test]
fn an_error_that_shows_no_kind_is_explained_by_what_stands_around_it() {
    let last = verdict(&ended(true), "429 too many requests\n", Outcome::Exited(1));
    let error = &last["data"]["error"];
    assert_eq!(error["message"], "so it is: 429 too many requests");
    assert_eq!(error["category"], "rate_limit");
}

#[test]
fn only_a_machine_or_a_supervisor_that_went_down_is_told_as_one() {
    let message = |outcome| text(&verdict(&going(), "", outcome)["data"]["message"]);
    let not_ready = message(Outcome::Failed(FailReason::NotReady));
    assert_eq!(
        not_ready,
        "claude was ended without a result, because of not_ready"
    );
    let unexecuted = message(Outcome::Failed(FailReason::SpawnFailed));
    assert_eq!(unexecuted, "claude could not be executed");
    let lost = message(Outcome::Lost);
    assert!(
        lost.ends_with("its machine or supervisor went down"),
        "{lost}"
    );
}

#[test]
fn a_tool_that_never_began_does_not_end() {
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "x"});
    let line =
        json!({"type": "user", "message": {"content": [result("a"), result("b"), result("t")]}});
    let mut parser = Parser::new(Provider::Claude);
    let lines = going() + &log(&[line, result("t"), result("c")]);
    let events: Vec<_> = lines
        .lines()
        .flat_map(|line| parser.line(line.as_bytes()))
        .collect();
    let ends: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::ToolEnd { tool_id, .. } => Some(tool_id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(ends, ["t"]);
    assert_eq!(parser.unparsed_lines(), 2);
}

#[test]
fn a_requested_stop_is_no_crash() {
    let last = verdict(&going(), "", Outcome::Stopped);
    assert_eq!(last["type"], "agent.end");
    assert_eq!(last["data"]["error"]["category"], "stopped");
    assert_eq!(last["data"]["error"]["retryable"], false);

    // Whatever it says when it is told to end.
    for is_error in [false, true] {
        let late = verdict(&ended(is_error), "", Outcome::Stopped);
        assert_eq!(late["data"]["error"]["category"], "stopped");
        assert_eq!(late["data"]["usage"]["output"], 3);
        assert_eq!(late["data"]["cost_usd"], 0.5);
        assert_eq!(late["data"].get("synthetic"), None);
    }
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

#[test]
fn what_may_have_been_said_in_lines_that_are_gone_is_not_missed() {
    let end = |outcome| {
        let mut parser = Parser::new(Provider::Claude);
        going()
            .lines()
            .for_each(|line| drop(parser.line(line.as_bytes())));
        parser.lines_are_gone();
        last(&parser.finish(outcome))
    };
    let exited = end(Outcome::Exited(0));
    assert_eq!(exited["data"].get("error"), None);
    assert_eq!(exited["data"]["synthetic"], true);
    assert_eq!(end(Outcome::Exited(3))["type"], "agent.crashed");
}
