//! Reasons that are told in passing; true only if the run ends without a better one.

use crate::event::{AgentError, Category};
use crate::sign::{Sign, Signs};

/// The best reason so far.
#[derive(Default)]
pub(crate) enum Evidence {
    /// Nothing went wrong, or it was got over.
    #[default]
    None,
    /// A plain line sounds like one.
    Overheard(AgentError),
    /// The provider told it.
    Told(AgentError),
}

impl Evidence {
    pub(crate) fn error(&self) -> Option<&AgentError> {
        match self {
            Self::None => None,
            Self::Overheard(error) | Self::Told(error) => Some(error),
        }
    }

    /// The last one counts, unless it says less than the one before.
    pub(crate) fn told(&mut self, error: AgentError) {
        let says_less = matches!(
            self,
            Self::Told(known) if known.category != Category::Unknown
                && error.category == Category::Unknown
        );
        if !says_less {
            *self = Self::Told(error);
        }
    }

    /// A plain line of which nobody knows what it is.
    pub(crate) fn overheard(&mut self, text: &str) {
        if matches!(self, Self::Told(_)) {
            return;
        }
        let signs = Signs::of(text);
        let category = Category::of(&signs);
        if category != Category::Unknown && !signs.show(Sign::Aside) {
            *self = Self::Overheard(AgentError::new(category, text));
        }
    }
}
