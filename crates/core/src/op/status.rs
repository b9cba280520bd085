//! `status`: one task as it is now. Reads; changes nothing.

use super::position::Positions;
use super::resources::resources;
use crate::client::{Client, find};
use crate::error::Result;
use crate::request::{Status, TaskAnswer};

/// Shows one task.
///
/// # Errors
/// [`crate::Error::TaskNotFound`]; [`crate::Error::Store`] when the home cannot be used.
pub fn status(client: &Client, request: &Status) -> Result<TaskAnswer> {
    let home = client.home_of(&request.id)?;
    let observed = find(&home, &request.id)?;
    let mut task = observed.task();
    if request.reveal_env
        && let Ok(record) = observed.record()
    {
        task.reveal_env(&record.spec.env);
    }
    if request.resources {
        task.resources = Some(resources(&observed));
    }
    Positions::of(&home).tell(&mut task);
    Ok(TaskAnswer::of(task))
}
