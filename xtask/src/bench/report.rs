//! Figures: what is kept of them, the table, and the file.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Setup;
use crate::Result;

/// Figures of one kind, in the order in which they were measured.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The figure below which this share of all lies; 0 when there is none.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = share * sorted.len().saturating_sub(1) as f64;
        let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(0.0);
        let (below, above) = (at(place.floor()), at(place.ceil()));
        below + (above - below) * place.fract()
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

/// A line of the table.
pub struct Row {
    group: &'static str,
    name: String,
    unit: &'static str,
    samples: Samples,
    ratio: Option<f64>,
    remark: String,
}

impl Row {
    /// A line without anything to compare it with.
    pub fn new(name: impl Into<String>, unit: &'static str, samples: Samples) -> Self {
        Self {
            group: "",
            name: name.into(),
            unit,
            samples,
            ratio: None,
            remark: String::new(),
        }
    }

    /// Puts it into a group.
    pub fn of(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Compares its median with that of another.
    pub fn against(mut self, base: f64) -> Self {
        self.ratio = (base > 0.0).then(|| self.median() / base);
        self
    }

    /// Adds a remark, made from the median.
    pub fn remark(mut self, remark: impl FnOnce(f64) -> String) -> Self {
        self.remark = remark(self.median());
        self
    }

    fn median(&self) -> f64 {
        self.samples.median()
    }

    fn cells(&self) -> [String; 8] {
        let figure = |share| format!("{:.2}", self.samples.quantile(share));
        [
            self.group.to_owned(),
            self.name.clone(),
            self.samples.0.len().to_string(),
            format!("{} {}", figure(0.5), self.unit),
            figure(0.1),
            figure(0.9),
            self.ratio
                .map_or(String::new(), |ratio| format!("{ratio:.2}")),
            self.remark.clone(),
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "n": self.samples.0.len(),
            "median": self.median(),
            "p10": self.samples.quantile(0.1),
            "p90": self.samples.quantile(0.9),
            "ratio": self.ratio,
            "remark": self.remark,
        })
    }
}

/// Prints all lines, columns aligned.
pub fn print(rows: &[Row]) {
    let head = [
        "group", "measured", "n", "median", "p10", "p90", "ratio", "remark",
    ]
    .map(str::to_owned);
    let table: Vec<_> = std::iter::once(head)
        .chain(rows.iter().map(Row::cells))
        .collect();
    let width = |column: usize| {
        table
            .iter()
            .map(|cells| cells[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..8).map(width).collect();
    println!();
    for cells in &table {
        let mut line = format!("{:<2$}  {:<3$}", cells[0], cells[1], widths[0], widths[1]);
        for column in 2..7 {
            line += &format!("  {:>1$}", cells[column], widths[column]);
        }
        println!("{}", format!("{line}  {}", cells[7]).trim_end());
    }
}

/// Writes all lines with what they were measured on.
pub fn write(path: &Path, setup: &Setup, rows: &[Row]) -> Result {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let results = json!({
        "machine": {
            "os": OS,
            "arch": ARCH,
            "kernel": kernel.trim(),
            "cpus": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        },
        "binary_bytes": fs::metadata(&setup.binary)?.len(),
        "quick": setup.quick,
        "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
    });
    fs::write(path, format!("{results:#}\n"))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_figures() {
        let samples: Samples = [4.0, 1.0, 3.0, 2.0].into_iter().collect();
        assert_eq!(samples.median(), 2.5);
        assert_eq!(samples.quantile(0.0), 1.0);
        assert_eq!(samples.quantile(1.0), 4.0);
        assert_eq!(Samples::default().median(), 0.0);
    }
}
