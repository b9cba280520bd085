//! Which CLIs there are, by stand-ins in a folder of the test's own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use background_tasks_agents::{Login, Provider, ProviderFacts, Surroundings, list};
use background_tasks_core::{Deadline, ErrorKind};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A machine with only these programs.
struct Machine {
    folder: TempDir,
    variables: Vec<(String, OsString)>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Self {
            folder,
            variables: Vec::new(),
        };
        fs::create_dir(machine.path("bin")).unwrap();
        fs::create_dir(machine.path("home")).unwrap();
        let (bin, home) = (machine.path("bin"), machine.path("home"));
        machine.with("PATH", bin).with("HOME", home)
    }

    fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A script of the shell; it finds no other programs.
    fn script(self, name: &str, body: &str) -> Self {
        install(
            &self.path("bin").join(name),
            &format!("#!/bin/sh\n{body}\n"),
        );
        self
    }

    fn file(self, below: &str, text: &str) -> Self {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn surroundings(&self) -> Surroundings {
        let variables = self.variables.iter().cloned();
        variables
            .map(|(name, value)| (OsString::from(name), value))
            .collect()
    }

    fn facts(&self, provider: Provider) -> ProviderFacts {
        provider.facts(&self.surroundings())
    }
}

/// Written by another process: were it open for writing here, a child of another test could have it
/// open too for a moment, and what somebody writes cannot be executed.
fn install(path: &Path, text: &str) {
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(writer.wait().unwrap().success());
}

#[test]
fn an_empty_machine_has_only_the_mock() {
    let machine = Machine::new();
    let all = list(&machine.surroundings());
    assert_eq!(
        all.iter().map(|it| it.provider).collect::<Vec<_>>(),
        Provider::ALL
    );
    for facts in all {
        let is_mock = facts.provider == Provider::Mock;
        assert_eq!(facts.installed, is_mock, "{facts:?}");
        assert_eq!((facts.path, facts.login), (None, None));
        assert_eq!(facts.version.is_some(), is_mock);
        let hint = facts.hint.unwrap_or_default();
        assert_eq!(hint.contains("agent install"), !is_mock, "{hint}");
    }
}

#[test]
fn what_is_there_is_found_with_its_version() {
    let machine = Machine::new()
        .script("claude", "echo '2.1.119 (Claude Code)'")
        .script("codex", "echo; echo codex-cli 0.124.0; echo more");
    let claude = machine.facts(Provider::Claude);
    assert!(claude.installed);
    assert_eq!(claude.path, Some(machine.path("bin/claude")));
    assert_eq!(claude.version.as_deref(), Some("2.1.119 (Claude Code)"));
    assert_eq!(
        machine.facts(Provider::Codex).version.as_deref(),
        Some("codex-cli 0.124.0")
    );
    assert!(!machine.facts(Provider::Gemini).installed);
}

#[test]
fn a_program_is_asked_only_for_its_version_without_input_and_without_colours() {
    let body = r#"read line && exit 1; echo "$#:$1:$NO_COLOR:$TERM:$KEEP""#;
    let machine = Machine::new().with("KEEP", "kept").script("pi", body);
    assert_eq!(
        machine.facts(Provider::Pi).version.as_deref(),
        Some("1:--version:1:dumb:kept")
    );
}

#[test]
fn a_program_that_fails_or_says_nothing_has_no_version() {
    for body in ["echo usage; exit 2", "exit 0", "echo 1.0 >&2", "kill -9 $$"] {
        let facts = Machine::new().script("goose", body).facts(Provider::Goose);
        assert!(facts.installed, "{body}");
        assert_eq!(facts.version, None, "{body}");
    }
}

#[test]
fn a_version_is_one_short_line() {
    let body = r"printf '\033[1m1.0\007'; i=0; while [ $i -lt 2000 ]; do printf xxxxx; i=$((i+1)); done; echo";
    let version = Machine::new()
        .script("goose", body)
        .facts(Provider::Goose)
        .version
        .unwrap();
    assert!(version.starts_with("[1m1.0xxx"), "{version}");
    assert_eq!(version.chars().count(), 200);
}

