//! The folders that are packed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::npm::manifest::Naming;
use crate::npm::platform::Platform;
use crate::npm::{build, notices, tools};
use crate::workspace::Workspace;
use crate::{Result, command};

/// The launcher's files in `npm/launcher`.
const SOURCES: [&str; 4] = [
    "bin/background-tasks.js",
    "lib/native.js",
    "lib/run.js",
    "README.md",
];
/// What is executed.
const EXECUTABLE: u32 = 0o755;

/// The launcher, with the names put into its files.
pub fn launcher(workspace: &Workspace, naming: &Naming, folder: &Path) -> Result {
    for name in SOURCES {
        let source = workspace.root.join("npm/launcher").join(name);
        let text = fs::read_to_string(&source)
            .map_err(|problem| format!("{}: {problem}", source.display()))?;
        let text = text
            .replace("{{launcher}}", &naming.launcher)
            .replace("{{scope}}", &naming.scope)
            .replace("{{repository}}", &naming.repository);
        write(folder, name, text)?;
    }
    executable(&folder.join(SOURCES[0]))?;
    finish(workspace, folder, &naming.launcher_manifest())
}

/// A package with a binary.
pub fn platform(
    workspace: &Workspace,
    naming: &Naming,
    platform: &Platform,
    binary: &Path,
    folder: &Path,
) -> Result {
    let name = format!("bin/{}", build::NAME);
    let bytes = fs::read(binary).map_err(|problem| format!("{}: {problem}", binary.display()))?;
    let size = bytes.len();
    write(folder, &name, bytes)?;
    executable(&folder.join(&name))?;
    let provenance = json!({
        "repository": naming.repository,
        "commit": git(workspace, &["rev-parse", "HEAD"])?,
        "modified": !git(workspace, &["status", "--porcelain"])?.is_empty(),
        "version": naming.version,
        "target": platform.triple,
        "profile": "release",
        "rustc": said(workspace, "rustc", &["--version"])?,
        "file": name,
        "bytes": size,
        "sha256": sha256(workspace, &folder.join(&name))?,
    });
    write(folder, "provenance.json", format!("{provenance:#}\n"))?;
    let notices = notices::collect(workspace, platform)?;
    write(folder, "THIRD-PARTY.txt", notices)?;
    let readme = format!(
        "# {}\n\nThe program of [{}]({}) for {}, as one file: `{name}`.\nInstall `{}`, which depends \
         on this package where it fits.\n\n`provenance.json` tells what it was built from, \
         `THIRD-PARTY.txt` whose work is in it.\n",
        naming.package_of(platform),
        naming.launcher,
        naming.repository,
        platform.name,
        naming.launcher,
    );
    write(folder, "README.md", readme)?;
    finish(workspace, folder, &naming.platform_manifest(platform))
}

fn finish(workspace: &Workspace, folder: &Path, manifest: &Value) -> Result {
    fs::copy(workspace.root.join("LICENSE"), folder.join("LICENSE"))?;
    write(folder, "package.json", format!("{manifest:#}\n"))
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> Result {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    fs::write(&path, content).map_err(|problem| format!("{}: {problem}", path.display()).into())
}

fn executable(path: &Path) -> Result {
    fs::set_permissions(path, fs::Permissions::from_mode(EXECUTABLE))?;
    Ok(())
}

fn sha256(workspace: &Workspace, path: &Path) -> Result<String> {
    let told = String::from_utf8(command::output(tools::sha256(workspace).arg(path))?)?;
    let sum = told.split_whitespace().next();
    Ok(sum.ok_or("no checksum was printed")?.to_owned())
}

fn git(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    said(workspace, "git", arguments)
}

fn said(workspace: &Workspace, program: &str, arguments: &[&str]) -> Result<String> {
    let mut asked = workspace.command(program);
    let told = String::from_utf8(command::output(asked.args(arguments))?)?;
    Ok(told.trim_end().to_owned())
}
