//! Folders with the files of groups stand for groups where it is about what may be found: a test has
//! one real hierarchy at most, and that as it happens to be.

use super::*;

const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

#[test]
fn the_own_group_is_found_in_what_is_mounted() {
    let groups = "4:memory:/jobs/7\n1:cpu,cpuacct:/\n0::/user.slice/a.scope\n";
    let hybrid = Hierarchy::parse(HYBRID, groups).unwrap();
    assert_eq!(hybrid.mount, Path::new("/sys/fs/cgroup/unified"));
    let own = "/sys/fs/cgroup/unified/user.slice/a.scope";
    assert_eq!(hybrid.own, Path::new(own));
    assert_eq!(hybrid.version_1, ["memory", "cpu", "cpuacct"]);

    let root = Hierarchy::parse(HYBRID, "0::/\n").unwrap();
    assert_eq!(root.own, root.mount);

    let part = "9 1 0:30 /docker/x /my\\040groups ro - cgroup2 cgroup rw,nsdelegate\n";
    let part = |groups| Hierarchy::parse(part, groups);
    let inside = part("0::/docker/x/inner\n").unwrap();
    assert_eq!(inside.own, Path::new("/my groups/inner"));
    assert_eq!(part("0::/docker/y\n").unwrap_err(), Obstacle::Elsewhere);

    let outside = Hierarchy::parse(HYBRID, "0::/../other\n").unwrap_err();
    assert_eq!(outside, Obstacle::Elsewhere);
    let none = Hierarchy::parse("", "0::/\n").unwrap_err();
    assert_eq!(none, Obstacle::NoHierarchy);
    let only_version_1 = Hierarchy::parse(HYBRID, "4:memory:/\n").unwrap_err();
    assert_eq!(only_version_1, Obstacle::NoHierarchy);
}

/// A hierarchy of folders.
pub(in super::super) struct Mimic {
    folder: tempfile::TempDir,
}

impl Mimic {
    pub(in super::super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    /// A group; `pids` are those of its own processes. The root is the one without a type.
    pub(in super::super) fn group(self, path: &str, controllers: &str, pids: &str) -> Self {
        let folder = self.folder.path().join(path);
        fs::create_dir_all(&folder).unwrap();
        let put = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
        put("cgroup.controllers", controllers);
        put("cgroup.subtree_control", "");
        put("cgroup.procs", pids);
        if !path.is_empty() {
            put("cgroup.type", "domain\n");
        }
        self
    }

    fn with(self, file: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(file), text).unwrap();
        self
    }

    /// As a process in this group sees it.
    pub(in super::super) fn seen_from(&self, own: &str) -> Hierarchy {
        let mount = self.folder.path().to_owned();
        Hierarchy {
            own: mount.join(own),
            mount,
            version_1: vec!["cpu".to_owned()],
        }
    }

    pub(in super::super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }
}

#[test]
fn the_nearest_group_without_processes_is_the_place() {
    use Controller::{Memory, Pids};
    let mimic = Mimic::new()
        .group("", "cpu memory pids", "1\n")
        .group("user", "memory pids", "")
        .group("user/app", "memory", "")
        .group("user/app/scope", "memory", "4711\n");
    let seen = mimic.seen_from("user/app/scope");
    assert_eq!(seen.place_for(&[]).unwrap(), mimic.path("user/app"));
    assert_eq!(seen.place_for(&[Memory]).unwrap(), mimic.path("user/app"));
    let both = seen.place_for(&[Memory, Pids]).unwrap();
    assert_eq!(both, mimic.path("user"));
    // The root of all may hold processes.
    let root = seen.place_for(&[Controller::Cpu]).unwrap();
    assert_eq!(root, mimic.path("").components().as_path());
}

#[test]
fn what_was_nearest_is_told() {
    use Controller::{Cpu, Memory, Pids};
    let mimic = Mimic::new()
        .group("box", "memory pids", "1\n2\n")
        .group("box/threads", "memory", "")
        .with("box/threads/cgroup.type", "threaded\n");
    let mut seen = mimic.seen_from("box/threads");
    seen.mount = mimic.path("box");
    let lacks = |controller, by_version_1| Obstacle::NotOffered {
        controller,
        by_version_1,
    };
    assert_eq!(seen.place_for(&[Cpu]), Err(lacks("cpu", true)));
    let folder = mimic.path("box");
    assert_eq!(seen.place_for(&[Pids]), Err(Obstacle::Occupied { folder }));
    assert!(matches!(
        seen.place_for(&[Memory]),
        Err(Obstacle::Occupied { .. })
    ));
    seen.version_1.clear();
    assert_eq!(seen.place_for(&[Cpu]), Err(lacks("cpu", false)));
}

#[test]
fn controllers_are_enabled_once() {
    let mimic = Mimic::new().group("a", "memory pids", "");
    let (folder, file) = (mimic.path("a"), mimic.path("a/cgroup.subtree_control"));
    enable(&folder, &[Controller::Memory]).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "+memory");
    // As the kernel shows what is enabled.
    fs::write(&file, "memory pids\n").unwrap();
    enable(&folder, &[Controller::Memory, Controller::Pids]).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "memory pids\n");
}

#[test]
fn a_supervisor_goes_around_the_outermost_task() {
    let mimic = Mimic::new();
    let around = |own: &str| {
        let seen = mimic.seen_from(own);
        seen.around_task().map(Path::to_owned)
    };
    let inner = "app/background-tasks.a.0/podman/background-tasks.b.1";
    assert_eq!(around(inner), Some(mimic.path("app")));
    assert_eq!(around("app/scope"), None);
    assert_eq!(around("app/background-tasks.supervisors"), None);
}
