use super::super::cgroup::tests::Mimic;
use super::*;
use crate::error::Error;

const MIB: u64 = 1 << 20;

fn memory() -> Limits {
    Limits {
        memory_bytes: Some(64 * MIB),
        ..Limits::default()
    }
}

fn files_and_values(plan: &Plan) -> Vec<(&str, &str)> {
    let settings = plan.place.iter().flat_map(|place| &place.settings);
    settings.map(|it| (it.file, it.value.as_str())).collect()
}

#[test]
fn a_group_keeps_what_it_can() {
    let mimic =
        Mimic::new()
            .group("app", "cpu memory pids", "")
            .group("app/scope", "memory", "7\n");
    let limits = Limits {
        cpu_percent: Some(150),
        processes: Some(20),
        ..memory()
    };
    let plan = Plan::with_group(&limits, &Ok(mimic.seen_from("app/scope"))).unwrap();
    assert_eq!(plan.resources, []);
    assert_eq!(
        files_and_values(&plan),
        [
            ("memory.max", "67108864"),
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("cpu.max", "150000 100000"),
            ("pids.max", "20"),
        ]
    );
    assert_eq!(plan.place.unwrap().folder, mimic.path("app"));
}

#[test]
#[cfg(target_os = "linux")]
fn memory_falls_back_to_address_space() {
    let none = Plan::with_group(&memory(), &Err(Obstacle::NoHierarchy)).unwrap();
    assert_eq!(none.place, None);
    assert_eq!(none.resources, [(Resource::RLIMIT_AS, 64 * MIB)]);

    // A group is made all the same where there may be one, for the end of the task.
    let mimic = Mimic::new().group("app", "pids", "");
    let seen = Ok(mimic.seen_from("app"));
    let bare = Plan::with_group(&memory(), &seen).unwrap();
    assert_eq!(bare.resources, none.resources);
    assert_eq!(files_and_values(&bare), []);
    assert_eq!(bare.place.unwrap().folder, mimic.path("app"));

    let limits = Limits {
        processes: Some(3),
        ..memory()
    };
    let mixed = Plan::with_group(&limits, &seen).unwrap();
    assert_eq!(mixed.resources, none.resources);
    assert_eq!(files_and_values(&mixed), [("pids.max", "3")]);
}

#[test]
fn what_nothing_can_keep_is_named() {
    let cpu = Limits {
        cpu_percent: Some(50),
        ..memory()
    };
    let processes = Limits {
        processes: Some(50),
        ..Limits::default()
    };
    let mimic = Mimic::new().group("app", "memory", "");
    for (limits, field) in [(cpu, "limits.cpu_percent"), (processes, "limits.processes")] {
        for seen in [Ok(mimic.seen_from("app")), Err(Obstacle::NoHierarchy)] {
            match Plan::with_group(&limits, &seen) {
                Err(Error::Unsupported { message, hint }) => {
                    assert!(message.contains(field), "{message}");
                    assert!(hint.contains(field), "{hint}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn without_limits_there_is_nothing_to_do() {
    assert_eq!(Plan::of(&Limits::default()).unwrap(), None);
    let (_, hard) = limits_of(Resource::RLIMIT_NOFILE);
    let files = |open_files| {
        Plan::of(&Limits {
            open_files: Some(open_files),
            ..Limits::default()
        })
    };
    let plan = files(hard).unwrap().unwrap();
    assert_eq!(plan.resources, [(Resource::RLIMIT_NOFILE, hard)]);
    assert_eq!(plan.place, None);
    if hard < u64::MAX {
        assert!(matches!(files(hard + 1), Err(Error::Unsupported { .. })));
    }
}
