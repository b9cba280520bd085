//! A program that has never seen this one: it knows the names of four commands and how discovery is
//! asked, and takes everything else from there.

use serde_json::{Map, Value};

use crate::harness::{Cli, text};
use crate::json_schema::faults;

/// What `capabilities` says of a command.
fn command<'a>(capabilities: &'a Value, name: &str) -> &'a Value {
    let commands = capabilities["commands"].as_array().expect("commands");
    let found = commands.iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

/// The payloads of a command's examples.
fn payloads(cli: &Cli, name: &str) -> Vec<Value> {
    let shown = cli.run("examples show").text(name).ok();
    let examples = shown["examples"].as_array().expect("examples");
    examples.iter().map(|it| it["payload"].clone()).collect()
}

/// The field that a bare word of this command stands for.
fn shorthand(capabilities: &Value, name: &str) -> String {
    text(&command(capabilities, name)["shorthand"])
}

#[test]
fn discovery_alone_is_enough_to_run_something_and_see_what_became_of_it() {
    let cli = Cli::new();
    let capabilities = cli.run("capabilities").ok();
    let terminal: Vec<&Value> = capabilities["statuses"]
        .as_array()
        .expect("statuses")
        .iter()
        .filter(|status| status["terminal"] == true)
        .map(|status| &status["name"])
        .collect();
    let key = shorthand(&capabilities, "wait");
    // An example that names its task, and nothing that another task would have to be there for.
    let schema = cli.run("schema show").text("start").ok()["schema"].take();
    let payload = payloads(&cli, "start")
        .into_iter()
        .find(|payload| payload.get(&key).is_some())
        .expect("an example with an id");
    assert_eq!(faults(&payload, &schema), [""; 0]);
    let started = cli.run("start").payload(payload.clone()).ok();
    assert!(!terminal.contains(&&started["task"]["status"]));
    let about = |command: &str| {
        let field = shorthand(&capabilities, command);
        let schema = cli.run("schema show").text(command).ok()["schema"].take();
        let payload = Value::from(Map::from_iter([(field, payload[&key].clone())]));
        assert_eq!(faults(&payload, &schema), [""; 0]);
        cli.run(command).payload(payload)
    };
    let patience = ["--timeout", "0.2"];
    let flags = command(&capabilities, "wait")["flags"].as_array();
    assert!(flags.expect("flags").contains(&patience[0].into()));
    // It goes on: the error says what can be done, and that is to ask again.
    let outcome = about("wait").flags(patience).output();
    let error: Value = serde_json::from_slice(&outcome.stderr).expect("an error");
    let kinds = capabilities["error_types"].as_array().expect("types");
    let kind = kinds
        .iter()
        .find(|kind| kind["name"] == error["error"]["type"]);
    assert_eq!(kind.expect("a known type")["retryable"], true);
    about("logs").ok();
    let stopped = about("stop").ok();
    assert!(terminal.contains(&&stopped["status"]));
    assert!(terminal.contains(&&about("wait").ok()["status"]));
}
