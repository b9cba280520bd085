//! What no source file may hold: leftovers of work in progress, paths of one machine, and more
//! lines than a reader wants to see.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::workspace::Workspace;

/// Each in two halves, for this file is checked as well.
const LEFTOVERS: [&str; 5] = [
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("db", "g!"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
/// A path that means something on one machine only.
const MACHINE_PATH: &str = concat!("/wo", "rk/");
/// How long a file may be; tests do not count.
const LINES: usize = 300;

/// Looks through every Rust file of the checkout; returns how many there are.
pub fn check(workspace: &Workspace) -> Result<usize> {
    let mut files = Vec::new();
    collect(&workspace.root, &mut files)?;
    files.sort();
    let mut problems = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let name = file.strip_prefix(&workspace.root).unwrap_or(file);
        problems.extend(problems_of(name, &text));
    }
    if problems.is_empty() {
        Ok(files.len())
    } else {
        Err(problems.join("\n").into())
    }
}

/// Finds the Rust files below a folder, leaving out hidden folders and what cargo builds.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !hidden && !path.join("CACHEDIR.TAG").exists() {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn problems_of(file: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let found = LEFTOVERS.iter().find(|word| holds_word(line, word));
        let found = found.or_else(|| line.contains(MACHINE_PATH).then_some(&MACHINE_PATH));
        if let Some(found) = found {
            problems.push(format!("{}:{number}: `{found}`", file.display()));
        }
    }
    let lines = text
        .lines()
        .take_while(|line| *line != concat!("#[cfg(", "test)]"))
        .count();
    let is_test = file.components().any(|part| part.as_os_str() == "tests");
    if lines > LINES && !is_test {
        problems.push(format!(
            "{}: {lines} lines, {LINES} are allowed",
            file.display()
        ));
    }
    problems
}

/// Whether a line holds a word that is not part of a longer one.
fn holds_word(line: &str, word: &str) -> bool {
    let part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(part_of_word) && !line[at + word.len()..].starts_with(part_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(file: &str, text: &str) -> usize {
        problems_of(Path::new(file), text).len()
    }

    #[test]
    fn leftovers_are_found_as_whole_words() {
        for word in LEFTOVERS {
            assert_eq!(count("a.rs", &format!("  {word}(1)")), 1, "{word}");
            assert_eq!(count("a.rs", &format!("let a{word}b = 1;")), 0, "{word}");
        }
    }

    #[test]
    fn machine_paths_are_found() {
        assert_eq!(count("a.rs", &format!("\"{MACHINE_PATH}main\"")), 1);
    }

    #[test]
    fn only_tests_may_be_long() {
        let text = "\n".repeat(LINES + 1);
        assert_eq!(count("src/a.rs", &text), 1);
        assert_eq!(count("tests/it/a.rs", &text), 0);
        assert_eq!(count("src/a.rs", &text[1..]), 0);
    }
}
