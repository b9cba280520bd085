//! Waiting for the task's turn.

use super::super::machine::{Event, State};
use super::super::signals::{Concern, Heard};
use super::super::turn::Verdict;
use super::Chores;
use crate::store::Verb;

impl Chores<'_> {
    pub(super) fn look_at_turn(&mut self, heard: &Heard) {
        if self.state != State::Queued {
            return;
        }
        let Some(turn) = &mut self.turn else {
            return;
        };
        let is_told = heard.ready.contains(&Concern::Turn) || heard.written;
        if !is_told && !turn.due().has_passed() {
            return;
        }
        match turn.look(self.home, &self.ledger.dir, &self.ledger.record) {
            Verdict::Wait => {}
            Verdict::Never(why) => {
                self.never = why;
                self.happen(Event::DependencyFailed);
            }
            Verdict::Come => {
                // Whoever left a wish may have been killed before the signal that goes with it.
                let wish = self.news(Verb::ends_run);
                self.happen(wish.unwrap_or(Event::TurnCame));
            }
        }
    }

    /// Nothing of the task is left, and another may have its place.
    pub(super) fn all_gone(&mut self) {
        self.ledger.cleared();
        if let Some(turn) = self.turn.take() {
            turn.leave();
        }
    }
}
