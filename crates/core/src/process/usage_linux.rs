//! What processes use, from `/proc`: see `proc_pid_stat(5)`, `proc_pid_smaps(5)`, `proc_net(5)`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::Read;

use super::Usage;

/// What one process uses; `None` when it has ended.
pub(crate) fn usage(pid: i32) -> Option<Usage> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let ticks = cpu_ticks(&stat)?;
    Some(Usage {
        cpu_ms: ticks.saturating_mul(1000) / ticks_per_second(),
        memory_bytes: proportional(pid).or_else(|| resident(pid)).unwrap_or(0),
    })
}

/// Its own time and that of the children it has waited for, in user and in kernel mode; `None` for
/// a zombie. Fields are counted from the name's end, since the name may hold anything.
fn cpu_ticks(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let text = std::str::from_utf8(&stat[after_name..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let is_zombie = fields.next()? == "Z";
    let times = fields.skip(10).take(4).map(str::parse::<u64>);
    let times = times.collect::<Result<Vec<_>, _>>().ok()?;
    (times.len() == 4 && !is_zombie).then(|| times.iter().sum())
}

fn ticks_per_second() -> u64 {
    let told = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    let told = told
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok());
    told.filter(|&ticks| ticks > 0).unwrap_or(100)
}

/// Resident memory, what is shared divided by the number of those who share it: a sum over processes
/// counts nothing twice.
fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Resident memory as it is counted for one process, where the other is not told (another user's
/// process, mostly).
fn resident(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(size).ok()?)
}

/// The TCP ports on which any of the processes listens, over IPv4 or IPv6. Who they are is known
/// only of processes whose descriptors may be looked at.
pub(crate) fn listening_ports(pids: &[i32]) -> Option<BTreeSet<u16>> {
    // Sockets by the network that they are in: each has tables of its own.
    let mut networks: BTreeMap<OsString, (i32, BTreeSet<u64>)> = BTreeMap::new();
    for &pid in pids {
        let sockets = sockets_of(pid);
        if sockets.is_empty() {
            continue;
        }
        let network = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap_or_default();
        let entry = networks.entry(network.into_os_string());
        entry.or_insert((pid, BTreeSet::new())).1.extend(sockets);
    }
    let mut ports = BTreeSet::new();
    for (pid, sockets) in networks.values() {
        for table in ["tcp", "tcp6"] {
            let mut text = Vec::new();
            let read = fs::File::open(format!("/proc/{pid}/net/{table}"))
                .and_then(|mut file| file.read_to_end(&mut text));
            if read.is_ok() {
                let lines = text.split(|&byte| byte == b'\n').skip(1);
                let listening = lines.filter_map(listener);
                ports.extend(
                    listening
                        .filter(|(_, inode)| sockets.contains(inode))
                        .map(|(port, _)| port),
                );
            }
        }
    }
    Some(ports)
}

/// The inodes of the sockets that a process has open.
fn sockets_of(pid: i32) -> BTreeSet<u64> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    open.flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            inode.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

/// Port and inode of a line of the table, if that socket listens.
fn listener(line: &[u8]) -> Option<(u16, u64)> {
    const LISTEN: &str = "0A";
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let (_, port) = local.rsplit_once(':')?;
    Some((
        u16::from_str_radix(port, 16).ok()?,
        fields.nth(5)?.parse().ok()?,
    ))
}

/// See [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(super) fn fuzz(input: &[u8]) {
    cpu_ticks(input);
    listener(input);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn both_own_time_and_that_of_children_count() {
        let line = b"42 (a) b (c)) S 7 42 40 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 9 1 2";
        assert_eq!(cpu_ticks(line), Some(4330));
        assert_eq!(
            cpu_ticks(b"42 (x) Z 7 42 40 0 -1 0 1 2 3 4 1 1 1 1 20 0 1 0 9"),
            None
        );
        assert_eq!(cpu_ticks(b"42 (x) S 7 42"), None);
    }

    #[test]
    fn a_listening_socket_is_told_and_a_connected_one_is_not() {
        let line = b"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 100 0 0 10 0";
        assert_eq!(listener(line), Some((8080, 12345)));
        let connected = b"   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 12346 1";
        assert_eq!(listener(connected), None);
        assert_eq!(listener(b""), None);
    }

    #[test]
    fn our_own_use_is_told() {
        let me = std::process::id().cast_signed();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listening_ports(&[me]).unwrap().contains(&port));
        let used = usage(me).unwrap();
        assert!(used.memory_bytes > 100_000);
        assert!(resident(me).unwrap() >= proportional(me).unwrap() / 2);
        assert!(usage(-5).is_none());
    }
}
