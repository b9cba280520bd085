//! What a search looks for.

use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange};
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

use super::literal::Literal;
use crate::error::Result;
use crate::request::invalid;

/// Memory that a compiled pattern may take.
pub(crate) const LARGEST_PATTERN: usize = 4 << 20;

/// A regular expression that is matched against one line at a time.
///
/// It is compiled twice. Searching line by line would take several times as long, so whole blocks
/// are searched, with an expression that was changed so that no match can reach over a newline:
/// `\n` is taken out of every class, and what stands for an end of the text (`\A`, `\z`) stands
/// for one of the line. In a block `$` also matches before a `\r`, since lines may end with
/// `\r\n`; what was found in a line with a `\r` is looked at again with the line by itself.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    in_block: Regex,
    in_line: Regex,
    literal: Option<Literal>,
}

impl Pattern {
    /// Compiles the value of a request's `field`.
    ///
    /// # Errors
    /// [`crate::Error::CommandInput`] with what is wrong and where; also for one that no line can
    /// match, and for one that would take too much memory.
    pub(crate) fn compile(field: &str, text: &str) -> Result<Self> {
        let parsed = regex_syntax::ParserBuilder::new()
            .multi_line(true)
            .utf8(false)
            .build()
            .parse(text);
        let parsed = parsed.map_err(|error| {
            let (problem, at) = explain(&error);
            let hint = "The syntax is that of Rust's regex crate; put \\ before a character that is meant literally.";
            invalid(field, format!("{problem}, at byte {at}"), hint).with("offset", at)
        })?;
        let Some(in_line) = within_line(&parsed, Look::EndLF) else {
            let hint = "Lines are searched one by one, without their ends: leave \\n out.";
            return Err(invalid(field, "no line can match it", hint));
        };
        // The same for most, which have no `$`.
        let literal = Literal::of(&in_line);
        let in_block = within_line(&parsed, Look::EndCRLF).filter(|block| *block != in_line);
        let in_line = build(field, &in_line)?;
        let in_block = match in_block {
            Some(in_block) => build(field, &in_block)?,
            None => in_line.clone(),
        };
        Ok(Self {
            in_block,
            in_line,
            literal,
        })
    }

    /// Whether it matches somewhere in a line, which is given without its end.
    pub(crate) fn matches(&self, line: &str) -> bool {
        self.matches_bytes(line.as_bytes())
    }

    /// The same for any bytes.
    pub(super) fn matches_bytes(&self, line: &[u8]) -> bool {
        self.in_line.is_match(line)
    }

    /// An offset in (or at the end of) the first line from `from` on that may match. Certain,
    /// unless there is a `\r` in the line. A line begins at `from`.
    pub(super) fn find_candidate(&self, lines: &[u8], from: usize) -> Option<usize> {
        let Some(literal) = &self.literal else {
            return self.in_block.shortest_match_at(lines, from);
        };
        let mut from = from;
        loop {
            let at = literal.find(lines, from)?;
            if literal.is_enough {
                return Some(at);
            }
            let begin = memrchr(b'\n', &lines[from..at]).map_or(from, |end| from + end + 1);
            let end = memchr(b'\n', &lines[at..]).map_or(lines.len(), |end| at + end);
            if let Some(found) = self.in_block.shortest_match_at(&lines[..end], begin) {
                return Some(found);
            }
            from = lines.len().min(end + 1);
        }
    }
}

/// What is wrong with a pattern, and at which byte.
fn explain(error: &regex_syntax::Error) -> (String, usize) {
    match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.offset),
        regex_syntax::Error::Translate(error) => {
            (error.kind().to_string(), error.span().start.offset)
        }
        other => (other.to_string(), 0),
    }
}

fn build(field: &str, expression: &Hir) -> Result<Regex> {
    let built = RegexBuilder::new(&expression.to_string())
        .size_limit(LARGEST_PATTERN)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            let problem = format!("compiled it would take more than {limit} bytes");
            let hint = "Use smaller repetition counts, or \\d and [a-z] in place of \\w and \\pL.";
            invalid(field, problem, hint)
        }
        other => invalid(field, other, "Simplify it."),
    })
}

/// The expression as it applies to a line by itself; `None` when no line can match.
fn within_line(expression: &Hir, line_end: Look) -> Option<Hir> {
    let inner = |sub: &Hir| within_line(sub, line_end);
    Some(match expression.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => return None,
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(class) => Hir::class(without_newline(class.clone())?),
        HirKind::Look(Look::Start | Look::StartLF) => Hir::look(Look::StartLF),
        HirKind::Look(Look::End | Look::EndLF) => Hir::look(line_end),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Repetition(repetition) => match inner(&repetition.sub) {
            Some(sub) => Hir::repetition(Repetition {
                sub: Box::new(sub),
                ..repetition.clone()
            }),
            None if repetition.min == 0 => Hir::empty(),
            None => return None,
        },
        // Nobody asks what a group matched.
        HirKind::Capture(capture) => inner(&capture.sub)?,
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(inner).collect::<Option<Vec<_>>>()?),
        HirKind::Alternation(choices) => {
            let choices: Vec<_> = choices.iter().filter_map(inner).collect();
            (!choices.is_empty()).then(|| Hir::alternation(choices))?
        }
    })
}

/// `None` when nothing is left.
fn without_newline(mut class: Class) -> Option<Class> {
    match &mut class {
        Class::Unicode(class) => {
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
        }
        Class::Bytes(class) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
        }
    }
    let is_empty = match &class {
        Class::Unicode(class) => class.ranges().is_empty(),
        Class::Bytes(class) => class.ranges().is_empty(),
    };
    (!is_empty).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn refusal(text: &str) -> String {
        let error = Pattern::compile("grep", text).unwrap_err();
        assert!(matches!(&error, Error::CommandInput { details, .. }
            if details["field"] == "grep"));
        error.to_string()
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_where() {
        assert_eq!(refusal("a(b"), "grep: unclosed group, at byte 1");
        assert!(refusal("(?=a)").contains("look-around"));
        assert!(refusal(r"(a)\1").contains("backreferences are not supported"));
        assert_eq!(refusal("a\nb"), "grep: no line can match it");
        assert_eq!(refusal(r"error$\n"), "grep: no line can match it");
        assert_eq!(refusal("[a&&b]"), "grep: no line can match it");
        assert!(refusal(r"(\w{200}){200}").contains("it would take more than"));
    }

    #[test]
    fn a_line_is_all_there_is() {
        let matches = |pattern, line| Pattern::compile("grep", pattern).unwrap().matches(line);
        assert!(matches("", ""));
        assert!(matches(r"\Aab\z", "ab"));
        assert!(matches(r"^b?$|\n", ""));
        assert!(matches(r"(a|\n)b\n?", "xab"));
        assert!(matches(r"(?i)STRASSE|straße", "STRASSE"));
        assert!(matches(r"\bé\w+\p{L}", "un élan"));
        assert!(!matches(r"a\s", "a"));
        assert!(!matches("^$", "\r"));
    }
}
