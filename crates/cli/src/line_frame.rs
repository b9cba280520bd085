//! `task.log.line` frames as JSON text. Nearly all frames of a stream are such, and a stream of a
//! large log is limited by writing them.
//!
//! The text is serde_json's, byte for byte; a test compares them.

use std::io;

use background_tasks_core::Timestamp;
use background_tasks_core::event::{Frame, LineData};

/// Writes the frames of lines. Lines that were written together have one time, so its text is kept.
#[derive(Debug, Default)]
pub(crate) struct LineFrames {
    timestamp: Option<(Timestamp, String)>,
}

impl LineFrames {
    /// Appends the frame of a line.
    pub(crate) fn write(
        &mut self,
        frame: &Frame<'_>,
        line: &LineData<'_>,
        json: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut number = itoa::Buffer::new();
        json.extend_from_slice(b"{\"type\":\"task.log.line\",\"task_id\":\"");
        // Neither an id nor a cursor holds anything to be escaped.
        json.extend_from_slice(frame.task_id.as_str().as_bytes());
        json.extend_from_slice(b"\",\"sequence\":");
        json.extend_from_slice(number.format(frame.sequence).as_bytes());
        json.extend_from_slice(b",\"timestamp\":\"");
        json.extend_from_slice(self.text_of(frame.timestamp).as_bytes());
        json.extend_from_slice(b"\",\"data\":{\"line\":");
        write_text(&line.line, json)?;
        json.extend_from_slice(b",\"number\":");
        json.extend_from_slice(number.format(line.number).as_bytes());
        json.extend_from_slice(b",\"stream\":\"");
        json.extend_from_slice(line.stream.as_str().as_bytes());
        json.push(b'"');
        if line.partial {
            json.extend_from_slice(b",\"partial\":true");
        }
        if line.continues {
            json.extend_from_slice(b",\"continues\":true");
        }
        json.extend_from_slice(b"},\"cursor\":\"");
        json.extend_from_slice(frame.cursor.as_bytes());
        json.extend_from_slice(b"\"}");
        Ok(())
    }

    fn text_of(&mut self, timestamp: Timestamp) -> &str {
        if self
            .timestamp
            .as_ref()
            .is_none_or(|(of, _)| *of != timestamp)
        {
            self.timestamp = None;
        }
        let text = || (timestamp, timestamp.to_string());
        &self.timestamp.get_or_insert_with(text).1
    }
}

/// A text as a JSON string.
fn write_text(text: &str, json: &mut Vec<u8>) -> io::Result<()> {
    if has_escapes(text.as_bytes()) {
        return Ok(serde_json::to_writer(json, text)?);
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
    Ok(())
}

/// Whether a byte is below 0x20, `"` or `\`, eight bytes at a time.
fn has_escapes(text: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * EACH;
    // Sets the top bit of a byte below `bound`; where there is none, of no byte.
    let below = |word: u64, bound: u64| word.wrapping_sub(bound * EACH) & !word & TOP;
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    let (words, rest) = text.as_chunks::<8>();
    let escapes_in = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        let equals = |byte: u8| below(word ^ (u64::from(byte) * EACH), 1);
        below(word, 0x20) | equals(b'"') | equals(b'\\') != 0
    };
    words.iter().any(escapes_in) || !rest.iter().copied().all(is_plain)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use background_tasks_core::event::{FrameData, StreamName};
    use background_tasks_core::log::CursorText;
    use background_tasks_core::task::TaskId;
    use proptest::prelude::*;

    use super::*;

    fn timestamp() -> impl Strategy<Value = Timestamp> {
        (0_u32..3).prop_map(|second| {
            Timestamp::parse(&format!("2026-01-31T09:30:{second:02}.125Z")).unwrap()
        })
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_serde_json(
            lines in proptest::collection::vec((any::<String>(), timestamp(), any::<[u64; 2]>()), 1..5),
            id in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            is_stderr: bool,
            partial: bool,
            continues: bool,
        ) {
            let id = TaskId::parse(&id).unwrap();
            let mut frames = LineFrames::default();
            for (text, timestamp, [sequence, number]) in lines {
                let line = LineData {
                    line: Cow::Borrowed(&text),
                    number,
                    stream: if is_stderr { StreamName::STDERR } else { StreamName::STDOUT },
                    partial,
                    continues,
                };
                let frame = Frame {
                    r#type: Cow::Borrowed("task.log.line"),
                    task_id: Cow::Borrowed(&id),
                    sequence,
                    timestamp,
                    data: FrameData::Line(line.clone()),
                    cursor: CursorText::default(),
                };
                let mut json = Vec::new();
                frames.write(&frame, &line, &mut json).unwrap();
                prop_assert_eq!(String::from_utf8(json).unwrap(), serde_json::to_string(&frame).unwrap());
            }
        }
    }

    #[test]
    fn every_character_that_has_an_escape_is_found_anywhere() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut text = [b'x'; 20];
                text[at] = byte;
                let expected = byte < 0x20 || byte == b'"' || byte == b'\\';
                assert_eq!(has_escapes(&text), expected, "{byte} at {at}");
            }
        }
    }
}
