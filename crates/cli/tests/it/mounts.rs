//! Filesystems of a test's own, which nobody else sees: its thread, and what that executes, are in
//! a mount namespace of their own. They are gone with the last process in there, whatever happens.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::harness::Cli;

const NOTHING: Option<&str> = None;

/// Runs a test in a thread that may mount.
pub fn in_private(test: impl FnOnce() + Send + 'static) {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNS)
            .expect("these tests need root (CAP_SYS_ADMIN), to mount a small filesystem");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(NOTHING, "/", NOTHING, private, NOTHING).expect("mounts can be made private");
        test();
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// The program with a home on a small disk.
pub struct SmallDisk {
    // Dropped first: its tasks are on the disk.
    cli: Cli,
    _mounted: Mounted,
}

impl SmallDisk {
    /// `size`: options of tmpfs(5).
    pub fn new(size: &str) -> Self {
        let cli = Cli::new();
        fs::create_dir(cli.home()).expect("the test's folder can be written to");
        let options = format!("mode=700,{size}");
        let at = cli.home();
        mount(
            Some("tmpfs"),
            at,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .expect("a tmpfs can be mounted");
        let mounted = Mounted(at.to_owned());
        Self {
            cli,
            _mounted: mounted,
        }
    }

    /// Takes the whole place that is left.
    pub fn fill(&self) -> Filler {
        let path = self.home().join("filler");
        // Another process, whose writes fail as they will.
        let script = "dd if=/dev/zero of=\"$0\" bs=64k; dd if=/dev/zero of=\"$0\" bs=1 \
            conv=notrunc oflag=append count=8192";
        run_shell(script, &path);
        let file = fs::File::options().append(true).open(&path);
        let more = file.and_then(|mut file| std::io::Write::write_all(&mut file, b"x"));
        let error = more.expect_err("the disk is full");
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        Filler(vec![path])
    }

    /// Takes all inodes that are left.
    pub fn take_inodes(&self) -> Filler {
        let mut taken = Vec::new();
        loop {
            let path = self.home().join(format!("filler-{}", taken.len()));
            match fs::File::create_new(&path) {
                Ok(_) => taken.push(path),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
                    return Filler(taken);
                }
            }
        }
    }
}

impl Deref for SmallDisk {
    type Target = Cli;
    fn deref(&self) -> &Cli {
        &self.cli
    }
}

fn run_shell(script: &str, argument: &Path) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(argument);
    shell.output().expect("there is a shell");
}

/// What takes the room; gives it back.
pub struct Filler(Vec<PathBuf>);

impl Filler {
    pub fn free(self) {
        for path in &self.0 {
            fs::remove_file(path).expect("it is there");
        }
    }
}

/// Something that is mounted until this is dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// A folder that can only be read, through its path, from now on.
    pub fn read_only(at: &Path) -> Self {
        mount(Some(at), at, NOTHING, MsFlags::MS_BIND, NOTHING).expect("folders can be bound");
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(NOTHING, at, NOTHING, read_only, NOTHING).expect("it can be made read-only");
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
        // Where a home was mounted, its folder could not be removed before.
        if let Some(folder) = self.0.parent()
            && fs::remove_dir(&self.0).is_ok()
        {
            let _ = fs::remove_dir_all(folder);
        }
    }
}
