//! Lines and what is shown of them.

use super::*;

pub(super) const NO_LIMIT: usize = 1 << 20;

pub(super) fn render(view: View, limit: usize, line: &[u8]) -> (String, bool) {
    let mut renderer = Renderer::new(view, limit);
    let shown = renderer.whole(line, true);
    (shown.text.to_owned(), shown.clipped)
}

pub(super) fn clean(line: impl AsRef<[u8]>) -> String {
    render(View::Clean, NO_LIMIT, line.as_ref()).0
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(clean(line), *expected, "{line:?}");
    }
}

#[test]
fn sequences_and_control_characters_disappear() {
    check(&[
        ("plain\ttext ", "plain\ttext "),
        (
            "\x1b[1;31merror\x1b[0m: \x1b[38;2;1;2;3mx\x1b[m",
            "error: x",
        ),
        ("\x1b]0;title ✓\x07text", "text"),
        (
            "\x1b]8;;http://a/✓\x1b\\link\x1b]8;;\x1b\\ after",
            "link after",
        ),
        (
            "\x1bP1$r0m ✓ \x1b\\a\x1b_apc\x1b\\b\x1bktitle\x1b\\c\x1b(Bd\x1b=e",
            "abcde",
        ),
        ("\x1b[?25l\x1b[?1049hx\x1b[?25h", "x"),
        ("a\0b\x07c\x7fd\u{80}e\u{9b}f", "abcdef"),
        ("cut off\x1b[3", "cut off"),
        ("a\x1b[31é\x1bëb", "aéëb"),
        ("crlf\r", "crlf"),
        ("crlf with colour\x1b[0m\r", "crlf with colour"),
        ("", ""),
    ]);
}

#[test]
fn a_redraw_leaves_its_last_state() {
    check(&[
        ("10%\r50%\r100%\r", "100%"),
        ("\r  1/3\r  2/3\r  3/3", "  3/3"),
        ("long text\rshort", "short"),
        ("long text\r\x1b[0mshort", "short"),
        ("long text\r\x1b[5Ctail", "long tail"),
        ("long text\rshort    ", "short"),
        ("long text\r\x1b[Kshort", "short"),
        ("long text\x1b[2K\x1b[Gshort", "short"),
        ("long text\x1b[2K\rshort  \x1b[K ", "short"),
        ("long text\x1b[4D\x1b[1K\x1b[2C!", "      e!t"),
        ("abc\x1b[2D\x1b[Jx", "ax"),
        ("abcdef\x1b[3G\x1b[2Pd\x1b[3D\x1b[@>", ">abdf"),
        ("abc\r\x1b[2X", "  c"),
        ("N\x08NA\x08AM\x08ME _\x08f", "NAME f"),
        ("Done  \x1b[K", "Done  "),
        ("é1\re\u{301}2\x08\x08E", "E2"),
        ("✔\u{fe0f} ok\x1b[G✘\u{fe0f}", "✘\u{fe0f} ok"),
    ]);
}

#[test]
fn a_tab_stays_one_until_it_is_drawn_over() {
    check(&[
        ("a\tb\x1b[0m", "a\tb"),
        ("name\t50%\rname\t60%", "name\t60%"),
        ("abcdefghij\r\tX", "abcdefghXj"),
        ("a\tb\x1b[Ga123", "a123    b"),
        ("a\tb\x1b[3G\x1b[K!", "a !"),
    ]);
}

#[test]
fn rows_do_not_mix() {
    check(&[
        // docker pull: the bars above are redrawn until the last line is printed.
        (
            "\x1b[2A\x1b[2K\ra: Downloading 12MB\r\x1b[2B\x1b[1A\x1b[2K\rb: done\r\x1b[1BDigest: x",
            "Digest: x",
        ),
        // apt: a bar in the last row, and back.
        (
            "\x1b7\x1b[24;0f\x1b[42mProgress: [ 10%]\x1b[49m [##...] \x1b8Unpacking a ...",
            "Unpacking a ...",
        ),
        ("text\x1b[1A\x1b[2K", "text"),
        ("text\x1b[1A\x1b[J", ""),
        ("frame\x1b[2K\x1b[1A\x1b[2K\x1b[Gframe 2", "frame 2"),
        ("one\x1b[Btwo", "onetwo"),
    ]);
}

