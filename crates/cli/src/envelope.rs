//! The two documents that a command may answer with.

use background_tasks_core::Error;
use serde::Serialize;

/// What was asked for has been done.
#[derive(Debug, Serialize)]
pub(crate) struct Success<'a, T> {
    ok: bool,
    command: &'a str,
    data: T,
}

impl<'a, T: Serialize> Success<'a, T> {
    pub(crate) fn of(command: &'a str, data: T) -> Self {
        Self {
            ok: true,
            command,
            data,
        }
    }
}

/// It has not.
#[derive(Debug, Serialize)]
pub(crate) struct Failure<'a> {
    ok: bool,
    command: &'a str,
    error: &'a Error,
}

impl<'a> Failure<'a> {
    pub(crate) fn of(command: &'a str, error: &'a Error) -> Self {
        Self {
            ok: false,
            command,
            error,
        }
    }
}
