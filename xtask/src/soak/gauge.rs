//! What the tasks take from the machine, read again and again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::bench::home::Home;
use crate::bench::memory::private_dirty;
use crate::bench::report::Samples;

/// One reading.
#[derive(Clone, Copy, Debug)]
pub struct Readings {
    at: Duration,
    supervisors: f64,
    memory_kib: f64,
    descriptors: f64,
    disk_kib: f64,
    files: f64,
}

impl Readings {
    fn figures(&self) -> [(&'static str, f64); 4] {
        [
            ("private memory per supervisor, KiB", self.memory_kib),
            ("descriptors per supervisor", self.descriptors),
            ("disk of the home, KiB", self.disk_kib),
            ("files of the home", self.files),
        ]
    }

    /// The middle of each figure.
    pub fn median_of(readings: &[Self]) -> Self {
        let median =
            |figure: fn(&Self) -> f64| readings.iter().map(figure).collect::<Samples>().median();
        Self {
            at: readings.last().map_or(Duration::ZERO, |last| last.at),
            supervisors: median(|one| one.supervisors),
            memory_kib: median(|one| one.memory_kib),
            descriptors: median(|one| one.descriptors),
            disk_kib: median(|one| one.disk_kib),
            files: median(|one| one.files),
        }
    }

    /// Each figure of this and of another reading.
    pub fn beside(&self, other: &Self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        let pairs = self.figures().into_iter().zip(other.figures());
        pairs.map(|((name, one), (_, two))| (name, one, two))
    }
}

/// All readings of a day.
pub struct Gauge<'a> {
    home: &'a Home,
    readings: Vec<Readings>,
}

impl<'a> Gauge<'a> {
    /// None yet.
    pub fn new(home: &'a Home) -> Self {
        let readings = Vec::new();
        Self { home, readings }
    }

    /// What has been read so far.
    pub fn readings(&self) -> &[Readings] {
        &self.readings
    }

    /// Reads everything once. A supervisor that has just been replaced is left out.
    pub fn read(&mut self, supervisors: &[i32], at: Duration) -> Result {
        let memory: Samples = (supervisors.iter())
            .filter_map(|pid| private_dirty(*pid).ok())
            .collect();
        let open = |pid: &i32| Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as f64);
        let descriptors: Samples = supervisors.iter().filter_map(open).collect();
        let (disk_kib, files) = size(&self.home.folder)?;
        self.readings.push(Readings {
            at,
            supervisors: supervisors.len() as f64,
            memory_kib: memory.median(),
            descriptors: descriptors.median(),
            disk_kib,
            files,
        });
        Ok(())
    }

    /// One line each.
    pub fn print(&self) {
        for reading in &self.readings {
            let figures = reading
                .figures()
                .map(|(name, figure)| format!("{name} {figure:.0}"));
            println!(
                "{:>5.0} s, {} supervisors: {}",
                reading.at.as_secs_f64(),
                reading.supervisors,
                figures.join(", ")
            );
        }
    }
}

/// KiB and number of what is below a folder; what goes while it is read is not counted, and the lock
/// files, of which each id that there ever was keeps an empty one: a lock that is unlinked and made
/// anew has two holders.
fn size(folder: &Path) -> Result<(f64, f64)> {
    let (mut kib, mut files) = (0.0, 0.0);
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if entry.file_name().as_encoded_bytes().ends_with(b".lock") && metadata.len() == 0 {
                continue;
            }
            kib += metadata.blocks() as f64 / 2.0;
            files += 1.0;
            if metadata.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok((kib, files))
}
