//! From the text of a record to the text of its view, for a task that has come to a plain end.
//!
//! A list of ten thousand tasks reads as many records, and nearly all of them are alike. What this
//! build writes about a task with nothing special to it has one form; its parts are copied here
//! instead of being made values of and text again, which takes ten times as long. Anything that has
//! another form, if only by a blank, goes the long way. A test compares both.

mod parts;
mod source;

use super::Facets;
use crate::clock::Timestamp;
use crate::task::TaskId;
use parts::{Facts, Spec};
use source::{Source, inside, text};

/// What else a record says of its task.
#[derive(Debug)]
pub(crate) struct PlainEnd<'a> {
    pub facets: Facets<'a>,
    /// As in the record: whether nothing of the run can be left.
    pub cleared: bool,
}

/// Appends the view of a record's task to `view`. `None`, and nothing appended, where the record is
/// not of this task, or has another form. `logs` is the folder of logs as the inside of a JSON text.
pub(crate) fn tell_plain_end<'a>(
    record: &'a str,
    id: &'a TaskId,
    logs: &str,
    view: &mut Vec<u8>,
) -> Option<PlainEnd<'a>> {
    let mut source = Source::of(record);
    source.skip(r#"{"version":1,"id":""#)?;
    source.skip(id.as_str())?;
    source.skip(r#"","facts":"#)?;
    let facts = Facts::read(&mut source)?;
    source.skip(r#","spec":"#)?;
    let spec = Spec::read(&mut source)?;
    source.end("}\n")?;
    write(view, id.as_str(), logs, &facts, &spec);
    Some(PlainEnd {
        facets: Facets {
            id: id.as_str(),
            status: facts.end.status,
            created_at: Timestamp::parse(inside(facts.created_at))?.as_millis(),
            name: text(spec.name),
            workdir: text(spec.workdir),
            parent_session_id: text(spec.parent_session_id),
            tags: spec.tags.items,
        },
        cleared: facts.cleared == "true",
    })
}

/// Appends a value behind what comes before it.
fn put(view: &mut Vec<u8>, before: &str, value: &str) {
    view.extend_from_slice(before.as_bytes());
    view.extend_from_slice(value.as_bytes());
}

fn write(view: &mut Vec<u8>, id: &str, logs: &str, facts: &Facts<'_>, spec: &Spec<'_>) {
    let end = &facts.end;
    put(view, r#"{"id":""#, id);
    put(view, r#"","name":"#, spec.name);
    put(view, r#","command":"#, spec.command);
    put(view, r#","args":"#, spec.args);
    put(view, r#","shell":"#, spec.shell);
    put(view, r#","workdir":"#, spec.workdir);
    put(view, r#","env":"#, "{");
    for (number, name) in spec.env.iter().enumerate() {
        put(view, if number > 0 { "," } else { "" }, name);
        put(view, ":", r#""***""#);
    }
    put(view, r#"},"env_file":"#, spec.env_file);
    put(view, r#","inherit_env":"#, spec.inherit_env);
    put(view, r#","tags":"#, spec.tags.text);
    put(view, r#","status":""#, end.status.as_str());
    put(view, r#"","health":"none","reason":"#, end.reason);
    put(
        view,
        r#","problem":null,"pid":null,"exit_code":"#,
        end.exit_code,
    );
    put(view, r#","signal":"#, end.signal);
    put(view, r#","log_path":""#, logs);
    put(view, "/", id);
    write_times_and_settings(view, facts, spec);
}

fn write_times_and_settings(view: &mut Vec<u8>, facts: &Facts<'_>, spec: &Spec<'_>) {
    let span = &facts.end.span;
    put(
        view,
        r#".log","stderr_log_path":null,"created_at":"#,
        facts.created_at,
    );
    put(view, r#","updated_at":"#, facts.updated_at);
    put(view, r#","started_at":"#, span.started_at);
    put(view, r#","exited_at":"#, span.exited_at);
    put(view, r#","duration_ms":"#, span.duration_ms);
    put(view, r#","restart_count":"#, facts.restart_count);
    put(view, r#","run":"#, facts.run);
    put(view, r#","parent_session_id":"#, spec.parent_session_id);
    put(view, r#","notify_on_exit":"#, spec.notify_on_exit);
    put(view, r#","stop":"#, spec.stop);
    put(view, r#","leftovers":"#, spec.leftovers);
    put(view, r#","stderr":"merge","limits":"#, spec.limits);
    put(view, r#","restart":"#, spec.restart);
    put(
        view,
        r#","next_start_at":null,"timeout_ms":"#,
        spec.timeout_ms,
    );
    put(view, r#","idle_timeout_ms":"#, spec.idle_timeout_ms);
    put(view, r#","ttl_ms":"#, spec.ttl_ms);
    put(view, r#","paused":false,"stdin":"#, spec.stdin);
    put(
        view,
        r#","pty":null,"health_probe":null,"owner":null,"on_exit":null"#,
        "",
    );
    put(
        view,
        r#","queue":null,"queue_position":null,"after":null,"watch":[]"#,
        "",
    );
    put(view, r#","supervised":"#, "false}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Task, TaskRecord, TaskStatus};
    use serde_json::{Value, json};
    use std::path::Path;

    /// The long way; `None` where it is none of a task that has ended.
    fn by_values(record: &str, id: &TaskId) -> Option<String> {
        let record: TaskRecord = serde_json::from_str(record).ok()?;
        let fits = record.version == crate::store::FORMAT_VERSION && record.id == *id;
        let log = format!("/h/logs/{id}.log");
        let task = Task::of(&record, Path::new(&log), false);
        (fits && task.status.is_terminal()).then(|| serde_json::to_string(&task).unwrap())
    }

    fn by_text(record: &str, id: &TaskId) -> Option<String> {
        let mut view = b"before".to_vec();
        let told = tell_plain_end(record, id, "/h/logs", &mut view);
        let view = String::from_utf8(view).unwrap();
        assert!(view.starts_with("before") && (told.is_some() || view == "before"));
        told.map(|_| view["before".len()..].to_owned())
    }

    fn id() -> TaskId {
        TaskId::parse("bg_1").unwrap()
    }

    /// A record as this build writes it.
    fn written(state: &Value, change: impl FnOnce(&mut Value)) -> String {
        let mut record = json!({
            "version": crate::store::FORMAT_VERSION,
            "id": "bg_1",
            "facts": {
                "revision": 3, "generation": "74990066b99bad71", "run": 1,
                "run_token": "c68fba365b6b2031", "restart_count": 0, "boot_id": "6b0aed1f",
                "created_at": "2026-01-02T06:20:40.000Z",
                "updated_at": "2026-11-21T21:36:02.449Z",
                "wish_done": 0, "cleared": true, "state": state,
            },
            "spec": {
                "name": null, "program": {"direct": {"command": "sh", "args": ["-c", "ü 1"]}},
                "workdir": "/w", "env": {"A": "secret", "B": ""}, "inherit_env": true,
                "env_file": null, "tags": ["x", "y"], "parent_session_id": "s",
                "notify_on_exit": false, "stop": {}, "leftovers": "stop",
            },
        });
        change(&mut record);
        let record: TaskRecord = serde_json::from_value(record).unwrap();
        String::from_utf8(crate::store::encode_record(&record).unwrap()).unwrap()
    }

    fn exited() -> Value {
        json!({"exited": {"exit_code": 3, "span": {
            "started_at": "2026-11-21T21:36:02.448Z",
            "exited_at": "2026-11-21T21:36:02.449Z", "duration_ms": 1,
        }}})
    }

    fn killed() -> Value {
        let span = exited()["exited"]["span"].take();
        json!({"killed": {"reason": "timed_out", "exit": {"signal": "SIGKILL"}, "span": span}})
    }

    #[test]
    fn what_is_plain_is_told_as_by_values() {
        let plain = [
            written(&exited(), |_| {}),
            written(&killed(), |_| {}),
            written(&exited(), |it| {
                it["spec"]["program"] = json!({"shell": "a && b"});
            }),
            written(&exited(), |it| {
                it["spec"]["env"] = json!({});
            }),
            written(&exited(), |it| {
                it["spec"]["timeout_ms"] = json!(5);
            }),
            written(&exited(), |it| {
                it["spec"]["stdin"] = json!("open");
            }),
            written(&exited(), |it| {
                it["facts"]["cleared"] = json!(false);
            }),
            written(&killed(), |it| {
                it["facts"]["state"]["killed"]["exit"] = json!({"code": 0});
                it["spec"]["limits"] = json!({"cpu_percent": 150, "memory_bytes": 1_u64 << 40});
            }),
        ];
        for record in plain {
            let view = by_text(&record, &id());
            assert!(view.is_some(), "{record}");
            assert_eq!(view, by_values(&record, &id()));
        }
        let record = written(&exited(), |_| {});
        let told = tell_plain_end(&record, &id(), "", &mut Vec::new()).map(|end| {
            let facets = end.facets;
            assert_eq!(
                (facets.id, facets.name, facets.workdir),
                ("bg_1", None, Some("/w"))
            );
            assert_eq!(
                (facets.parent_session_id, facets.tags),
                (Some("s"), vec!["x", "y"])
            );
            assert_eq!(
                (facets.status, facets.created_at),
                (TaskStatus::Exited, 1_767_334_840_000)
            );
            end.cleared
        });
        assert_eq!(told, Some(true));
    }

    #[test]
    fn what_is_not_plain_goes_the_long_way() {
        let special = [
            written(&json!("starting"), |_| {}),
            written(&exited(), |it| {
                it["spec"]["name"] = json!("a\"b");
            }),
            written(&exited(), |it| {
                it["spec"]["stderr"] = json!("separate");
            }),
            written(&exited(), |it| {
                it["spec"]["stdin"] = json!({"text": "a"});
            }),
            written(&exited(), |it| {
                it["spec"]["queue"] = json!({"group": "g", "limit": 1});
            }),
        ];
        for record in &special {
            assert_eq!(by_text(record, &id()), None, "{record}");
        }
    }

    /// A record that somebody has changed, or that is damaged, is told as by values, or not at all.
    #[test]
    fn no_byte_makes_a_difference() {
        for record in [written(&exited(), |_| {}), written(&killed(), |_| {})] {
            for at in 0..record.len() {
                let around = |middle: &str, skip: usize| {
                    Some(format!(
                        "{}{middle}{}",
                        record.get(..at)?,
                        record.get(at + skip..)?
                    ))
                };
                let inserted = ["0", "9", " ", "\"", "\\", ",", "-", "}", "Z", "\u{1}"];
                let changed = inserted
                    .iter()
                    .flat_map(|it| [around(it, 0), around(it, 1)]);
                for changed in changed.chain([around("", 1)]).flatten() {
                    if let Some(view) = by_text(&changed, &id()) {
                        assert_eq!(Some(view), by_values(&changed, &id()), "{changed}");
                    }
                }
            }
        }
    }
}
