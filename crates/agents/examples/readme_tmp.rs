use background_tasks_agents as agents;
use background_tasks_core::{Client, Deadline, op, supervisor};

fn main() -> Result<(), background_tasks_core::Error> {
    supervisor::take_over();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = agents::take_over(&arguments) {
        std::process::exit(code.into());
    }

    let client = Client::from_environment()?.translating(agents::open_translator);
    for provider in agents::list(&agents::Surroundings::of_this_process()) {
        println!("{} {}", provider.provider, provider.installed);
    }
    let request = br#"{"agent": {"provider": "mock", "prompt": "Hello."}}"#;
    let request = agents::decode_start(&client, request)?;
    let options = op::StartOptions { wait: true };
    let mut task = op::start(&client, request, options, Deadline::NEVER)?.task;
    agents::describe(&client, &mut task)?;
    println!("{:?}", task.agent);
    Ok(())
}
