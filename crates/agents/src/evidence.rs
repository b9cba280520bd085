//! Why a run ended that did not say so itself.

use crate::event::{AgentError, Category};
use crate::run::Run;
use crate::sign::{Sign, Signs};
use crate::tail::Tail;

/// What the provider told in passing, unless plain lines say more: the last of them that shows what
/// kind of trouble it is. They are searched only now, when nothing better is known.
pub(crate) fn evidence(run: &Run, tail: &Tail) -> Option<AgentError> {
    let told = run.told();
    if let Some(told) = told.filter(|told| told.category != Category::Unknown) {
        return Some(told.clone());
    }
    let overheard = tail.since_progress().lines().rev().find_map(|line| {
        let signs = Signs::of(line);
        let category = Category::of(&signs);
        let is_reason = category != Category::Unknown && !signs.show(Sign::Aside);
        is_reason.then(|| AgentError::new(category, line))
    });
    overheard.or_else(|| told.cloned())
}
