//! The machine's whole table, and what must hold on every path through it.

use super::*;
use std::fmt::Write;

const STOP: StopSettings = StopSettings {
    signal: SignalNumber::TERM,
    grace_ms: 5000,
};
const KILL: StopSettings = StopSettings {
    signal: SignalNumber::KILL,
    grace_ms: 0,
};
const CODE: MainExit = MainExit::Code(3);

fn states() -> Vec<State> {
    let mut all = vec![State::Running, State::Lingering { exit: CODE }];
    for step in [StopStep::Asked, StopStep::Killing] {
        for purpose in [Purpose::Stop, Purpose::Restart] {
            all.push(State::Stopping { purpose, step });
        }
        for then in [
            Then::Leave,
            Then::RecordStopped(Some(CODE)),
            Then::HandOver(Some(CODE)),
        ] {
            all.push(State::Clearing { then, step });
        }
    }
    all.push(State::Ended);
    all
}

fn events() -> Vec<Event> {
    vec![
        Event::MainEnded {
            exit: Some(CODE),
            alone: true,
        },
        Event::MainEnded {
            exit: Some(CODE),
            alone: false,
        },
        Event::MainEnded {
            exit: None,
            alone: true,
        },
        Event::MainEnded {
            exit: None,
            alone: false,
        },
        Event::TreeGone,
        Event::Stop(STOP),
        Event::Stop(KILL),
        Event::Restart(STOP),
        Event::GraceOver,
    ]
}

#[test]
fn the_whole_table() {
    let mut table = String::new();
    for leftovers in [Leftovers::Stop, Leftovers::Wait] {
        let settings = Settings {
            leftovers,
            stop: STOP,
        };
        writeln!(table, "== leftovers: {leftovers:?}").unwrap();
        for state in states() {
            writeln!(table, "\n{state:?}").unwrap();
            for event in events() {
                let (next, actions) = step(settings, state, event);
                if next == state && actions.is_empty() {
                    writeln!(table, "  {event:?}: -").unwrap();
                } else {
                    writeln!(table, "  {event:?}: {next:?} {actions:?}").unwrap();
                }
            }
        }
        writeln!(table).unwrap();
    }
    insta::assert_snapshot!("machine", table);
}

/// Whatever happens in whatever order: an end is recorded at most once, nothing follows
/// `Leave`, and a supervisor that leaves has recorded something.
#[test]
fn every_path_records_one_end() {
    fn walk(settings: Settings, state: State, recorded: usize, depth: usize) {
        if depth == 0 {
            return;
        }
        for event in events() {
            let (next, actions) = step(settings, state, event);
            let ends = |action: &&Action| {
                matches!(
                    action,
                    Action::RecordEnd(_) | Action::RecordStopped(_) | Action::RecordRestarting(_)
                )
            };
            let recorded = recorded + actions.iter().filter(ends).count();
            assert!(recorded <= 1, "{state:?} {event:?}");
            assert_eq!(
                actions.last() == Some(&Action::Leave),
                next == State::Ended && state != State::Ended
            );
            if next == State::Ended {
                assert_eq!(recorded, 1, "{state:?} {event:?}");
            } else {
                walk(settings, next, recorded, depth - 1);
            }
        }
    }
    for leftovers in [Leftovers::Stop, Leftovers::Wait] {
        walk(
            Settings {
                leftovers,
                stop: STOP,
            },
            State::Running,
            0,
            6,
        );
    }
}
