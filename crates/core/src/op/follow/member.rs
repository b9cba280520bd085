//! One task of a stream: when it has to be looked at, and what that comes to.

use std::time::Duration;

use super::super::wait::Vigil;
use super::{Member, Stale};
use crate::clock::Deadline;
use crate::error::{ErrorKind, Result};
use crate::store::Home;

/// An unfinished line is given when nobody has gone on with it for so long: a prompt, mostly.
const QUIET: Duration = Duration::from_millis(200);

impl Member<'_> {
    /// Looks how far this task has got.
    pub(super) fn look_again(&mut self, home: &Home) -> Result<()> {
        let only_lines = self.stale == Stale::Lines && self.history.refresh_lines()?;
        self.stale = Stale::Nothing;
        if !only_lines {
            match self.refresh(home) {
                Err(error) if error.kind() == ErrorKind::TaskNotFound => self.is_over = true,
                other => other?,
            }
        }
        self.mind_unfinished_line();
        Ok(())
    }

    fn refresh(&mut self, home: &Home) -> Result<()> {
        let (id, kept) = (self.history.id.clone(), &mut self.vigil);
        // Kept before it is looked at: an end in between is told.
        let goes_on = self.history.refresh_as(|| {
            let (observed, vigil) = Vigil::keep(home, &id)?;
            *kept = vigil;
            Ok(observed)
        })?;
        self.is_over = !goes_on;
        Ok(())
    }

    fn mind_unfinished_line(&mut self) {
        let size = self.history.log_size();
        match self.quiet {
            Some((before, quiet)) if before == size => {
                if quiet.has_passed() {
                    self.history.give_unfinished();
                    self.quiet = Some((size, Deadline::NEVER));
                }
            }
            _ => self.quiet = Some((size, Deadline::after(QUIET))),
        }
    }
}
