//! The end of a run, written in place into a file that was allocated when the run began: on a
//! full disk nothing can be created or renamed, but what is allocated can still be filled.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;
use crate::clock::Timestamp;
use crate::task::{Facts, Generation, TaskState};

/// How much is allocated. An end takes a few hundred bytes.
const SIZE: usize = 4096;

/// The end of one run of one generation.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndRecord {
    version: u32,
    generation: Generation,
    run: u32,
    revision: u64,
    updated_at: Timestamp,
    state: TaskState,
}

impl EndRecord {
    pub(crate) fn of(facts: &Facts) -> Self {
        Self {
            version: FORMAT_VERSION,
            generation: facts.generation.clone(),
            run: facts.run,
            revision: facts.revision,
            updated_at: facts.updated_at,
            state: facts.state.clone(),
        }
    }

    /// Brings facts up to date if this is the end of the very run that they speak of, or of a later
    /// one: on a full disk not even the beginning of that could be put on record.
    pub(crate) fn complete(self, facts: &mut Facts) -> bool {
        let is_news = self.generation == facts.generation && self.run >= facts.run;
        if is_news {
            facts.run = self.run;
            facts.state = self.state;
            facts.revision = self.revision;
            facts.updated_at = self.updated_at;
        }
        is_news
    }

    /// Fills a new file so that every block of it is allocated.
    pub(crate) fn preallocate(file: &File) -> io::Result<()> {
        file.write_all_at(&[0; SIZE], 0)
    }

    /// Writes this end over whatever the file holds.
    pub(crate) fn write(&self, file: &File) -> io::Result<()> {
        let mut block = [0; SIZE];
        let encoded = self.encode()?;
        block[..encoded.len()].copy_from_slice(&encoded);
        file.write_all_at(&block, 0)
    }

    /// `<crc32 in hex> <json>\n`: a torn write does not fit its checksum.
    fn encode(&self) -> io::Result<Vec<u8>> {
        const CHECKSUM: usize = 9;
        let mut block = Vec::with_capacity(1024);
        block.resize(CHECKSUM, b' ');
        serde_json::to_writer(&mut block, self)?;
        let checksum = crc32fast::hash(&block[CHECKSUM..]);
        write!(&mut block[..CHECKSUM], "{checksum:08x}")?;
        block.push(b'\n');
        if block.len() > SIZE {
            return Err(io::Error::other("the end of a run does not fit its file"));
        }
        Ok(block)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let line = &bytes[..end];
        let (checksum, json) = line.split_at_checked(9)?;
        let expected = std::str::from_utf8(checksum).ok()?.strip_suffix(' ')?;
        let expected = u32::from_str_radix(expected, 16).ok()?;
        (crc32fast::hash(json) == expected)
            .then(|| serde_json::from_slice(json).ok())
            .flatten()
            .filter(|end: &Self| end.version <= FORMAT_VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> EndRecord {
        EndRecord {
            version: FORMAT_VERSION,
            generation: Generation::generate(),
            run: 3,
            revision: 9,
            updated_at: Timestamp::now(),
            state: TaskState::Starting,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let file = tempfile::tempfile().unwrap();
        EndRecord::preallocate(&file).unwrap();
        assert_eq!(file.metadata().unwrap().len(), SIZE as u64);
        let end = end();
        end.write(&file).unwrap();
        let mut bytes = vec![0; SIZE];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(EndRecord::decode(&bytes), Some(end));
    }

    #[test]
    fn a_torn_or_empty_one_is_none() {
        assert_eq!(EndRecord::decode(&[0; SIZE]), None);
        assert_eq!(EndRecord::decode(b""), None);
        assert_eq!(EndRecord::decode(b"{\"trunc"), None);
        let whole = end().encode().unwrap();
        for at in 0..whole.len() - 1 {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            assert_eq!(EndRecord::decode(&torn), None, "byte {at}");
            assert_eq!(EndRecord::decode(&whole[..at]), None, "cut at {at}");
        }
    }
}