#[test]
fn a_move_to_the_right_edge_stays_near() {
    let text = clean("name\x1b[999C\x1b[6D[ ok ]");
    assert_eq!(text, format!("{:74}[ ok ]", "name"));
    assert_eq!(clean("x\x1b[65535G\x1b[65535@\x1b[65535C"), "x");
}

#[test]
fn raw_text_keeps_everything_that_is_text() {
    let raw = |line: &[u8]| render(View::Raw, NO_LIMIT, line).0;
    assert_eq!(raw(b"\x1b[1ma\rb\0\r"), "\x1b[1ma\rb\0\r");
    assert_eq!(raw(b"a\xffb\xe2\x82"), "a\u{fffd}b\u{fffd}");
}

#[test]
fn cuts_fall_between_characters_after_cleaning() {
    for view in [View::Raw, View::Clean] {
        let render = |limit, line: &str| render(view, limit, line.as_bytes());
        assert_eq!(render(5, "short"), ("short".to_owned(), false));
        assert_eq!(render(2, "aéb"), ("a… [3 bytes cut]".to_owned(), true));
        assert_eq!(render(0, "x"), ("… [1 bytes cut]".to_owned(), true));
    }
    let coloured = b"\x1b[1mshort\x1b[0m";
    assert_eq!(
        render(View::Clean, 5, coloured),
        ("short".to_owned(), false)
    );
    let redrawn = b"a long line\rb\x1b[K";
    assert_eq!(render(View::Clean, 5, redrawn), ("b".to_owned(), false));
    let invalid = render(View::Raw, 4, b"a\xff\xff");
    assert_eq!(invalid, ("a\u{fffd}… [3 bytes cut]".to_owned(), true));
}

#[test]
fn a_long_line_is_counted_and_its_redraws_are_followed() {
    let mut renderer = Renderer::new(View::Clean, 10);
    renderer.begin();
    for _ in 0..1000 {
        renderer.feed(&[b'x'; 1000]);
    }
    assert_eq!(renderer.finish(true).text, "xxxxxxxxxx… [999990 bytes cut]");
    renderer.begin();
    for _ in 0..1000 {
        renderer.feed(&[b'x'; 1000]);
    }
    renderer.feed(b"\rshort\x1b[K");
    assert_eq!(renderer.finish(true).text, "short");
    renderer.begin();
    for step in 0..100_000 {
        renderer.feed(format!("\r\x1b[Kstep {step}").as_bytes());
    }
    assert_eq!(renderer.finish(true).text, "step 99999");
}

#[test]
fn an_unfinished_line_may_go_on_behind_its_blanks() {
    let mut renderer = Renderer::new(View::Clean, NO_LIMIT);
    assert_eq!(
        renderer.whole(b"old text\rname: \x1b[K", false).text,
        "name: "
    );
    assert_eq!(
        renderer.whole(b"old text\rname: \x1b[K", true).text,
        "name:"
    );
}

#[test]
fn what_may_change_its_meaning_is_held_back() {
    let held = |line: &[u8]| line.len() - settled_length(View::Clean, line);
    assert_eq!(held(b""), 0);
    assert_eq!(held(b"text \x1b[0m"), 0);
    assert_eq!(held(b"text\r"), 1);
    assert_eq!(held(b"text\x1b"), 1);
    assert_eq!(held(b"text\x1b[1;3"), 5);
    assert_eq!(held(b"text\x1b]8;;http://a"), 13);
    assert_eq!(held(b"text\x1b]0;title\x1b"), 10);
    assert_eq!(held(b"text\x1b]0;title\x1b\\"), 0);
    assert_eq!(held(b"text\x1b]0;title\x1b[1"), 3);
    assert_eq!(held(b"text\xf0\x9f\x98"), 3);
    assert_eq!(held(b"text\xf0\x9f\x98\x80"), 0);
    assert_eq!(held(b"text\xff"), 0);
    let endless = [b"text\x1b]".as_slice(), &[b'x'; 254]].concat();
    assert_eq!(held(&endless), 256);
    assert_eq!(held(&[endless.as_slice(), b"x"].concat()), 0);
    let raw = |line: &[u8]| line.len() - settled_length(View::Raw, line);
    assert_eq!((raw(b"a\x1b["), raw(b"a\r"), raw(b"a\xe2\x82")), (0, 0, 2));
}
