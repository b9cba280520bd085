//! What a probe over the network does: one question in a process of its own, this program executed
//! again. So the supervisor needs no memory for it and never waits for a network.
//!
//! It runs in the task's folder and reads from the record what to ask: URLs may hold secrets, and
//! arguments and environments can be read by others. It exits with 0 if all is well, otherwise with
//! 1 and what is wrong on its standard output.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::clock::Deadline;
use crate::process;
use crate::store::TaskDir;
use crate::task::{HealthProbe, HttpUrl, Probe};

/// When its time is over the supervisor ends it. Where the kernel does not end it with a supervisor
/// that is lost, this does, so many seconds later.
const SPARE_SECONDS: u64 = 1;
/// Of an answer that goes on and on without saying its status.
const LONGEST_HEAD: usize = 64 << 10;

/// Asks what the record of this folder says, and tells the answer.
pub(crate) fn ask() -> i32 {
    process::die_with_parent();
    let Some(health) = read_probe() else {
        return 2;
    };
    let seconds = (health.timeout_ms / 1000).saturating_add(1 + SPARE_SECONDS);
    nix::unistd::alarm::set(u32::try_from(seconds).unwrap_or(u32::MAX));
    let deadline = Deadline::after(Duration::from_millis(health.timeout_ms));
    match question(&health.probe, deadline) {
        Ok(()) => 0,
        Err(problem) => {
            let _ = io::stdout().write_all(problem.as_bytes());
            1
        }
    }
}

fn read_probe() -> Option<HealthProbe> {
    let dir = TaskDir::open_current().ok()?;
    dir.read_record().ok()?.spec.health
}

fn question(probe: &Probe, deadline: Deadline) -> Result<(), String> {
    match probe {
        Probe::Http {
            url,
            expected_status,
        } => {
            let url = HttpUrl::parse(url).map_err(str::to_owned)?;
            let status = get(&url, deadline)?;
            match expected_status {
                Some(expected) if *expected != status => {
                    Err(format!("it answered with {status}, not with {expected}"))
                }
                None if !(200..400).contains(&status) => Err(format!("it answered with {status}")),
                _ => Ok(()),
            }
        }
        Probe::Tcp { host, port } => connect(host, *port, deadline).map(drop),
        Probe::Command { .. } | Probe::Log { .. } => Err("it is asked in another way".to_owned()),
    }
}

/// One GET; redirects are answers like any other.
fn get(url: &HttpUrl<'_>, deadline: Deadline) -> Result<u16, String> {
    let mut stream = connect(url.host, url.port, deadline)?;
    let request = format!(
        "GET {}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: background-tasks/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        if url.target.starts_with('/') { "" } else { "/" },
        url.target,
        url.authority,
        env!("CARGO_PKG_VERSION"),
    );
    stream
        .write_all(request.as_bytes())
        .map_err(|error| format!("it takes no request: {error}"))?;
    read_status(&mut stream)
}

pub(crate) fn read_status(stream: &mut impl Read) -> Result<u16, String> {
    let mut head = Vec::new();
    let mut block = [0; 4096];
    while head.len() < LONGEST_HEAD {
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(n) => head.extend_from_slice(&block[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("it gives no answer: {error}")),
        }
        while let Some((status, length)) = parse_status(&head)? {
            match length {
                _ if status >= 200 => return Ok(status),
                // An interim answer: another follows its head.
                Some(length) => drop(head.drain(..length)),
                None => break,
            }
        }
    }
    Err("it gives no http answer".to_owned())
}

/// The status, once it has come, and the length of its head, once that has.
fn parse_status(head: &[u8]) -> Result<Option<(u16, Option<usize>)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(head);
    match (parsed, response.code) {
        (Ok(httparse::Status::Complete(length)), Some(code)) => Ok(Some((code, Some(length)))),
        // Nobody asks for the headers, whatever is wrong with them.
        (_, Some(code)) if code >= 200 => Ok(Some((code, None))),
        (Ok(_), _) => Ok(None),
        (Err(error), _) => Err(format!("what it answers is not http: {error}")),
    }
}

/// Tries one address after the other; none of them gets more than its share of the time.
fn connect(host: &str, port: u16, deadline: Deadline) -> Result<TcpStream, String> {
    let addresses = resolve(host, port).map_err(|error| format!("{host} is not known: {error}"))?;
    let mut problem = None;
    for (at, address) in addresses.iter().enumerate() {
        let left = deadline.remaining().unwrap_or(Duration::MAX);
        let others = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let share = (left / others).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => return Ok(stream),
            // The first address is the one that was meant most.
            Err(error) => {
                problem.get_or_insert_with(|| format!("{address} cannot be reached: {error}"));
            }
        }
    }
    Err(problem.unwrap_or_else(|| format!("{host} has no address")))
}

/// `localhost` always means this machine (RFC 6761), and both of its addresses, whatever has been
/// written down: a server may listen on one of them only.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = (host, port).to_socket_addrs();
    if !host.eq_ignore_ascii_case("localhost") {
        return Ok(found?.collect());
    }
    let mut addresses: Vec<SocketAddr> = found.into_iter().flatten().collect();
    let here = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ];
    for address in here.map(|address| SocketAddr::from((address, port))) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, as slow servers do.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn status(mut answer: &[u8]) -> Result<u16, String> {
        let slowly = read_status(&mut Slow(answer));
        let at_once = read_status(&mut answer);
        assert_eq!(slowly, at_once);
        at_once
    }

    #[test]
    fn the_status_is_all_that_is_read() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\nbody"), Ok(200));
        assert_eq!(status(b"HTTP/1.0 404 Not Found\r\nA: b\r\n"), Ok(404));
        assert_eq!(status(b"HTTP/1.1 503\r\nA: b\r\n\r\n"), Ok(503));
        let many = format!("HTTP/1.1 204 No\r\n{}\r\n", "A: b\r\n".repeat(100));
        assert_eq!(status(many.as_bytes()), Ok(204));
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let answer = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 301 Moved\r\n\r\n";
        assert_eq!(status(answer), Ok(301));
        assert!(status(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n").is_err());
    }

    #[test]
    fn what_is_not_http_is_told() {
        assert!(status(b"").unwrap_err().contains("no http answer"));
        let told = status(b"SSH-2.0-OpenSSH_9.9\r\n").unwrap_err();
        assert!(told.contains("not http"), "{told}");
    }

    #[test]
    fn addresses_need_no_name_server() {
        let found = resolve("localhost", 80).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert_eq!(found.len(), 2);
        assert!(resolve("::1", 80).unwrap()[0].is_ipv6());
    }
}
