//! Whose work is in a binary: the licence of each crate, as its archive has it. MIT and Apache ask
//! for their text to go with copies.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::npm::build;
use crate::npm::platform::Platform;
use crate::workspace::Workspace;

/// What comes with rustc and in no crate's archive.
const RUNTIME: &str = include_str!("notices.txt");
/// How the names of such files begin.
const LICENCES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// The text for one platform.
pub fn collect(workspace: &Workspace, platform: &Platform) -> Result<String> {
    let arguments = ["--locked", "--filter-platform", platform.triple];
    let metadata = workspace.metadata(&arguments)?;
    let mut text = RUNTIME.to_owned();
    let packages = by_id(&metadata["packages"]);
    for id in linked(&metadata, &packages)? {
        let package = packages[id];
        // Our own have no source, and are under the LICENSE beside this file.
        if package["source"].is_null() {
            continue;
        }
        let words = ["name", "version", "license"].map(|name| package[name].as_str().unwrap_or(""));
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or(""));
        let texts = licences_in(manifest.parent().unwrap_or(manifest))?;
        if texts.is_empty() {
            return Err(format!("{} {} comes without its licence", words[0], words[1]).into());
        }
        text.push_str(&format!(
            "\n{}\n{} {} ({})\n",
            "=".repeat(80),
            words[0],
            words[1],
            words[2]
        ));
        for licence in texts {
            text.push_str(&format!("{}\n{}\n", "-".repeat(80), licence.trim_end()));
        }
    }
    Ok(text)
}

/// What the program depends on at run time, by id.
fn linked<'a>(
    metadata: &'a Value,
    packages: &BTreeMap<&'a str, &'a Value>,
) -> Result<BTreeSet<&'a str>> {
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let root = packages
        .iter()
        .find(|(_, package)| package["name"] == build::NAME);
    let mut ahead = vec![*root.ok_or("cargo metadata does not name the package")?.0];
    let mut found = BTreeSet::new();
    while let Some(id) = ahead.pop() {
        // Macros run in the compiler, and so does what they depend on.
        if is_macro(packages[id]) || !found.insert(id) {
            continue;
        }
        let dependencies = nodes[id]["deps"].as_array().into_iter().flatten();
        let at_run_time = dependencies.filter(|dependency| {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            kinds.into_iter().any(|kind| kind["kind"].is_null())
        });
        ahead.extend(at_run_time.filter_map(|dependency| dependency["pkg"].as_str()));
    }
    Ok(found)
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets
        .filter_map(|target| target["kind"][0].as_str())
        .any(|kind| kind == "proc-macro")
}

fn by_id(items: &Value) -> BTreeMap<&str, &Value> {
    let items = items.as_array().into_iter().flatten();
    items
        .filter_map(|item| Some((item["id"].as_str()?, item)))
        .collect()
}

/// In the order of their names.
fn licences_in(folder: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        if path.is_file() && LICENCES.iter().any(|start| name.starts_with(start)) {
            paths.push(path);
        }
    }
    paths.sort();
    let texts = paths.iter().map(fs::read_to_string);
    Ok(texts.collect::<std::io::Result<_>>()?)
}
