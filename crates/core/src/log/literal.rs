//! A text that must stand in every line that matches an expression.
//!
//! To find it takes a few instructions for 32 bytes, where the automaton of an expression looks at
//! each byte: a log of gigabytes is searched ten times as fast.

use memchr::memmem::Finder;
use regex_syntax::hir::{Hir, HirKind};

/// A shorter one is in too many lines to be worth a second look at each.
const SHORTEST: usize = 3;

/// The text.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    finder: Finder<'static>,
    /// Whether every line with it matches.
    pub is_enough: bool,
}

impl Literal {
    /// The longest one that the expression has; `None` where it has none.
    pub(super) fn of(expression: &Hir) -> Option<Self> {
        let parts = match expression.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(expression),
        };
        let literals = parts.iter().filter_map(|part| match part.kind() {
            HirKind::Literal(literal) => Some(&*literal.0),
            _ => None,
        });
        let longest = literals.max_by_key(|literal| literal.len())?;
        let is_enough = parts.len() == 1;
        let is_worth_it = is_enough || longest.len() >= SHORTEST;
        is_worth_it.then(|| Self {
            finder: Finder::new(longest).into_owned(),
            is_enough,
        })
    }

    /// Where it stands first, from `from` on.
    pub(super) fn find(&self, lines: &[u8], from: usize) -> Option<usize> {
        Some(from + self.finder.find(&lines[from..])?)
    }
}
