//! Man pages: one for the program, one for each command.

use std::collections::BTreeMap;

use super::Told;

/// File names and texts.
pub(super) fn files(commands: &[Told], version: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    files.insert(
        "man/background-tasks.1".to_owned(),
        overview(commands, version),
    );
    for told in commands {
        let name = page_name(told);
        files.insert(format!("man/{name}.1"), page(told, version));
    }
    files
}

fn page_name(told: &Told) -> String {
    format!("background-tasks-{}", told.name.replace(' ', "-"))
}

fn head(name: &str, version: &str, purpose: &str) -> String {
    format!(
        ".TH {} 1 \"\" \"background-tasks {version}\"\n.SH NAME\n{} \\- {}\n",
        escaped(&name.to_uppercase()),
        escaped(name),
        escaped(purpose)
    )
}

fn overview(commands: &[Told], version: &str) -> String {
    let purpose = "start a command in the background, walk away, and ask later what became of it";
    let mut text = head("background-tasks", version, purpose);
    text.push_str(".SH SYNOPSIS\n.B background-tasks\n.I COMMAND\n[\\fIPAYLOAD\\fR] [\\fIFLAGS\\fR]\n.SH DESCRIPTION\nA command takes one JSON value, inline, from a file (@path) or from standard input (\\-), and answers with one JSON document. Errors are one JSON document on standard error, with exit status 1.\n.SH COMMANDS\n");
    for told in commands {
        text.push_str(&format!(
            ".TP\n.B {}\n{}; see\n.BR {} (1).\n",
            escaped(&told.name),
            escaped(&told.purpose),
            escaped(&page_name(told))
        ));
    }
    text.push_str(".SH ENVIRONMENT\n.TP\n.B BACKGROUND_TASKS_HOME\nThe folder with the tasks; else $XDG_STATE_HOME/background\\-tasks, else ~/.local/state/background\\-tasks.\n.SH EXIT STATUS\n0 for success, 1 for an error or a batch in which an item failed; with\n.B \\-\\-exit\\-code\nthat of the task.\n");
    text
}

fn page(told: &Told, version: &str) -> String {
    let mut text = head(&page_name(told), version, &told.purpose);
    text.push_str(".SH DESCRIPTION\n.nf\n");
    for line in told.usage.lines() {
        let line = escaped(line);
        // A line that begins with a dot or a quote would be a request.
        let guard = if line.starts_with(['.', '\'']) {
            "\\&"
        } else {
            ""
        };
        text.push_str(&format!("{guard}{line}\n"));
    }
    text.push_str(".fi\n.SH SEE ALSO\n.BR background\\-tasks (1)\n");
    text
}

/// Backslashes and hyphens mean something to roff.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
