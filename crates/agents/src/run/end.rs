//! What is known of a run's end before its process is gone.

use super::Run;
use crate::event::{AgentError, Category};

/// How the provider says that the run ended.
pub(crate) struct End {
    /// What went wrong.
    pub(crate) error: Option<AgentError>,
    /// Whether the provider is done; otherwise it is only what is believed if it exits now.
    pub(crate) is_final: bool,
    /// Whether it was concluded from lines that are no event.
    pub(crate) synthetic: bool,
}

impl Run {
    pub(crate) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.is_final)
    }

    pub(crate) fn told(&self) -> Option<&AgentError> {
        self.told.as_ref()
    }

    pub(crate) fn overheard(&self) -> Option<&AgentError> {
        self.overheard.as_ref()
    }

    /// Whether some of its lines are gone, so that it may have told of its end.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(crate) fn lines_are_gone(&mut self) {
        self.is_cut = true;
    }

    /// Whether a line told of the end since this was last asked.
    pub(crate) fn take_end(&mut self) -> bool {
        std::mem::take(&mut self.tells_end)
    }

    /// The provider's last line.
    pub(crate) fn ended(&mut self, error: Option<AgentError>) {
        self.end_with(End {
            error,
            is_final: true,
            synthetic: false,
        });
    }

    /// Lines that are no events, but after which nothing follows.
    pub(crate) fn ended_in_log(&mut self, error: AgentError) {
        self.end_with(End {
            error: Some(error),
            is_final: true,
            synthetic: true,
        });
    }

    /// The last line, if the provider exits now.
    pub(crate) fn may_have_ended(&mut self, error: Option<AgentError>) {
        self.end_with(End {
            error,
            is_final: false,
            synthetic: true,
        });
    }

    /// It goes on after its last line, which stays true if nothing better follows.
    pub(crate) fn goes_on(&mut self) {
        if let Some(end) = &mut self.end {
            end.is_final = false;
        }
    }

    /// It tries again: what it said of the end is void, but for the reason.
    pub(crate) fn tries_again(&mut self) {
        if let Some(error) = self.end.take().and_then(|end| end.error) {
            self.remember(error);
        }
    }

    /// A reason that the provider told, in case the run ends without another. The last one counts,
    /// unless it says less than the one before.
    pub(crate) fn remember(&mut self, error: AgentError) {
        keep(&mut self.told, error);
    }

    /// The same of a plain line. With two logs its place among the others is only about right.
    pub(crate) fn overhear(&mut self, error: AgentError) {
        keep(&mut self.overheard, error.clone());
        self.remember(error);
    }

    fn end_with(&mut self, end: End) {
        self.end = Some(end);
        self.tells_end = true;
    }
}

fn keep(known: &mut Option<AgentError>, error: AgentError) {
    let says_more = |known: &AgentError| known.category != Category::Unknown;
    if error.category != Category::Unknown || !known.as_ref().is_some_and(says_more) {
        *known = Some(error);
    }
}