/// What everything that a program starts holds open.
struct Held {
    fifo: PathBuf,
    held: PathBuf,
    open: File,
}

impl Held {
    fn new(machine: &Machine) -> Self {
        let (fifo, held) = (machine.path("fifo"), machine.path("held"));
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        mkfifo(&held, Mode::S_IRWXU).unwrap();
        let open = File::options()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&held)
            .unwrap();
        Self { fifo, held, open }
    }

    /// A program that says so, does this, and hangs, as does another that it starts.
    fn body(&self, first: &str) -> String {
        format!(
            "exec 9> {1}\necho held >&9\n{first}\n( read line < {0} ) &\nread line < {0}",
            self.fifo.display(),
            self.held.display()
        )
    }

    fn assert_nobody_is_left(&self) {
        let mut said = [0; 16];
        let length = (&self.open).read(&mut said).unwrap();
        assert_eq!(&said[..length], b"held\n");
        // The one that was left behind is reaped by others, soon.
        let mut fds = [PollFd::new(self.open.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::from(20_000_u16);
        assert_eq!(poll(&mut fds, patience), Ok(1), "one of them is alive");
        assert_eq!((&self.open).read(&mut said).unwrap(), 0);
    }
}

#[test]
fn a_program_that_hangs_is_ended_with_what_it_started() {
    let machine = Machine::new();
    let held = Held::new(&machine);
    let body = held.body("echo 1.0");
    let machine = machine.script("gemini", &body);
    let start = Instant::now();
    let facts = machine.facts(Provider::Gemini);
    assert!(facts.installed);
    assert_eq!(facts.version, None);
    assert!(
        start.elapsed() >= Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    held.assert_nobody_is_left();
}

#[test]
fn a_program_that_leaves_somebody_with_its_output_is_not_waited_for() {
    let machine = Machine::new();
    let fifo = machine.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    // The one that stays holds the output until somebody opens the other end.
    let body = format!("( read line < {} ) &\necho 1.0", fifo.display());
    let machine = machine.script("gemini", &body);
    let start = Instant::now();
    assert_eq!(
        machine.facts(Provider::Gemini).version.as_deref(),
        Some("1.0")
    );
    let elapsed = start.elapsed();
    // Lets it go: waits until it is there, and closes.
    File::options().write(true).open(&fifo).map(drop).unwrap();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[test]
fn the_search_is_that_of_an_exec() {
    let machine = Machine::new().script("real", "echo 7");
    let folders = ["file", "dir", "nothing"].map(|name| machine.path(name));
    for folder in &folders[..2] {
        fs::create_dir(folder).unwrap();
    }
    // Not executable; a folder; not there at all.
    fs::write(folders[0].join("codex"), "#!/bin/sh\necho 6\n").unwrap();
    fs::create_dir(folders[1].join("codex")).unwrap();
    symlink(machine.path("bin/real"), machine.path("bin/codex")).unwrap();
    let bin = machine.path("bin");
    let path = std::env::join_paths(folders.iter().chain([&bin])).unwrap();
    let machine = machine.with("PATH", path);
    let facts = machine.facts(Provider::Codex);
    assert_eq!(facts.path, Some(machine.path("bin/codex")));
    assert_eq!(facts.version.as_deref(), Some("7"));
}

#[test]
fn what_is_not_there_is_told_with_where_it_was_looked_for_and_how_to_get_it() {
    let machine = Machine::new();
    let absent = Provider::Codex.find(&machine.surroundings()).unwrap_err();
    let text = absent.to_string();
    assert!(text.contains("codex is not installed"), "{text}");
    assert!(
        text.contains(machine.path("bin").to_str().unwrap()),
        "{text}"
    );
    assert!(
        absent.hint().contains("npm install --global @openai/codex"),
        "{}",
        absent.hint()
    );
    assert_eq!(absent.searched, [machine.path("bin")]);
    assert_eq!(Provider::Mock.find(&machine.surroundings()), Ok(None));
}

#[test]
fn a_login_is_told_by_where_it_was_seen_and_never_by_its_secret() {
    let login = |machine: &Machine, provider| machine.facts(provider).login;
    let variable = |name: &str| Some(Login::Variable(name.to_owned()));
    let machine = Machine::new()
        .with("ANTHROPIC_API_KEY", "s3cret")
        .with("CODEX_API_KEY", "")
        .with("OPENAI_API_KEY", "s3cret")
        .with("GEMINI_API_KEY", "s3cret");
    assert_eq!(
        login(&machine, Provider::Claude),
        variable("ANTHROPIC_API_KEY")
    );
    // An empty key is none, and that of another program is not codex's.
    assert_eq!(login(&machine, Provider::Codex), None);
    assert_eq!(
        login(&machine, Provider::Gemini),
        variable("GEMINI_API_KEY")
    );
    assert_eq!(login(&machine, Provider::Mock), None);
    let told = serde_json::to_string(&list(&machine.surroundings())).unwrap();
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn a_login_may_be_a_file() {
    let files = [
        (Provider::Claude, "home/.claude/.credentials.json"),
        (Provider::Claude, "home/.claude.json"),
        (Provider::Codex, "home/.codex/auth.json"),
        (Provider::Gemini, "home/.gemini/oauth_creds.json"),
        (Provider::Opencode, "home/.local/share/opencode/auth.json"),
        (Provider::Goose, "home/.config/goose/config.yaml"),
        (Provider::Pi, "home/.pi/agent/auth.json"),
    ];
    for (provider, file) in files {
        let machine = Machine::new().file(file, "{}");
        let expected = Some(Login::File(machine.path(file)));
        assert_eq!(machine.facts(provider).login, expected, "{provider}");
        let machine = Machine::new().file(file, "");
        assert_eq!(
            machine.facts(provider).login,
            None,
            "{provider}: an empty file is none"
        );
    }
    let moved = [
        (Provider::Claude, "CLAUDE_CONFIG_DIR", ".credentials.json"),
        (Provider::Codex, "CODEX_HOME", "auth.json"),
        (Provider::Opencode, "XDG_DATA_HOME", "opencode/auth.json"),
        (Provider::Goose, "XDG_CONFIG_HOME", "goose/config.yaml"),
    ];
    for (provider, variable, file) in moved {
        let machine = Machine::new().file(&format!("moved/{file}"), "{}");
        let folder = machine.path("moved");
        let machine = machine.with(variable, &folder);
        let expected = Some(Login::File(folder.join(file)));
        assert_eq!(machine.facts(provider).login, expected, "{provider}");
    }
}

#[test]
fn whoever_is_not_logged_in_is_told_how() {
    let machine = Machine::new().script("codex", "echo 1");
    let hint = machine.facts(Provider::Codex).hint.unwrap();
    assert!(hint.contains("CODEX_API_KEY"), "{hint}");
    let machine = machine.with("CODEX_API_KEY", "x");
    assert_eq!(machine.facts(Provider::Codex).hint, None);
}

#[test]
fn the_installer_is_the_documented_one() {
    let machine = Machine::new()
        .script("npm", "")
        .script("bash", "")
        .script("curl", "");
    let packages = [
        (Provider::Claude, "@anthropic-ai/claude-code"),
        (Provider::Codex, "@openai/codex"),
        (Provider::Gemini, "@google/gemini-cli"),
        (Provider::Opencode, "opencode-ai"),
        (Provider::Pi, "@mariozechner/pi-coding-agent"),
    ];
    for (provider, package) in packages {
        let installer = provider.installer(&machine.surroundings()).unwrap();
        assert_eq!(installer.argv, ["npm", "install", "--global", package]);
        assert_eq!(
            installer.command_line(),
            format!("npm install --global {package}")
        );
    }
    let goose = Provider::Goose.installer(&machine.surroundings()).unwrap();
    let [shell, option, script] = &goose.argv[..] else {
        panic!("{goose:?}")
    };
    assert_eq!((shell.as_str(), option.as_str()), ("bash", "-c"));
    assert!(
        script.contains("download_cli.sh") && script.contains("CONFIGURE=false"),
        "{script}"
    );
}

#[test]
fn an_installation_that_cannot_be_is_refused_before_it_begins() {
    let machine = Machine::new().script("bash", "");
    for (provider, missing) in [(Provider::Claude, "npm"), (Provider::Goose, "curl")] {
        let error = provider.installer(&machine.surroundings()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(missing), "{error}");
    }
    let error = Provider::Mock
        .installer(&machine.surroundings())
        .unwrap_err();
    assert!(error.to_string().contains("built in"), "{error}");
}

#[test]
fn an_installation_is_reported_as_it_went() {
    let machine = Machine::new();
    let bin = machine.path("bin");
    let body = format!(
        "echo \"$@\"; echo oops >&2; read line && exit 9; echo '#!/bin/sh' > {0}/pi; /bin/chmod 755 {0}/pi",
        bin.display()
    );
    let machine = machine.script("npm", &body);
    let surroundings = machine.surroundings();
    let installer = Provider::Pi.installer(&surroundings).unwrap();
    let installed = installer
        .run(Provider::Pi, &surroundings, Deadline::NEVER)
        .unwrap();
    assert_eq!(installed.argv, installer.argv);
    assert_eq!(installed.exit_code, Some(0));
    assert_eq!(
        installed.output,
        "install --global @mariozechner/pi-coding-agent\noops\n"
    );
    assert_eq!(installed.path, Some(bin.join("pi")));
}

#[test]
fn an_installation_that_did_not_come_to_it_is_a_failure() {
    let failed = |body: &str| {
        let machine = Machine::new().script("npm", body);
        let surroundings = machine.surroundings();
        let installer = Provider::Pi.installer(&surroundings).unwrap();
        let error = installer
            .run(Provider::Pi, &surroundings, Deadline::NEVER)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderNotInstalled);
        Value::Object(error.details())
    };
    let details = failed("echo no network >&2; exit 3");
    assert_eq!(details["exit_code"], 3);
    assert_eq!(details["output"], "no network\n");
    assert!(details["hint"].is_string() && details["searched"].is_array());
    assert_eq!(failed("kill -9 $$")["exit_code"], Value::Null);
    let elsewhere = failed("exit 0");
    assert!(elsewhere["hint"].as_str().unwrap().contains("PATH"));
}

#[test]
fn an_installation_that_takes_too_long_is_ended_with_what_it_started() {
    let machine = Machine::new();
    let held = Held::new(&machine);
    let body = held.body("echo begun");
    let machine = machine.script("npm", &body);
    let surroundings = machine.surroundings();
    let installer = Provider::Pi.installer(&surroundings).unwrap();
    let deadline = Deadline::after(Duration::from_secs(1));
    let error = installer
        .run(Provider::Pi, &surroundings, deadline)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TaskWaitTimedOut);
    assert_eq!(error.details()["output"], "begun\n");
    held.assert_nobody_is_left();
}

#[test]
fn of_what_an_installer_prints_the_last_is_kept() {
    let body = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; exit 3";
    let machine = Machine::new().script("npm", body);
    let surroundings = machine.surroundings();
    let installer = Provider::Pi.installer(&surroundings).unwrap();
    let error = installer
        .run(Provider::Pi, &surroundings, Deadline::NEVER)
        .unwrap_err();
    let details = error.details();
    let output = details["output"].as_str().unwrap();
    assert_eq!(output.len(), 4096);
    assert!(output.ends_with("line 2999\n"), "{output}");
}

#[test]
fn facts_are_told_in_these_words() {
    let machine = Machine::new()
        .script("pi", "echo 0.58.3")
        .with("XAI_API_KEY", "x");
    let facts = serde_json::to_value(machine.facts(Provider::Pi)).unwrap();
    let expected = json!({
        "provider": "pi", "installed": true, "path": machine.path("bin/pi"), "version": "0.58.3",
        "login": { "variable": "XAI_API_KEY" }, "hint": null,
        "supports": {
            "system_prompt": true, "resume": true, "plan": true, "plan_enforced": true,
            "edit": true, "full": true, "model": true, "effort": true,
            "efforts": ["off", "minimal", "low", "medium", "high", "xhigh"],
            "max_turns": false, "max_budget_usd": false, "mcp": false,
        },
    });
    assert_eq!(facts, expected);
}
