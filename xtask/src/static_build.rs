//! `cargo xtask build`: the binary that people install, for this machine.
//!
//! On Linux it is static (musl) and not position-independent: it starts faster, and an idle
//! supervisor keeps fewer pages of its own. On macOS it is the plain release build.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::toolchain::Target;
use crate::workspace::Workspace;
use crate::{Result, command, toolchain};

/// The package and the binary in it.
const NAME: &str = "background-tasks";
/// The flags of the musl build, and of no other. Fewer segments are fewer mappings and page faults at
/// each start (status: 1.39 to 1.29 times an empty static program).
const STATIC_FLAGS: &str =
    "-C relocation-model=static -C target-feature=+crt-static -C link-arg=-Wl,-z,noseparate-code";

/// Builds it, puts it at `target/release-static/background-tasks` and returns that path.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo(&["build", "--release", "--package", NAME]);
    let mut built = workspace.target.clone();
    if let Some(triple) = triple()? {
        if toolchain::ensure(workspace, &triple)? == Target::NoRustup {
            return Err(toolchain::advice(&triple).into());
        }
        make_static(&mut cargo, &triple);
        built.push(triple);
    }
    command::run(&mut cargo)?;
    let place = workspace.target.join("release-static").join(NAME);
    let bytes = put(&built.join("release").join(NAME), &place)?;
    println!("{} ({bytes} bytes)", place.display());
    Ok(place)
}

/// The musl target of this machine; `None` where the plain build is the one to install.
pub fn triple() -> Result<Option<String>> {
    match (OS, ARCH) {
        ("linux", "x86_64" | "aarch64") => Ok(Some(format!("{ARCH}-unknown-linux-musl"))),
        ("macos", _) => Ok(None),
        _ => Err(format!("there is no static build for {OS} on {ARCH}").into()),
    }
}

/// Has cargo build for a musl target with our flags.
///
/// General flags in the environment would replace those of the target, so they are left out.
fn make_static(cargo: &mut Command, triple: &str) {
    let variable = triple.to_uppercase().replace('-', "_");
    cargo
        .args(["--target", triple])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), STATIC_FLAGS);
}

/// Copies aside and renames, for the old one may be running; returns the size.
fn put(from: &Path, to: &Path) -> Result<u64> {
    let aside = to.with_extension("new");
    let copied = (|| {
        fs::create_dir_all(to.parent().unwrap_or(Path::new(".")))?;
        let bytes = fs::copy(from, &aside)?;
        fs::rename(&aside, to)?;
        Ok(bytes)
    })();
    copied.map_err(|problem: std::io::Error| {
        format!(
            "cannot copy {} to {}: {problem}",
            from.display(),
            to.display()
        )
        .into()
    })
}
