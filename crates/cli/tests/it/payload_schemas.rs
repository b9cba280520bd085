//! What schemas say of the fields of payloads, held against what decodes them: a caller who keeps
//! to the schema is understood, and one who does not is refused.

use std::fs;
use std::path::Path;

use background_tasks_agents::{AgentStart, Prompt, Provider, SendPrompt, check_prompt};
use background_tasks_core::request::{self, Request};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::harness::{Cli, with, work};

/// A field of a payload: where it stands, and its schema.
struct Field {
    path: Vec<String>,
    schema: Value,
    required: bool,
}

impl Field {
    fn description(&self) -> String {
        let text = self.schema["description"].as_str().unwrap_or("");
        text.replace('\n', " ")
    }

    fn is(&self, kind: &str) -> bool {
        self.forms().iter().any(|form| match &form["type"] {
            Value::Array(kinds) => kinds.contains(&json!(kind)),
            one => *one == kind,
        })
    }

    /// Its schema, and those of the forms that its value may have.
    fn forms(&self) -> Vec<&Value> {
        fn add<'a>(schema: &'a Value, all: &mut Vec<&'a Value>) {
            all.push(schema);
            let several = ["anyOf", "oneOf"]
                .into_iter()
                .filter_map(|name| schema[name].as_array());
            several.flatten().for_each(|form| add(form, all));
        }
        let mut all = Vec::new();
        add(&self.schema, &mut all);
        all
    }

    /// Whether its type says all that there is to say: a switch, a word of several, an object whose
    /// fields speak for themselves.
    fn speaks_for_itself(&self) -> bool {
        self.is("boolean")
            || self
                .forms()
                .iter()
                .any(|it| it["enum"].is_array() || !it["const"].is_null() || is_object(it))
            || (self.is("array") && is_object(&self.schema["items"]))
    }
}

fn is_object(schema: &Value) -> bool {
    schema["properties"].is_object()
}

/// Puts what a reference names into its place; what stands beside it wins.
fn resolved(schema: &Value, root: &Value) -> Value {
    match schema {
        Value::Object(rules) => {
            let mut all = Map::new();
            if let Some(reference) = rules.get("$ref").and_then(Value::as_str) {
                let target = root.pointer(&reference[1..]).expect("it leads somewhere");
                let target = resolved(target, root);
                all.extend(target.as_object().cloned().expect("a schema is an object"));
            }
            let own = rules.iter().filter(|(rule, _)| *rule != "$ref");
            all.extend(own.map(|(rule, value)| (rule.clone(), resolved(value, root))));
            Value::Object(all)
        }
        Value::Array(all) => all.iter().map(|schema| resolved(schema, root)).collect(),
        simple => simple.clone(),
    }
}

fn collect(schema: &Value, path: &[String], fields: &mut Vec<Field>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = [path, std::slice::from_ref(name)].concat();
        let required = schema["required"]
            .as_array()
            .is_some_and(|names| names.contains(&json!(name)));
        collect(inner, &path, fields);
        fields.push(Field {
            path,
            schema: inner.clone(),
            required,
        });
    }
    for form in ["anyOf", "oneOf"]
        .into_iter()
        .filter_map(|name| schema[name].as_array())
        .flatten()
    {
        collect(form, path, fields);
    }
    if !schema["items"].is_null() {
        collect(
            &schema["items"],
            &[path, &["0".to_owned()]].concat(),
            fields,
        );
    }
}

/// The schema of a command's payload, and its fields.
fn input(command: &str) -> (Value, Vec<Field>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let path = folder.join(format!("{command}.input.json"));
    let schema: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut fields = Vec::new();
    collect(&resolved(&schema, &schema), &[], &mut fields);
    (schema, fields)
}

fn commands() -> Vec<String> {
    let told = Cli::new().run("capabilities").ok();
    let names = told["commands"].as_array().unwrap().iter();
    names
        .map(|command| command["name"].as_str().unwrap().replace(' ', "."))
        .collect()
}

/// What a field leaves unsaid.
fn unsaid(field: &Field) -> Vec<&'static str> {
    let schema = &field.schema;
    let default = &schema["default"];
    // The values of a form such as {"text": …} are told of by the form.
    let is_of_form = field.path.len() == 2 && ["stdin", "until"].contains(&&*field.path[0]);
    let is_number = field.is("integer") || field.is("number");
    let has_example = schema["items"]["examples"].is_array()
        || field.forms().iter().any(|it| it["examples"].is_array());
    let told = [
        (is_of_form || !field.description().is_empty(), "description"),
        (
            field.required || !default.is_null() || field.description().contains("left out"),
            "default",
        ),
        (!is_number || schema["minimum"].is_number(), "minimum"),
        (!is_number || schema["maximum"].is_number(), "maximum"),
        (
            has_example || field.speaks_for_itself() || (is_number && !default.is_null()),
            "example",
        ),
    ];
    let unsaid = told.into_iter().filter(|(told, _)| !told);
    unsaid.map(|(_, what)| what).collect()
}

