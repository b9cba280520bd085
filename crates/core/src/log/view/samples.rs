//! What real tools print, and what is shown of it: `tests/data/output`.

use std::fs;
use std::path::Path;

use super::{Renderer, View};

/// The file as `logs` would show it.
fn clean(raw: &[u8]) -> String {
    let mut renderer = Renderer::new(View::Clean, 64 << 10);
    let mut text = String::new();
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        let (line, end) = match line.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        text.push_str(renderer.whole(line, !end.is_empty()).text);
        text.push_str(end);
    }
    text
}

fn compare(folder: &Path, name: &str) {
    let raw = fs::read(folder.join(format!("{name}.raw"))).unwrap();
    let expected = fs::read_to_string(folder.join(format!("{name}.clean"))).unwrap();
    let shown = clean(&raw);
    let mut lines = (1..).zip(shown.lines().zip(expected.lines()));
    if let Some((number, (shown, expected))) = lines.find(|(_, (shown, line))| shown != line) {
        panic!("{name}, line {number}:\nexpected {expected:?}\n   shown {shown:?}");
    }
    assert_eq!(shown, expected, "{name}: lines are missing or too many");
}

#[test]
fn what_tools_print_is_shown_as_a_person_would_want_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/output");
    let mut compared = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "raw") {
            compare(&folder, path.file_stem().unwrap().to_str().unwrap());
            compared += 1;
        }
    }
    assert!(compared > 0, "there are no samples");
}
