//! What a command wrote, as readers see it.

use std::path::Path;

use super::{Frames, ended_record, home_in, id, write};
use crate::log::{Pattern, Renderer, View, settled_length};
use crate::op::{self, ArtifactMode, Follow};
use crate::request::{Logs, LogsReply};

/// One line. The first byte says what of it may be shown, the second where it is split.
pub(super) fn view(_: &Path, input: &[u8]) {
    let [limit, split, line @ ..] = input else {
        return;
    };
    let limit = usize::from(*limit) * 2;
    let split = usize::from(*split).min(line.len());
    for view in View::ALL {
        for ended in [false, true] {
            let mut one = Renderer::new(view, limit);
            let mut other = Renderer::new(view, limit);
            other.begin();
            other.feed(b"left\x1b]over\xe2");
            other.begin();
            other.feed(&line[..split]);
            other.feed(&line[split..]);
            let shown = one.whole(line, ended);
            assert_eq!(shown, other.finish(ended));
            let text = shown.text;
            let kept = text.rfind("… [").filter(|_| shown.clipped);
            assert!(kept.unwrap_or(text.len()) <= limit, "{} bytes", text.len());
            if view == View::Clean {
                let is_bare = |c: char| !c.is_control() || c == '\t';
                assert!(text.chars().all(is_bare), "{text:?}");
            }
        }
        assert!(settled_length(view, line) <= line.len());
        let mut raw = Renderer::new(View::Raw, usize::MAX);
        assert_eq!(raw.whole(line, true).text, String::from_utf8_lossy(line));
    }
}

/// A pattern on the first line, a log behind that. What a search of blocks finds is what a look at
/// each line finds; of text, that is: what is not is searched as it was written, and shown mended.
pub(super) fn pattern(folder: &Path, input: &[u8]) {
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (text, log) = (&input[..end], &input[end + 1..]);
    let (Ok(text), Ok(written)) = (std::str::from_utf8(text), std::str::from_utf8(log)) else {
        return;
    };
    if written.contains(|c| matches!(c, '\u{80}'..='\u{9f}')) {
        return;
    }
    let Ok(pattern) = Pattern::compile("grep", text) else {
        return;
    };
    let (home, _dir) = home_in(folder);
    write(&home, "tasks/t/task.json", ended_record("merge").as_bytes());
    // A line without end may look otherwise once it has one.
    write(&home, "tasks/t/log", &[log, b"\n"].concat());
    let client = super::client_of(&home);
    for view in View::ALL {
        let mut all = Frames::default();
        let request = Logs {
            lines: Some(usize::MAX),
            view,
            max_line_bytes: Some(1 << 20),
            ..Logs::of(id())
        };
        op::stream_logs(&client, &request, Follow::No, &mut all).expect("a log can be read");
        let is_match = |line: &&String| pattern.matches(line.strip_suffix('\r').unwrap_or(line));
        let expected: Vec<_> = all.lines.iter().filter(is_match).collect();
        let searching = Logs {
            grep: Some(text.to_owned()),
            max_matches: Some(usize::MAX),
            max_bytes: Some(usize::MAX),
            lines: None,
            ..request.clone()
        };
        let found = match op::logs(&client, &searching, ArtifactMode::Inline) {
            Ok(LogsReply::Inline(answer)) => answer.matches.expect("it was searched"),
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = found.iter().map(|found| &found.line).collect();
        assert_eq!(found, expected, "{view:?}");
    }
}
