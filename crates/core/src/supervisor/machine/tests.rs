//! The machine's whole table, and what must hold on every path through it.

use super::*;
use crate::task::{FailReason, KillReason};
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
const STOPPED: Reason = Reason::Killed(KillReason::StopRequested);
const TIMED_OUT: Reason = Reason::Killed(KillReason::TimedOut);
const OWNER_GONE: Reason = Reason::Killed(KillReason::OwnerGone);
const NOT_READY: Reason = Reason::Failed(FailReason::NotReady);

fn states() -> Vec<State> {
    let mut all = vec![
        State::Queued,
        State::Running,
        State::Lingering { exit: CODE },
    ];
    for step in [StopStep::Asked, StopStep::Killing] {
        for purpose in [
            Purpose::End(STOPPED),
            Purpose::End(TIMED_OUT),
            Purpose::End(OWNER_GONE),
            Purpose::End(Reason::COMPLETED),
            Purpose::Restart,
        ] {
            all.push(State::Stopping { purpose, step });
        }
        for then in [
            Then::Leave,
            Then::RecordEnd(Some(CODE)),
            Then::RecordStopped(Some(CODE), STOPPED),
            Then::GiveUp(Some(CODE), None),
            Then::HandOver(Some(CODE)),
            Then::RunAgain {
                exit: Some(CODE),
                reason: None,
                delay_ms: 1000,
            },
        ] {
            all.push(State::Clearing { then, step });
        }
    }
    all.push(State::BackingOff);
    all.push(State::Hooking);
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
        Event::MainEnded {
            exit: Some(MainExit::Code(0)),
            alone: true,
        },
        Event::TreeGone,
        Event::Stop(STOP),
        Event::Stop(KILL),
        Event::Restart(STOP),
        Event::Limit(TIMED_OUT),
        Event::Limit(OWNER_GONE),
        Event::Limit(NOT_READY),
        Event::Limit(Reason::COMPLETED),
        Event::Pause,
        Event::Resume,
        Event::Signal(SignalNumber::TERM, Recipient::Main),
        Event::Signal(SignalNumber::TERM, Recipient::Tree),
        Event::GraceOver,
        Event::DelayOver,
        Event::NotExecuted,
        Event::TurnCame,
        Event::DependencyFailed,
        Event::HookEnded,
        Event::HookTimedOut,
    ]
}

/// Every combination of what a task may have asked for.
fn all_settings() -> Vec<Settings> {
    let again = Sequel::Run { delay_ms: 1000 };
    let sequels = [
        (Sequel::End, Sequel::End),
        (Sequel::End, again),
        (again, again),
        (Sequel::End, Sequel::GiveUp),
    ];
    let leftovers = [Leftovers::Stop, Leftovers::Wait];
    let settings = leftovers.into_iter().flat_map(|leftovers| {
        sequels.map(|(after_success, after_failure)| Settings {
            leftovers,
            stop: STOP,
            after_success,
            after_failure,
            has_hook: false,
        })
    });
    let with_hook = Settings {
        leftovers: Leftovers::Stop,
        stop: STOP,
        after_success: Sequel::End,
        after_failure: again,
        has_hook: true,
    };
    settings.chain([with_hook]).collect()
}

#[test]
fn the_whole_table() {
    let mut table = String::new();
    for settings in all_settings() {
        let Settings {
            leftovers,
            after_success,
            after_failure,
            has_hook,
            ..
        } = settings;
        writeln!(
            table,
            "== leftovers: {leftovers:?}, after success: {after_success:?}, after failure: {after_failure:?}, hook: {has_hook}"
        )
        .unwrap();
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
                let hands_over = matches!(action, Action::RecordRestarting(_) | Action::HandOver);
                action.records_end() || hands_over
            };
            // What could not be executed is on record already.
            let failed = usize::from(state == State::Running && event == Event::NotExecuted);
            let recorded = recorded + failed + actions.iter().filter(ends).count();
            assert!(recorded <= 1, "{state:?} {event:?}");
            assert_eq!(
                actions.last() == Some(&Action::Leave),
                next == State::Ended && state != State::Ended
            );
            let hooks = actions.contains(&Action::RunHook);
            assert_eq!(hooks, next == State::Hooking && state != State::Hooking);
            assert!(!hooks || settings.has_hook && recorded == 1);
            if next == State::Ended {
                assert_eq!(recorded, 1, "{state:?} {event:?}");
            } else {
                walk(settings, next, recorded, depth - 1);
            }
        }
    }
    for settings in all_settings() {
        for first in [State::Queued, State::Running] {
            walk(settings, first, 0, 4);
        }
    }
}
