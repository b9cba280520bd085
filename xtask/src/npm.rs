//! `cargo xtask npm`: the packages of the npm registry, built, packed and tried out.
//!
//! A launcher, and a package with the binary for each platform, of which npm installs the one that
//! fits the machine. Everything lies below `target/npm`; nothing is published. The reasons are in
//! `docs/design/packaging.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::npm::manifest::Naming;
use crate::npm::platform::{PLATFORMS, Platform};
use crate::workspace::Workspace;
use crate::{Result, command};

mod build;
mod emulate;
mod manifest;
mod notices;
mod platform;
mod stage;
mod tools;

/// The tests of the launcher alone, and those of the packed packages.
const LAUNCHER_TESTS: &str = "npm/test/launcher.test.js";
const PACKAGE_TESTS: [&str; 2] = ["npm/test/packages.test.js", "npm/test/installed.test.js"];
const CHECKSUMS: &str = "SHA256SUMS";

/// Builds, stages, packs and tests all packages.
pub fn run(workspace: &Workspace, options: &[&str]) -> Result {
    let binaries = match options {
        [] => None,
        ["--binaries", folder] => Some(PathBuf::from(folder)),
        ["--check"] => return check(workspace).map(|remark| println!("{remark}")),
        _ => return Err("cargo xtask npm takes --check or --binaries FOLDER".into()),
    };
    let naming = Naming::read(workspace)?;
    let place = workspace.target.join("npm");
    let packages = emptied(&place.join("packages"))?;
    stage::launcher(workspace, &naming, &packages.join("launcher"))?;
    for platform in &PLATFORMS {
        let begun = Instant::now();
        let binary = match &binaries {
            Some(folder) => folder.join(platform.name).join(build::NAME),
            None => build::build(workspace, platform)?,
        };
        println!(
            "npm: {} after {:.1} s",
            platform.name,
            begun.elapsed().as_secs_f64()
        );
        stage::platform(
            workspace,
            &naming,
            platform,
            &binary,
            &packages.join(platform.name),
        )?;
    }
    let tarballs = emptied(&place.join("tarballs"))?;
    pack(workspace, &packages, &tarballs)?;
    println!("npm: {}", check(workspace)?);
    try_out(workspace, &naming, &place)?;
    println!("npm: {}", emulate::smoke_test(workspace, &packages)?);
    println!("npm: packed into {}", tarballs.display());
    Ok(())
}

/// The launcher beside a stand-in for the binary: quick enough for every change.
pub fn check(workspace: &Workspace) -> Result<String> {
    if !command::exists("node") {
        if std::env::var_os("CI").is_some() {
            return Err("the launcher of the npm packages cannot be tested: no node".into());
        }
        return Ok("left out: no node".to_owned());
    }
    let naming = Naming::read(workspace)?;
    let place = emptied(&workspace.target.join("npm/check"))?;
    stage::launcher(workspace, &naming, &place.join("launcher"))?;
    let mut tests = workspace.command("node");
    tests
        .args(["--test", LAUNCHER_TESTS])
        .env("PACKAGE", place.join("launcher"))
        .env("VERSION", &naming.version);
    let told = command::output(&mut tests)?;
    Ok(passed(&told))
}

/// Packs every package and writes the checksums of all tarballs beside them.
fn pack(workspace: &Workspace, packages: &Path, tarballs: &Path) -> Result {
    for name in PLATFORMS.iter().map(Platform::name).chain(["launcher"]) {
        let mut npm = tools::npm(workspace);
        npm.args(["pack", "--silent", "--pack-destination"])
            .arg(tarballs)
            .current_dir(packages.join(name));
        command::output(&mut npm)?;
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(tarballs)? {
        names.push(entry?.file_name());
    }
    names.sort();
    let mut sums = tools::sha256(workspace);
    let sums = command::output(sums.args(&names).current_dir(tarballs))?;
    fs::write(tarballs.join(CHECKSUMS), sums)?;
    Ok(())
}

/// Installs what was packed, as a person would, and uses it.
fn try_out(workspace: &Workspace, naming: &Naming, place: &Path) -> Result {
    let mut tests = workspace.command("node");
    tests
        .args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
        .args(PACKAGE_TESTS)
        .env("NPM_PLACE", place)
        .env("LAUNCHER", &naming.launcher)
        .env("SCOPE", &naming.scope)
        .env("VERSION", &naming.version);
    for (name, value) in tools::npm(workspace).get_envs() {
        tests.env(name, value.unwrap_or_default());
    }
    if let Some(node) = tools::recent_node(workspace)? {
        tests.env("RECENT_NODE", node);
    }
    command::run(&mut tests)
}

/// `7 tests` from the summary of `node --test`, in whichever form it has.
fn passed(told: &[u8]) -> String {
    let told = String::from_utf8_lossy(told);
    let count = told
        .lines()
        .find_map(|line| line.split_once("pass ")?.1.trim().parse::<u32>().ok());
    format!("{} tests of the launcher", count.unwrap_or(0))
}

/// A folder with nothing in it.
fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}
