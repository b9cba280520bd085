//! One arm per command: decode, call, print.

mod agents;
mod changes;

use std::ffi::OsString;
use std::io::IsTerminal;

use background_tasks_agents::open_translator;
use background_tasks_core::op::{self, Follow, StartOptions, TaskReply};
use background_tasks_core::request::{self, BatchAnswer, WaitAnswer};
use background_tasks_core::task::Task;
use background_tasks_core::{Client, Result, allow_many_descriptors};
use serde::Serialize;

use crate::agent;
use crate::args::{Flags, Invocation, parse};
use crate::command::Command;
use crate::discover;
use crate::payload::{OneOrBatch, Payload};
use crate::print::{self, FramePrinter};

/// Carries out what the arguments ask for; the result is the exit status.
pub(crate) fn run(arguments: Vec<OsString>) -> u8 {
    match parse(arguments) {
        Ok(Invocation::Command {
            command,
            payload,
            flags,
        }) => {
            let call = Call { command, flags };
            call.run(payload.as_deref())
                .unwrap_or_else(|error| print::failure(command.name(), &error))
        }
        Ok(Invocation::Help(about)) => {
            let help = discover::Help::about(about);
            if std::io::stdout().is_terminal() {
                print::text("help", &help.text())
            } else {
                print::success("help", &help, 0)
            }
        }
        Ok(Invocation::Version) => {
            let version = discover::Version::of_this_build();
            if std::io::stdout().is_terminal() {
                print::text("version", &version.text())
            } else {
                print::success("version", &version, 0)
            }
        }
        Err(usage) => print::failure(&usage.command, &usage.error),
    }
}

#[derive(Clone, Copy)]
struct Call {
    command: Command,
    flags: Flags,
}

impl Call {
    fn run(self, argument: Option<&str>) -> Result<u8> {
        let payload = Payload::read(self.command, argument)?;
        match self.command {
            Command::Start => self.start(&payload),
            Command::Status if self.flags.wait => {
                let status: request::Status = payload.one()?;
                let wait = request::Wait {
                    id: Some(status.id.clone()),
                    ..Default::default()
                };
                let mut answer = op::wait(&client()?, &wait, self.flags.deadline())?;
                if let WaitAnswer::One { answer, .. } = &mut answer {
                    **answer = op::status(&client()?, &status)?;
                }
                self.waited(answer)
            }
            Command::Status => {
                let client = client()?;
                let answer = op::status(&client, &payload.one()?)?;
                let code = self.exit_status(&[&answer.task]);
                if answer.task.agent.is_some() {
                    return Ok(self.with_agent(&client, answer, code));
                }
                Ok(self.answer(&answer, code))
            }
            Command::List if std::io::stdout().is_terminal() => {
                Ok(self.answer(&op::list(&client()?, &payload.one()?)?, 0))
            }
            Command::List => Ok(print::page(&op::list_page(&client()?, &payload.one()?)?)),
            Command::Wait => self.wait(&payload.one()?),
            Command::Stop => self.stop(&payload),
            Command::Restart => self.restart(&payload),
            Command::Send if payload.is_prompt() => self.prompt(&payload),
            Command::Send => {
                let answer = op::send(&client()?, &payload.one()?, self.flags.deadline())?;
                Ok(self.answer(&answer, 0))
            }
            Command::Signal => {
                let answer = op::signal(&client()?, &payload.one()?, self.flags.deadline())?;
                Ok(self.answer(&answer, 0))
            }
            Command::Pause => self.reply(op::pause(
                &client()?,
                &payload.one()?,
                self.flags.concurrency,
                self.flags.deadline(),
            )?),
            Command::Resume => self.reply(op::resume(
                &client()?,
                &payload.one()?,
                self.flags.concurrency,
                self.flags.deadline(),
            )?),
            Command::Recover => {
                let _: request::Recover = payload.one()?;
                let (concurrency, deadline) = (self.flags.concurrency, self.flags.deadline());
                Ok(self.batch(&op::recover(&client()?, concurrency, deadline)?))
            }
            Command::Remove => self.remove(&payload),
            Command::Prune => self.prune(&payload.one()?),
            Command::Logs if payload.asks_for_text() => self.conversation(&payload),
            Command::Logs => self.logs(&payload.one()?),
            Command::Events => self.events(&payload.one()?),
            Command::AgentList
            | Command::AgentPreview
            | Command::AgentParse
            | Command::AgentInstall => self.agent(&payload),
            Command::Doctor => self.doctor(),
            Command::Capabilities => Ok(self.answer(&discover::capabilities(), 0)),
            Command::SchemaList => Ok(self.answer(&discover::schema_list(), 0)),
            Command::SchemaShow => Ok(self.answer(&discover::schema_show(&payload.one()?)?, 0)),
            Command::ExamplesList => Ok(self.answer(&discover::examples_list(), 0)),
            Command::Skill => {
                let skill = discover::Skill::of_this_build();
                Ok(if std::io::stdout().is_terminal() {
                    print::text("skill", skill.text())
                } else {
                    self.answer(&skill, 0)
                })
            }
            Command::ExamplesShow => Ok(self.answer(&discover::examples_show(&payload.one()?)?, 0)),
        }
    }

