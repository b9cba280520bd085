//! The commands that change tasks: one, or an array of them.

use background_tasks_core::Result;
use background_tasks_core::op::{self, RemoveReply};
use background_tasks_core::request;

use super::{Call, client};
use crate::payload::{OneOrBatch, Payload};

impl Call {
    pub(super) fn stop(self, payload: &Payload) -> Result<u8> {
        let (client, flags) = (client()?, self.flags);
        match payload.one_or_batch()? {
            OneOrBatch::One(request) => self.reply(op::stop(
                &client,
                &request,
                flags.concurrency,
                flags.deadline(),
            )?),
            OneOrBatch::Batch(requests) => Ok(self.batch(&op::stop_many(
                &client,
                requests,
                flags.concurrency,
                flags.deadline(),
            ))),
        }
    }

    pub(super) fn restart(self, payload: &Payload) -> Result<u8> {
        let (client, flags) = (client()?, self.flags);
        match payload.one_or_batch()? {
            OneOrBatch::One(request) => {
                Ok(self.answer(&op::restart(&client, &request, flags.deadline())?, 0))
            }
            OneOrBatch::Batch(requests) => Ok(self.batch(&op::restart_many(
                &client,
                requests,
                flags.concurrency,
                flags.deadline(),
            ))),
        }
    }

    pub(super) fn remove(self, payload: &Payload) -> Result<u8> {
        let (client, flags) = (client()?, self.flags);
        match payload.one_or_batch()? {
            OneOrBatch::One(request) => Ok(
                match op::remove(&client, &request, flags.concurrency, flags.deadline())? {
                    RemoveReply::One(answer) => self.answer(&answer, 0),
                    RemoveReply::Batch(answer) => self.batch(&answer),
                },
            ),
            OneOrBatch::Batch(requests) => Ok(self.batch(&op::remove_many(
                &client,
                requests,
                flags.concurrency,
                flags.deadline(),
            ))),
        }
    }

    pub(super) fn prune(self, request: &request::Prune) -> Result<u8> {
        let answer = op::prune(&client()?, request)?;
        Ok(self.answer(&answer, u8::from(!answer.failed.is_empty())))
    }
}
