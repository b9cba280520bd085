//! What holds for every line.

use super::tests::{NO_LIMIT, clean, render};
use super::*;
use proptest::prelude::*;

/// A line, made of what lines are made of.
fn fragments(of: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(of, 0..30).prop_map(|parts| parts.concat())
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    "[xyz éü漢😀\u{301}\u{fe0f}]{0,6}".prop_map(String::into_bytes)
}

/// What a terminal shows nothing of. No letter of `text` is in it.
const INVISIBLE: &[&str] = &[
    "\x1b[0m",
    "\x1b[1;31m",
    "\x1b[38:2::10:20:30m",
    "\x1b[?25l",
    "\x1b(B",
    "\x1b=",
    "\x07",
    "\x1b]0;title ✓\x07",
    "\x1b]8;id=1;http://a.b/c\x1b\\",
    "\x1b]8;;\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1bktmux\x1b\\",
    "\u{85}",
    "\0",
];

fn invisible() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(INVISIBLE).prop_map(|text| text.as_bytes().to_vec())
}

/// Everything that means something, and garbage.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => text(),
        2 => invisible(),
        2 => proptest::sample::select(&b"\r\t\x08\x1b\x0b\x18[]"[..]).prop_map(|byte| vec![byte]),
        3 => (0_u16..100, proptest::sample::select(&b"ABCDEFGHJKPX@dfsu78"[..]))
            .prop_map(|(n, command)| format!("\x1b[{n}{}", char::from(command)).into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

/// Where to split, as parts of the whole.
fn splits() -> impl Strategy<Value = Vec<proptest::sample::Index>> {
    proptest::collection::vec(any::<proptest::sample::Index>(), 0..12)
}

fn places(splits: &[proptest::sample::Index], length: usize) -> Vec<usize> {
    let mut places: Vec<_> = splits.iter().map(|split| split.index(length + 1)).collect();
    places.sort_unstable();
    places
}

/// The simplest terminal that could be right: ASCII, `\r` (text behind it is the new state of the
/// line), `\b` and erasing to the end.
fn model(line: &str) -> String {
    let (mut cells, mut column, mut redrawn) = (Vec::new(), 0, false);
    let mut returned = false;
    for byte in line.replace("\x1b[K", "K").bytes() {
        match byte {
            b'\r' => (column, returned) = (0, true),
            8 => (column, returned) = (column.max(1) - 1, false),
            b'K' => {
                redrawn |= column < cells.len();
                cells.truncate(column);
            }
            _ => {
                redrawn |= column < cells.len();
                if std::mem::take(&mut returned) {
                    cells.clear();
                }
                cells.resize(cells.len().max(column + 1), b' ');
                cells[column] = byte;
                column += 1;
            }
        }
    }
    let text = String::from_utf8(cells).unwrap();
    match redrawn {
        true => text.trim_end_matches(' ').to_owned(),
        false => text,
    }
}

proptest! {
    #[test]
    fn redraws_equal_a_simple_model(
        line in "([xyz ]{0,9}|\r|\x08{1,4}|\x1b\\[K){0,20}",
    ) {
        prop_assert_eq!(clean(&line), model(&line));
    }

    #[test]
    fn clean_text_is_clean(line in fragments(anything()), limit in 0_usize..200) {
        let (text, clipped) = render(View::Clean, limit, &line);
        let controls = text.chars().filter(|c| c.is_control() && *c != '\t').count();
        prop_assert_eq!(controls, 0);
        prop_assert_eq!(clipped, text.ends_with(" bytes cut]"));
        let shown = text.rfind("… [").filter(|_| clipped).unwrap_or(text.len());
        prop_assert!(shown <= limit, "{} bytes, allowed are {}", shown, limit);
        prop_assert_eq!(clean(&text), text);
    }

    #[test]
    fn pieces_equal_the_whole(
        line in fragments(anything()), splits in splits(), limit in 0_usize..200, ended: bool,
    ) {
        for view in [View::Clean, View::Raw] {
            let mut one = Renderer::new(view, limit);
            let mut other = Renderer::new(view, limit);
            // What came before must not matter.
            other.begin();
            other.feed(b"left\x1b]over\xe2");
            other.begin();
            let mut from = 0;
            for to in places(&splits, line.len()) {
                other.feed(&line[from..to]);
                from = to;
            }
            other.feed(&line[from..]);
            prop_assert_eq!(one.whole(&line, ended), other.finish(ended));
        }
    }

    #[test]
    fn what_is_raw_is_only_made_valid(line in fragments(anything())) {
        let (text, _) = render(View::Raw, NO_LIMIT, &line);
        prop_assert_eq!(text, String::from_utf8_lossy(&line));
    }

    #[test]
    fn a_line_that_is_read_while_it_grows_shows_no_garbage(
        line in fragments(prop_oneof![2 => text(), 3 => invisible()]),
        end in prop_oneof![Just(""), Just("\r"), Just("\x1b[0m\r")],
        splits in splits(),
    ) {
        let line = [line.as_slice(), end.as_bytes()].concat();
        for view in [View::Clean, View::Raw] {
            let mut renderer = Renderer::new(view, NO_LIMIT);
            let (mut given, mut shown) = (0, String::new());
            for length in places(&splits, line.len()) {
                // What was given once is not held back later.
                let next = given + settled_length(view, &line[given.min(length)..length]);
                if next > given {
                    shown.push_str(renderer.whole(&line[given..next], false).text);
                    given = next;
                }
            }
            shown.push_str(renderer.whole(&line[given..], true).text);
            prop_assert_eq!(shown, render(view, NO_LIMIT, &line).0);
        }
    }
}
