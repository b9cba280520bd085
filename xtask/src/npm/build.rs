//! The binary for each platform.

use std::path::PathBuf;

use crate::npm::platform::Platform;
use crate::npm::tools;
use crate::toolchain::Target;
use crate::workspace::Workspace;
use crate::{Result, command, static_build, toolchain};

/// The package and the binary in it.
pub const NAME: &str = "background-tasks";

/// Builds it, here, for whichever platform.
pub fn build(workspace: &Workspace, platform: &Platform) -> Result<PathBuf> {
    if platform.os == "linux" {
        return static_build::build_for(workspace, platform.triple);
    }
    if toolchain::ensure(workspace, platform.triple)? == Target::NoRustup {
        return Err(toolchain::advice(platform.triple).into());
    }
    // The code is Rust alone; what is missing elsewhere is a linker that knows Apple's libraries.
    let mut cargo = if cfg!(target_os = "macos") {
        workspace.cargo(&["build"])
    } else {
        tools::zigbuild(workspace)?
    };
    cargo.args(["--release", "--package", NAME, "--target", platform.triple]);
    command::run(&mut cargo)?;
    Ok(workspace
        .target
        .join(platform.triple)
        .join("release")
        .join(NAME))
}
