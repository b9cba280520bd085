//! The platforms that have a package.

/// One of them, in the words of node and of rustc.
pub struct Platform {
    /// The package's name within the scope: `process.platform` and `process.arch`.
    pub name: &'static str,
    /// `process.platform`.
    pub os: &'static str,
    /// `process.arch`.
    pub cpu: &'static str,
    /// What rustc calls it.
    pub triple: &'static str,
}

impl Platform {
    /// For `map`.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// All of them.
pub const PLATFORMS: [Platform; 4] = [
    Platform {
        name: "darwin-arm64",
        os: "darwin",
        cpu: "arm64",
        triple: "aarch64-apple-darwin",
    },
    Platform {
        name: "darwin-x64",
        os: "darwin",
        cpu: "x64",
        triple: "x86_64-apple-darwin",
    },
    Platform {
        name: "linux-arm64",
        os: "linux",
        cpu: "arm64",
        triple: "aarch64-unknown-linux-musl",
    },
    Platform {
        name: "linux-x64",
        os: "linux",
        cpu: "x64",
        triple: "x86_64-unknown-linux-musl",
    },
];