#[test]
fn every_field_says_what_it_takes_and_what_its_absence_means() {
    let mut seen = 0;
    let mut found = Vec::new();
    for command in commands() {
        for field in input(&command).1 {
            let unsaid = unsaid(&field);
            if !unsaid.is_empty() {
                found.push(format!("{command} {:?}: {unsaid:?}", field.path));
            }
            seen += 1;
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(seen > 100, "{seen}");
}

/// Payloads that are right, so that each field can be put into one that it goes with.
fn bases(command: &str) -> Vec<Value> {
    let all = match command {
        "start" => {
            let mut all = vec![
                json!({ "command": "true" }),
                json!({ "shell": "true" }),
                json!({ "command": "true", "stdin": { "text": "a" } }),
                json!({ "command": "true", "stdin": { "file": "a" } }),
                json!({
                    "command": "true", "stop": {}, "limits": {}, "restart": {}, "pty": {},
                    "owner": { "pid": 5 }, "on_exit": { "command": "true" },
                    "queue": { "group": "g", "limit": 1 }, "after": { "ids": ["b"] },
                    "watch": [{ "name": "n", "pattern": "p" }],
                }),
            ];
            all.extend(
                [
                    json!({ "prompt": "p", "resume": "a" }),
                    json!({ "prompt": { "file": "a" }, "history": [{ "role": "user", "content": "c" }] }),
                ]
                .map(|agent| json!({ "agent": with(json!({ "provider": "claude" }), agent) })),
            );
            // Whose efforts are not known.
            all.push(json!({ "agent": { "provider": "opencode", "prompt": "p" } }));
            all.extend(
                [
                    json!({ "type": "http", "url": "http://a" }),
                    json!({ "type": "tcp", "host": "a", "port": 1 }),
                    json!({ "type": "command", "command": "true" }),
                    json!({ "type": "log", "pattern": "p" }),
                ]
                .map(|health| json!({ "command": "true", "health": health })),
            );
            all
        }
        "list" | "recover" => vec![json!({})],
        "prune" => vec![json!({ "keep": 1 }), json!({ "max_bytes": 1 })],
        "send" => vec![
            json!({ "id": "a", "eof": true }),
            json!({ "id": "a", "text": "b" }),
            json!({ "id": "a", "prompt": "p" }),
            json!({ "id": "a", "prompt": { "file": "a" } }),
        ],
        "signal" => vec![json!({ "id": "a", "signal": "TERM" })],
        "wait" => vec![
            json!({ "id": "a", "until": { "log": "p" } }),
            json!({ "until": { "log": "p" } }),
            json!({ "tag": "a", "until": { "log": "p" } }),
        ],
        "logs" => vec![
            json!({ "id": "a", "grep": "p" }),
            json!({ "id": "a" }),
            json!({ "id": "dev" }),
            json!({}),
        ],
        "events" => vec![json!({ "id": "a" }), json!({ "id": "dev" }), json!({})],
        _ => vec![json!({ "id": "a" }), json!({})],
    };
    all.into_iter().chain([json!({ "tag": "web" })]).collect()
}

fn is_decoded(command: &str, payload: &Value) -> bool {
    fn ok<R: Request>(text: &str) -> bool {
        request::decode::<R>(text.as_bytes()).is_ok()
    }
    let text = payload.to_string();
    match command {
        "start" if !payload["agent"].is_null() => is_agent_start(payload),
        "start" => ok::<request::Start>(&text),
        "status" => ok::<request::Status>(&text),
        "list" => ok::<request::List>(&text),
        "wait" => ok::<request::Wait>(&text),
        "stop" => ok::<request::Stop>(&text),
        "restart" => ok::<request::Restart>(&text),
        "send" if payload.get("prompt").is_some() => {
            request::decode::<SendPrompt>(text.as_bytes()).is_ok_and(|send| is_said(&send.prompt))
        }
        "send" => ok::<request::Send>(&text),
        "signal" => ok::<request::Signal>(&text),
        "pause" => ok::<request::Pause>(&text),
        "resume" => ok::<request::Resume>(&text),
        "recover" => ok::<request::Recover>(&text),
        "remove" => ok::<request::Remove>(&text),
        "prune" => ok::<request::Prune>(&text),
        "logs" => ok::<request::Logs>(&text),
        "events" => ok::<request::Events>(&text),
        other => panic!("{other} is no command about tasks"),
    }
}

/// As far as it does not depend on what is installed.
fn is_agent_start(payload: &Value) -> bool {
    let mut rest = payload.as_object().cloned().unwrap_or_default();
    let agent = json!({ "agent": rest.remove("agent") }).to_string();
    let others = ["command", "args", "shell", "stdin", "pty"];
    if others
        .iter()
        .any(|name| rest.get(*name).is_some_and(|it| !it.is_null()))
    {
        return false;
    }
    rest.insert("command".to_owned(), "true".into());
    let is_ordinary = is_decoded("start", &Value::Object(rest));
    is_ordinary
        && request::decode::<AgentStart>(agent.as_bytes())
            .is_ok_and(|start| start.agent.check().is_ok() && is_said(&start.agent.prompt))
}

fn is_said(prompt: &Prompt) -> bool {
    match prompt {
        Prompt::Text(text) => check_prompt(Provider::Claude, "prompt", text).is_ok(),
        Prompt::File(file) => {
            let path = file.file.as_os_str().as_encoded_bytes();
            !path.is_empty() && !path.contains(&0)
        }
    }
}

/// The payloads that result when a field gets a value, in each base that has a place for it.
fn placed(bases: &[Value], field: &Field, value: &Value) -> Vec<Value> {
    let (name, parents) = field.path.split_last().expect("a path is not empty");
    let pointer: String = parents.iter().map(|part| format!("/{part}")).collect();
    let put = |base: &Value| {
        let mut payload = base.clone();
        let object = payload.pointer_mut(&pointer)?.as_object_mut()?;
        object.insert(name.clone(), value.clone());
        Some(payload)
    };
    bases.iter().filter_map(put).collect()
}

/// Values at both sides of every edge that a schema draws.
fn edges(field: &Field) -> Vec<Value> {
    let schema = &field.schema;
    let mut values = vec![Value::Null];
    let forms = field.forms();
    let own = forms.iter().flat_map(|it| [&it["minimum"], &it["maximum"]]);
    for edge in own {
        if let Some(edge) = edge
            .as_i64()
            .map(i128::from)
            .or(edge.as_u64().map(i128::from))
        {
            for value in [edge - 1, edge, edge + 1] {
                values.push(serde_json::from_str(&value.to_string()).unwrap());
            }
        }
    }
    if field.is("integer") {
        values.extend([json!(0), json!(1), json!(-1)]);
    }
    if field.is("string") {
        values.extend(
            [
                "",
                "a\0b",
                "a b",
                "a/b",
                "-a",
                ".a",
                "a.stderr",
                "A.STDERR",
                "a.stderrs",
            ]
            .map(Value::from),
        );
        if let Some(most) = schema["maxLength"].as_u64() {
            let most = usize::try_from(most).unwrap();
            let filled = |length| {
                let start = schema["examples"][0].as_str().unwrap_or("a");
                json!(format!("{start:a<length$}"))
            };
            values.extend([filled(most), filled(most + 1)]);
        }
    }
    if field.is("array") {
        values.extend([json!([]), json!([""]), json!(["a\0b"])]);
    }
    if schema["propertyNames"].is_object() {
        for name in [
            "A",
            "",
            "A=B",
            "A\0B",
            "BACKGROUND_TASKS_ID",
            "BACKGROUND_TASKS_HOME",
        ] {
            values.push(json!({ name: "value" }));
        }
        values.push(json!({ "A": "a\0b" }));
    }
    values
}

#[test]
fn what_a_schema_refuses_is_refused_and_what_it_takes_is_taken() {
    let mut compared = 0;
    let mut found = Vec::new();
    for command in commands().into_iter().filter(|name| is_about_tasks(name)) {
        let (schema, fields) = input(&command);
        let validator: Validator = jsonschema::validator_for(&schema).unwrap();
        let bases = bases(&command);
        for field in &fields {
            for value in edges(field) {
                // What it goes with differs from field to field; one way to say it is enough.
                let payloads = placed(&bases, field, &value);
                assert!(!payloads.is_empty(), "{command} {:?}", field.path);
                let fits = payloads.iter().any(|payload| validator.is_valid(payload));
                let is_taken = payloads.iter().any(|payload| is_decoded(&command, payload));
                // Numbers of signals end at 31 on some systems, and an expression, a moment and a
                // cursor have a syntax that no schema tells.
                let has_syntax = [
                    "signal", "pattern", "log", "grep", "since", "until", "after", "url", "base64",
                ];
                let more = has_syntax.contains(&&*field.path[field.path.len() - 1]) && fits;
                if fits != is_taken && !more {
                    found.push(format!("{command} {:?} {value}: schema {fits}", field.path));
                }
                compared += 1;
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(compared > 300, "{compared}");
}

#[test]
fn examples_and_defaults_are_taken() {
    let mut compared = 0;
    for command in commands().into_iter().filter(|name| is_about_tasks(name)) {
        let (schema, fields) = input(&command);
        let validator = jsonschema::validator_for(&schema).unwrap();
        let bases = bases(&command);
        for field in &fields {
            let examples = field.schema["examples"].as_array();
            let default = Some(&field.schema["default"]).filter(|it| !it.is_null());
            for value in examples.into_iter().flatten().chain(default) {
                let taken = placed(&bases, field, value)
                    .into_iter()
                    .any(|it| validator.is_valid(&it) && is_decoded(&command, &it));
                assert!(taken, "{command} {:?} {value}", field.path);
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

fn is_about_tasks(command: &str) -> bool {
    let others = ["doctor", "capabilities", "skill"];
    !others.contains(&command) && !command.contains('.')
}

/// What a payload says when it says of every field what holds without it.
fn defaults(command: &str, within: &[&str]) -> Map<String, Value> {
    let fields = input(command).1.into_iter();
    fields
        .filter(|field| {
            let parents = &field.path[..field.path.len() - 1];
            parents == within && !field.schema["default"].is_null()
        })
        .map(|field| {
            let name = field.path.last().unwrap().clone();
            (name, field.schema["default"].clone())
        })
        .collect()
}

#[test]
fn a_default_is_what_holds_when_nothing_is_said() {
    let cli = Cli::new();
    let plain = json!({
        "health": { "type": "command", "command": "true" },
        "watch": [{ "name": "n", "pattern": "p" }],
        "restart": {}, "limits": {}, "stop": {}, "after": { "ids": ["first"] },
        "on_exit": { "command": "true" },
    });
    let mut told = plain.clone();
    for nested in ["health", "restart", "limits", "stop", "after", "on_exit"] {
        let known = told[nested].as_object_mut().unwrap();
        known.extend(defaults("start", &[nested]));
    }
    let watch = told["watch"][0].as_object_mut().unwrap();
    watch.extend(defaults("start", &["watch", "0"]));
    let record = |id: &str, more: Value| {
        let mut task = cli.start_and_wait(with(work(id, ["print", "p"]), more));
        let seen = task.as_object_mut().unwrap();
        for changing in [
            "id",
            "pid",
            "args",
            "command",
            "log_path",
            "created_at",
            "updated_at",
            "started_at",
            "exited_at",
            "duration_ms",
            "health",
            "supervised",
        ] {
            seen.remove(changing);
        }
        task
    };
    cli.start_and_wait(work("first", []));
    assert_eq!(record("a", plain), record("b", told));
    let mut flat = defaults("start", &[]);
    // The fixture's own.
    flat.remove("args");
    flat.remove("env");
    assert_eq!(record("c", json!({})), record("d", Value::Object(flat)));
}

#[test]
fn an_answer_is_the_same_when_the_defaults_are_asked_for() {
    let cli = Cli::new();
    cli.start_and_wait(work("a", ["print", "p"]));
    cli.await_no_supervisor("a");
    let ask = |command: &str, base: Value, more: Map<String, Value>| {
        let request = with(base, Value::Object(more));
        let mut answer = cli.run(command).payload(request).ok();
        // A snapshot is of the moment.
        if let Some(snapshot) = answer.pointer_mut("/frames/0") {
            snapshot["timestamp"].take();
        }
        answer
    };
    for (command, base, without) in [
        // Whoever asks for no head or context is told that there is none, who does not, is told nothing.
        (
            "logs",
            json!({ "id": "a", "grep": "p" }),
            &["head", "context"][..],
        ),
        (
            "logs",
            json!({ "id": "a" }),
            &["head", "context", "max_matches"],
        ),
        ("events", json!({ "id": "a" }), &[]),
        ("list", json!({}), &[]),
        ("status", json!({ "id": "a" }), &[]),
    ] {
        let mut more = defaults(command, &[]);
        assert!(!more.is_empty());
        more.retain(|field, _| !without.contains(&field.as_str()));
        assert_eq!(
            ask(command, base.clone(), Map::new()),
            ask(command, base, more),
            "{command}"
        );
    }
}
