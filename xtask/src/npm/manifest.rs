//! The `package.json` files. They are written from what cargo knows, so that the version, the
//! names and the address of the repository stand in the root `Cargo.toml` and nowhere else.

use serde_json::{Map, Value, json};

use crate::Result;
use crate::npm::platform::{PLATFORMS, Platform};
use crate::workspace::Workspace;

/// What all packages share.
pub struct Naming {
    /// The launcher's name.
    pub launcher: String,
    /// The scope of the others, with its `@`.
    pub scope: String,
    /// Theirs, all the same.
    pub version: String,
    /// The address of the repository.
    pub repository: String,
    license: String,
    description: String,
}

impl Naming {
    /// Asks cargo.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let metadata = workspace.metadata(&["--no-deps"])?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let package = packages
            .into_iter()
            .find(|package| package["name"] == super::build::NAME)
            .ok_or("cargo metadata does not name the package")?;
        let text = |value: &Value, name: &str| {
            let text = value[name].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("Cargo.toml lacks {name}"))
        };
        let names = &metadata["metadata"]["npm"];
        Ok(Self {
            launcher: text(names, "launcher")?,
            scope: text(names, "scope")?,
            version: text(package, "version")?,
            repository: text(package, "repository")?,
            license: text(package, "license")?,
            description: text(package, "description")?,
        })
    }

    /// The full name of a platform's package.
    pub fn package_of(&self, platform: &Platform) -> String {
        format!("{}/{}", self.scope, platform.name)
    }

    /// The launcher's. It has no script that runs at installation: package managers leave those
    /// out more often than not.
    pub fn launcher_manifest(&self) -> Value {
        let platforms = PLATFORMS.iter().map(|platform| {
            let exactly = Value::from(self.version.as_str());
            (self.package_of(platform), exactly)
        });
        let mut manifest = self.common(&self.launcher, &self.description);
        manifest["bin"] = json!({ super::build::NAME: "bin/background-tasks.js" });
        manifest["main"] = json!("lib/native.js");
        manifest["files"] = json!(["bin/", "lib/"]);
        manifest["engines"] = json!({ "node": ">=18" });
        manifest["os"] = distinct(|platform| platform.os);
        manifest["cpu"] = distinct(|platform| platform.cpu);
        manifest["optionalDependencies"] = Value::Object(Map::from_iter(platforms));
        manifest
    }

    /// That of a package with a binary. No `libc`: the binaries for Linux need none.
    pub fn platform_manifest(&self, platform: &Platform) -> Value {
        let description = format!("The {} program of {}", platform.name, self.launcher);
        let mut manifest = self.common(&self.package_of(platform), &description);
        manifest["files"] = json!(["bin/", "THIRD-PARTY.txt", "provenance.json"]);
        manifest["os"] = json!([platform.os]);
        manifest["cpu"] = json!([platform.cpu]);
        // A binary inside a zip archive cannot be executed.
        manifest["preferUnplugged"] = json!(true);
        manifest
    }

    fn common(&self, name: &str, description: &str) -> Value {
        json!({
            "name": name,
            "version": self.version,
            "description": description,
            "license": self.license,
            "homepage": self.repository,
            "repository": { "type": "git", "url": format!("git+{}.git", self.repository) },
            "publishConfig": { "access": "public" },
        })
    }
}

fn distinct(part: fn(&Platform) -> &'static str) -> Value {
    let mut parts: Vec<_> = PLATFORMS.iter().map(part).collect();
    parts.sort_unstable();
    parts.dedup();
    json!(parts)
}
