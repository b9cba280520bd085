//! Taking tasks away.
//!
//! A task's folder is renamed into `trash/` first, so that others see all of the task or nothing;
//! then it is deleted. Whoever is killed in between leaves a folder in `trash/` that a later removal
//! deletes. Everything is reached from descriptors and no symbolic link is followed.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsFd;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, renameat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::home::{LOGS, TRASH};
use super::list_cache::{announce, is_unfinished};
use super::{Home, ShortLock, TASKS, file};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::task::TaskId;

const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW);

/// Removes a task's folder and logs; returns how many bytes of disk they took. Whoever calls this
/// holds the task's short lock, and nobody supervises it.
///
/// What cannot be deleted stays in `trash/` for [`sweep_trash`].
///
/// # Errors
/// [`crate::Error::Store`] when the folder cannot be renamed: then the task is still there.
pub(crate) fn remove_task(home: &Home, id: &TaskId) -> Result<u64> {
    let from = format!("{TASKS}/{id}");
    if look(home, from.as_str()).is_none() {
        return Ok(0);
    }
    crate::supervisor::sweep_leaf_of(home, id);
    let before = size_on_disk(home, id, &from);
    make_trash(home, id, &from)?;
    let to = format!("{TRASH}/{id}.{}", crate::random::hex16());
    let announced = announce(home.as_fd(), "", id);
    match renameat(home, from.as_str(), home, to.as_str()) {
        Ok(()) => drop(announced),
        Err(Errno::ENOENT) => return Ok(0),
        Err(errno) => return Err(home.error("remove", &from, errno)),
    }
    if delete_logs(home, id) && delete_folder(home, &to) {
        return Ok(before);
    }
    Ok(before.saturating_sub(size_on_disk(home, id, &to)))
}

