//! Frames of lines as they are written by hand, beside what serde_json makes of them.

use std::borrow::Cow;
use std::path::Path;

use background_tasks_core::Timestamp;
use background_tasks_core::event::{Frame, FrameData, LineData, StreamName};
use background_tasks_core::log::CursorText;
use background_tasks_core::task::TaskId;

use crate::line_frame::LineFrames;

/// Lines of a log: a byte of flags and eight of numbers, then the text.
pub fn frames(_: &Path, input: &[u8]) {
    let Ok(id) = TaskId::parse("t") else { return };
    let mut frames = LineFrames::default();
    for line in input.split(|&byte| byte == b'\n') {
        let Some(([flags, number @ ..], text)) = line.split_first_chunk::<9>() else {
            continue;
        };
        let number = u64::from_le_bytes(*number);
        let text = String::from_utf8_lossy(text);
        let stream = [StreamName::STDOUT, StreamName::STDERR][usize::from(flags & 1)];
        let line = LineData {
            line: Cow::Borrowed(&text),
            number,
            stream,
            partial: flags & 2 != 0,
            continues: flags & 4 != 0,
        };
        let second = format!("2026-01-31T09:30:{:02}.125Z", flags >> 4);
        let Some(timestamp) = Timestamp::parse(&second) else {
            continue;
        };
        let frame = Frame {
            r#type: Cow::Borrowed("task.log.line"),
            task_id: Cow::Borrowed(&id),
            sequence: number.rotate_left(7),
            timestamp,
            data: FrameData::Line(line.clone()),
            cursor: CursorText::default(),
        };
        let mut json = Vec::new();
        frames
            .write(&frame, &line, &mut json)
            .expect("memory takes it");
        let expected = serde_json::to_vec(&frame).expect("a frame has a JSON form");
        assert_eq!(json, expected, "{}", String::from_utf8_lossy(&json));
    }
}
