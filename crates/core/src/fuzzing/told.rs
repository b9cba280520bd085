//! What others tell: servers, files of variables, the kernel.

use std::io::{self, Read};
use std::path::Path;

use crate::supervisor::{fuzz_cgroups, read_status};
use crate::{env_file, process};

/// Gives a few bytes at a time, as slow servers do.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.len().min(buffer.len()).min(7);
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

/// What a server answers to a probe: the same, however it comes.
pub(super) fn answer(_: &Path, input: &[u8]) {
    let slowly = read_status(&mut Slow(input));
    let at_once = read_status(&mut &*input);
    assert_eq!(slowly.is_ok(), at_once.is_ok(), "{slowly:?}, {at_once:?}");
    assert_eq!(slowly.ok(), at_once.ok());
}

/// A dotenv file. What it sets can be handed to a command.
pub(super) fn env_file(_: &Path, input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for (name, value) in env_file::parse(text).unwrap_or_default() {
        assert!(env_file::is_variable_name(&name), "{name:?}");
        assert!(!value.contains('\0'), "{value:?}");
    }
}

/// Files of `/proc`.
pub(super) fn proc(_: &Path, input: &[u8]) {
    process::fuzz_proc(input);
    fuzz_cgroups(input);
}
