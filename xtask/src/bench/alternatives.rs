//! The programs that people use for the same purpose, on the same work in the same run: those of
//! them that are on the search path, and `nohup` in a shell where it has an answer.
//!
//! Each has a folder and an environment of its own, and what it leaves running is found by a mark
//! in the environment and ended.

mod daemonless;
mod daemons;
mod figures;
mod tool;

use super::Setup;
use super::report::Row;
use crate::Result;
use daemonless::{AgentExec, Ours};
use daemons::{Pm2, Pueue, Spooler};
use tool::Tool;

/// Every figure of all of them.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    if !cfg!(target_os = "linux") {
        println!("alternatives: left out, they need /proc");
        return Ok(Vec::new());
    }
    let tools = found(setup)?;
    let mut rows = Vec::new();
    let outcome = figures::all(setup, &tools, &mut rows);
    for tool in &tools {
        if let Some(mut last) = tool.shut_down() {
            tool::asked(&mut last)?;
        }
    }
    outcome.map(|()| rows)
}

/// Ours first, then those that are installed.
fn found(setup: &Setup) -> Result<Vec<Box<dyn Tool>>> {
    let mut tools: Vec<Box<dyn Tool>> = vec![Box::new(Ours::new(setup)?)];
    tools.extend(AgentExec::find(setup)?.map(|tool| Box::new(tool) as Box<dyn Tool>));
    tools.extend(Pueue::find(setup)?.map(|tool| Box::new(tool) as Box<dyn Tool>));
    tools.extend(Spooler::find(setup)?.map(|tool| Box::new(tool) as Box<dyn Tool>));
    tools.extend(Pm2::find(setup)?.map(|tool| Box::new(tool) as Box<dyn Tool>));
    let names: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
    println!("alternatives: {}", names.join(", "));
    Ok(tools)
}