    fn answer(self, data: &impl Serialize, code: u8) -> u8 {
        print::success(self.command.name(), data, code)
    }

    fn batch<T: Serialize>(self, answer: &BatchAnswer<T>) -> u8 {
        self.answer(answer, u8::from(answer.error_count > 0))
    }

    fn reply(self, reply: TaskReply) -> Result<u8> {
        Ok(match reply {
            TaskReply::One(answer) => self.answer(&answer, 0),
            TaskReply::Batch(answer) => self.batch(&answer),
        })
    }

    /// With `--exit-code`: the first of the tasks' own exit statuses that is not 0.
    fn exit_status(self, tasks: &[&Task]) -> u8 {
        if !self.flags.exit_code {
            return 0;
        }
        tasks
            .iter()
            .map(|task| task.exit_status())
            .find(|&status| status != 0)
            .unwrap_or(0)
    }

    fn start(self, payload: &Payload) -> Result<u8> {
        let options = StartOptions {
            wait: self.flags.wait,
        };
        let (client, flags) = (client()?, self.flags);
        match payload.starts(&client)? {
            OneOrBatch::One(request) => {
                let answer = op::start(&client, request, options, flags.deadline())?;
                Ok(self.answer(&answer, self.exit_status(&[&answer.task])))
            }
            OneOrBatch::Batch(requests) => {
                let answer = op::start_many(
                    &client,
                    requests,
                    flags.concurrency,
                    options,
                    flags.deadline(),
                )?;
                let tasks: Vec<&Task> = answer
                    .results
                    .iter()
                    .filter_map(|item| Some(&item.data.as_ref()?.task))
                    .collect();
                let code = match answer.error_count {
                    0 => self.exit_status(&tasks),
                    _ => 1,
                };
                Ok(self.answer(&answer, code))
            }
        }
    }

    fn wait(self, request: &request::Wait) -> Result<u8> {
        allow_many_descriptors();
        self.waited(op::wait(&client()?, request, self.flags.deadline())?)
    }

    fn waited(self, mut answer: WaitAnswer) -> Result<u8> {
        let tasks: Vec<&Task> = match &answer {
            WaitAnswer::One { answer, .. } => vec![&answer.task],
            WaitAnswer::Many(many) => many.tasks.iter().collect(),
        };
        let code = self.exit_status(&tasks);
        if agent::task_of(&mut answer).is_none_or(|task| task.agent.is_none()) {
            return Ok(self.answer(&answer, code));
        }
        self.waited_with_agent(answer, code)
    }

    fn logs(self, request: &request::Logs) -> Result<u8> {
        match self.follow() {
            None => Ok(self.answer(&op::logs(&client()?, request, self.flags.output)?, 0)),
            Some(follow) => {
                let mut printer = FramePrinter::default();
                op::stream_logs(&client()?, request, follow, &mut printer)?;
                Ok(printer.finish(self.command.name()))
            }
        }
    }

    fn events(self, request: &request::Events) -> Result<u8> {
        match self.follow() {
            None => Ok(self.answer(&op::events(&client()?, request)?, 0)),
            Some(follow) => {
                let mut printer = FramePrinter::default();
                op::stream_events(&client()?, request, follow, &mut printer)?;
                Ok(printer.finish(self.command.name()))
            }
        }
    }

    /// `None` for one document; otherwise how long the stream goes on.
    fn follow(self) -> Option<Follow<'static>> {
        match (self.flags.follow, self.flags.stream) {
            (true, _) => {
                allow_many_descriptors();
                Some(Follow::On {
                    deadline: self.flags.follow_deadline(),
                    output: Some(print::output()),
                })
            }
            (false, true) => Some(Follow::No),
            (false, false) => None,
        }
    }
}

fn client() -> Result<Client> {
    Ok(Client::from_environment()?.translating(open_translator))
}