/// An older build made it only here. On a full disk what is to be removed makes room for it.
fn make_trash(home: &Home, id: &TaskId, folder: &str) -> Result<()> {
    match home.make_folder(TRASH) {
        Err(Error::Store {
            errno: Some(Errno::ENOSPC | Errno::EDQUOT),
            ..
        }) => {}
        made => return made,
    }
    delete_logs(home, id);
    for log in [file::LOG, file::STDERR_LOG] {
        let log = format!("{folder}/{log}");
        let _ = unlinkat(home, log.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    home.make_folder(TRASH)
}

/// How many bytes of disk a task takes: its logs and its folder, whose name is given; each file once
/// whatever names it has.
pub(crate) fn size_on_disk(home: &Home, id: &TaskId, folder: &str) -> u64 {
    let mut seen = BTreeSet::new();
    let mut count = |found: FileStat| {
        let is_new = seen.insert((found.st_dev, found.st_ino));
        let blocks = u64::try_from(found.st_blocks).unwrap_or(0);
        if is_new { blocks * 512 } else { 0 }
    };
    let mut bytes = 0;
    for name in [folder, &Home::log_name(id), &Home::stderr_log_name(id)] {
        bytes += look(home, name).map_or(0, &mut count);
    }
    if let Ok((dir, names)) = read_folder(home, folder) {
        for name in &names {
            bytes += look(&dir, name.as_c_str()).map_or(0, &mut count);
        }
    }
    bytes
}

/// Deletes what removals have left in `trash/` because they were killed, or could not delete it.
///
/// Each under the lock of its task: one that is just being removed is its remover's, and a log may
/// belong to a task that has been started under the same id since. With them goes what whoever
/// wanted to announce a change has left.
pub(crate) fn sweep_trash(home: &Home) {
    for name in names_in(home, ".") {
        if is_unfinished(&name) {
            let _ = unlinkat(home, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
    for name in names_in(home, TRASH) {
        let Some((id, name)) = name
            .to_str()
            .ok()
            .and_then(|name| Some((id_of(name)?, name)))
        else {
            continue;
        };
        let Ok(Some(_lock)) = ShortLock::try_take(home, &id) else {
            continue;
        };
        let is_gone = matches!(home.task_dir(&id), Ok(None));
        if !is_gone || delete_logs(home, &id) {
            delete_folder(home, &format!("{TRASH}/{name}"));
        }
    }
}

/// Removes the folder of a start that was killed before it had put anything on record, and the
/// names of logs that were about to be put in place, where nobody has touched them for a while.
pub(crate) fn sweep_unfinished(home: &Home, folders_without_record: &[TaskId]) {
    for id in folders_without_record {
        let Ok(Some(lock)) = ShortLock::try_take(home, id) else {
            continue;
        };
        let is_no_task = matches!(super::observe_settled(home, id, &lock), Ok(None));
        if is_no_task && is_old(home, &format!("{TASKS}/{id}")) {
            let _ = remove_task(home, id);
        }
    }
    for name in names_in(home, LOGS) {
        let aside = name.to_str().ok().and_then(|name| {
            let log = name.strip_suffix(".log.new")?;
            let id = TaskId::parse(log.strip_suffix(".stderr").unwrap_or(log)).ok()?;
            Some((id, format!("{LOGS}/{name}")))
        });
        let Some((id, aside)) = aside else { continue };
        if is_old(home, &aside) && matches!(ShortLock::try_take(home, &id), Ok(Some(_))) {
            let _ = unlinkat(home, aside.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// The task of an entry of `trash/`, `<id>.<16 hex digits>`. Others are not ours to delete.
fn id_of(name: &str) -> Option<TaskId> {
    let (id, mark) = name.rsplit_once('.')?;
    let is_mark = mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
    TaskId::parse(id).ok().filter(|_| is_mark)
}

/// Whether something was last changed more than a minute ago: it is nobody's work in progress.
fn is_old(home: &Home, name: &str) -> bool {
    const A_MINUTE: u64 = 60_000;
    let changed = |found: FileStat| Timestamp::from_millis(found.st_ctime.saturating_mul(1000));
    look(home, name).is_some_and(|found| Timestamp::now().millis_since(changed(found)) > A_MINUTE)
}

fn look<P: ?Sized + nix::NixPath>(dir: impl AsFd, name: &P) -> Option<FileStat> {
    fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()
}

/// Takes the public names of a task's logs away; whether they are gone.
fn delete_logs(home: &Home, id: &TaskId) -> bool {
    let logs = [Home::log_name(id), Home::stderr_log_name(id)];
    logs.into_iter().fold(true, |all, log| {
        let gone = match unlinkat(home, log.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => true,
            // A folder that somebody has put there is no log of ours.
            Err(errno) => errno == Errno::EISDIR,
        };
        all && gone
    })
}

/// Deletes a folder with what is in it; whether it is gone.
fn delete_folder(home: &Home, name: &str) -> bool {
    // A reader that came before it was renamed may put another file into it meanwhile: the count
    // of a log's lines.
    (0..3).any(|_| {
        if let Ok((dir, names)) = read_folder(home, name) {
            delete_files(&dir, names);
        }
        let removed = match unlinkat(home, name, UnlinkatFlags::RemoveDir) {
            // Something that was put there instead of a folder: not what it leads to, only itself.
            Err(Errno::ENOTDIR) => unlinkat(home, name, UnlinkatFlags::NoRemoveDir),
            other => other,
        };
        matches!(removed, Ok(()) | Err(Errno::ENOENT))
    })
}

/// A task's folder is flat; of a folder that somebody has put there only an empty one is removed.
fn delete_files(dir: &Dir, mut names: Vec<CString>) {
    // Readers open the log last: whoever still gets it has all that goes with it.
    let logs = [file::LOG, file::STDERR_LOG].map(str::as_bytes);
    names.sort_unstable_by_key(|name| !logs.contains(&name.to_bytes()));
    for name in &names {
        if unlinkat(dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir).is_err() {
            let _ = unlinkat(dir, name.as_c_str(), UnlinkatFlags::RemoveDir);
        }
    }
}

/// The names in a folder of the home, without `.` and `..`.
pub(super) fn names_in(home: &Home, name: &str) -> Vec<CString> {
    read_folder(home, name).map_or_else(|_| Vec::new(), |(_, names)| names)
}

fn read_folder(home: &Home, name: &str) -> io::Result<(Dir, Vec<CString>)> {
    let is_self = |name: &CStr| name == c"." || name == c"..";
    let mut dir = Dir::openat(home, name, FOLDER, Mode::empty())?;
    let mut names = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        if !is_self(entry.file_name()) {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok((dir, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Deadline;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let home = Home::open_existing(folder.path()).unwrap().unwrap();
        home.make_layout().unwrap();
        home.make_folder(TRASH).unwrap();
        (folder, home)
    }

    fn task(home: &Home, id: &TaskId) {
        let folder = home.path().join(TASKS).join(id.as_str());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(file::LOG), vec![b'x'; 100_000]).unwrap();
        fs::hard_link(folder.join(file::LOG), home.log_path(id)).unwrap();
        fs::write(folder.join(file::EVENTS), "{}\n").unwrap();
    }

    #[test]
    fn a_file_with_two_names_counts_once() {
        let (_folder, home) = home();
        let id = TaskId::parse("a").unwrap();
        task(&home, &id);
        let freed = remove_task(&home, &id).unwrap();
        assert!((100_000..200_000).contains(&freed), "{freed}");
        assert_eq!(remove_task(&home, &id).unwrap(), 0);
        for name in [TASKS, LOGS, TRASH] {
            assert!(names_in(&home, name).is_empty(), "{name}");
        }
    }

    /// Its maker was killed before it had put the file in its place, or taken its second name away.
    #[test]
    fn what_was_about_to_be_the_list_of_changes_is_swept() {
        let (_folder, home) = home();
        let names = [
            "list.dirty.0123456789abcdef",
            "list.dirty",
            "list.dirty.new",
        ];
        for name in names {
            fs::write(home.path().join(name), "").unwrap();
        }
        sweep_trash(&home);
        let left = names.map(|name| home.path().join(name).exists());
        assert_eq!(left, [false, true, true]);
    }

    #[test]
    fn what_symbolic_links_lead_to_stays() {
        let (folder, home) = home();
        let kept = folder.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "").unwrap();
        let id = TaskId::parse("a").unwrap();
        task(&home, &id);
        symlink(&kept, home.path().join("tasks/a/link")).unwrap();
        remove_task(&home, &id).unwrap();
        symlink(&kept, home.path().join("trash/b.0123456789abcdef")).unwrap();
        sweep_trash(&home);
        assert!(kept.join("file").exists());
        assert!(!home.path().join("tasks/a").exists());
    }

    #[test]
    fn a_sweep_takes_leftovers_and_nothing_that_is_in_use() {
        let (_folder, home) = home();
        let [dead, busy, again] = ["dead", "busy", "again"].map(|id| TaskId::parse(id).unwrap());
        for id in [&dead, &busy, &again] {
            task(&home, id);
            let (from, to) = (
                format!("tasks/{id}"),
                format!("trash/{id}.0123456789abcdef"),
            );
            renameat(&home, from.as_str(), &home, to.as_str()).unwrap();
        }
        fs::remove_file(home.log_path(&again)).unwrap();
        task(&home, &again);
        fs::write(home.path().join("trash/not.ours"), "").unwrap();
        let lock = ShortLock::take(&home, &busy, Deadline::NEVER).unwrap();
        sweep_trash(&home);
        assert_eq!(names_in(&home, TRASH).len(), 2);
        assert!(home.log_path(&busy).exists() && home.log_path(&again).exists());
        assert!(!home.log_path(&dead).exists());
        drop(lock);
        sweep_trash(&home);
        assert_eq!(names_in(&home, TRASH), [c"not.ours".to_owned()]);
        assert_eq!(names_in(&home, LOGS), [c"again.log".to_owned()]);
    }

    #[test]
    fn what_a_start_may_still_be_making_is_not_swept() {
        let (_folder, home) = home();
        let id = TaskId::parse("fresh").unwrap();
        fs::create_dir(home.path().join("tasks/fresh")).unwrap();
        fs::write(home.path().join("logs/fresh.log.new"), "").unwrap();
        sweep_unfinished(&home, std::slice::from_ref(&id));
        assert!(home.path().join("tasks/fresh").exists());
        assert_eq!(names_in(&home, LOGS).len(), 1);
    }
}
