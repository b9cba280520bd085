//! `cargo xtask build`: the binary that people install, for this machine.
//!
//! On Linux it is static (musl) and not position-independent: it starts faster, and an idle
//! supervisor keeps fewer pages of its own. On macOS it is the plain release build.

use std::env::consts::{ARCH, OS};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::toolchain::Target;
use crate::workspace::Workspace;
use crate::{Result, command, toolchain};

/// The package and the binary in it.
const NAME: &str = "background-tasks";
const BUILD: [&str; 4] = ["build", "--release", "--package", NAME];
/// What links for another processor: the linker that comes with rustc, since the C compiler of this
/// machine knows only its own. The C library comes with the target.
const CROSS_FLAGS: [&str; 6] = [
    "-Crelocation-model=static",
    "-Ctarget-feature=+crt-static",
    "-Clinker=rust-lld",
    "-Clinker-flavor=ld.lld",
    "-Clink-arg=-znoseparate-code",
    "-Clink-arg=-T",
];
/// The flags of the musl build, and of no other. Fewer segments are fewer mappings and page faults at
/// each start (status: 1.39 to 1.29 times an empty static program).
const STATIC_FLAGS: [&str; 4] = [
    "-Crelocation-model=static",
    "-Ctarget-feature=+crt-static",
    "-Clink-arg=-Wl,-z,noseparate-code",
    "-Clink-arg=-T",
];
/// What musl keeps ready for the first thread.
const MOST_THREAD_LOCAL: u64 = 104;
/// What is run often, put together (37 to 26 page faults for a status).
const LAYOUT: &str = include_str!("layout.ld");

/// Builds it, puts it at `target/release-static/background-tasks` and returns that path.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let built = match triple()? {
        Some(triple) => build_for(workspace, &triple)?,
        None => {
            command::run(&mut workspace.cargo(&BUILD))?;
            workspace.target.join("release").join(NAME)
        }
    };
    let place = workspace.target.join("release-static").join(NAME);
    let bytes = put(&built, &place)?;
    println!("{} ({bytes} bytes)", place.display());
    Ok(place)
}

/// Builds for a musl target, which need not be that of this machine; returns where cargo puts it.
pub fn build_for(workspace: &Workspace, triple: &str) -> Result<PathBuf> {
    if toolchain::ensure(workspace, triple)? == Target::NoRustup {
        return Err(toolchain::advice(triple).into());
    }
    let mut cargo = workspace.cargo(&BUILD);
    make_static(&mut cargo, triple, &write_layout(&workspace.target)?)?;
    command::run(&mut cargo)?;
    let built = workspace.target.join(triple).join("release").join(NAME);
    let bytes = fs::read(&built).map_err(|e| format!("cannot read {}: {e}", built.display()))?;
    match thread_local_size(&bytes) {
        Some(size) if size > MOST_THREAD_LOCAL => Err(format!(
            "thread-local memory of {size} bytes, over {MOST_THREAD_LOCAL}: each process would need \
             a page more (see docs/design/supervisor.md)"
        )
        .into()),
        _ => Ok(built),
    }
}

/// How much thread-local memory an ELF file of 64 bits, little-endian, asks for.
fn thread_local_size(elf: &[u8]) -> Option<u64> {
    const THREAD_LOCAL: u64 = 7;
    let number = |at: usize, length: usize| {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(elf.get(at..at + length)?);
        Some(u64::from_le_bytes(bytes))
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let headers = (0..count).map(|index| (table + index * size) as usize);
    let mut thread_local = headers.filter(|&at| number(at, 4) == Some(THREAD_LOCAL));
    number(thread_local.next()? + 40, 8)
}

/// The musl target of this machine; `None` where the plain build is the one to install.
pub fn triple() -> Result<Option<String>> {
    match (OS, ARCH) {
        ("linux", "x86_64" | "aarch64") => Ok(Some(format!("{ARCH}-unknown-linux-musl"))),
        ("macos", _) => Ok(None),
        _ => Err(format!("there is no static build for {OS} on {ARCH}").into()),
    }
}

/// Writes the linker script to a place of its own for each text: cargo builds again when its flags
/// change, and does not look into the files that they name.
fn write_layout(target: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    LAYOUT.hash(&mut hasher);
    let path = target.join(format!("layout-{:016x}.ld", hasher.finish()));
    fs::create_dir_all(target)
        .and_then(|()| fs::write(&path, LAYOUT))
        .map_err(|problem| format!("cannot write {}: {problem}", path.display()))?;
    Ok(path)
}

/// Has cargo build for a musl target with our flags.
///
/// These take the place of all other flags, of those in the environment as well. They do not
/// reach build scripts, since a target is named.
fn make_static(cargo: &mut Command, wanted: &str, layout: &Path) -> Result {
    let native = OS == "linux" && triple()?.as_deref() == Some(wanted);
    let flags: &[&str] = if native { &STATIC_FLAGS } else { &CROSS_FLAGS };
    let mut flags = OsString::from(flags.join("\x1f"));
    flags.push("\x1f-Clink-arg=");
    flags.push(layout);
    cargo
        .args(["--target", wanted])
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    Ok(())
}

/// Copies aside and renames, for the old one may be running; returns the size.
///
/// It is written at once, as a package manager does it: the kernel keeps what comes in one piece in
/// pages as large as they get, and maps 2 MiB of the program by one fault then (with ext4 since Linux
/// 6.16). A start takes a fifth less time than from a file that was copied page by page.
fn put(from: &Path, to: &Path) -> Result<usize> {
    let aside = to.with_extension("new");
    let copied = (|| {
        fs::create_dir_all(to.parent().unwrap_or(Path::new(".")))?;
        let program = fs::read(from)?;
        fs::write(&aside, &program)?;
        fs::set_permissions(&aside, fs::metadata(from)?.permissions())?;
        fs::rename(&aside, to)?;
        Ok(program.len())
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
