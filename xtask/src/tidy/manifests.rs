//! What the crates' manifests say of their dependencies.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Tree};

/// One crate of the workspace.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) inherits_lints: bool,
    /// Names of the crates in `dependencies` and `build-dependencies`, for every target.
    pub(super) normal: BTreeSet<String>,
    /// Names of the crates in `dev-dependencies`.
    pub(super) dev: BTreeSet<String>,
}

/// Reads the manifests of all crates, by the crate's name. What cannot be read is a finding.
pub(super) fn read(tree: &Tree) -> (BTreeMap<String, Manifest>, Vec<Finding>) {
    let mut manifests = BTreeMap::new();
    let mut findings = Vec::new();
    for (path, text) in tree.files_ending("/Cargo.toml") {
        match parse(path, text) {
            Ok((name, manifest)) => {
                manifests.insert(name, manifest);
            }
            Err(reason) => findings.push(format!("{path}: {reason}")),
        }
    }
    (manifests, findings)
}

fn parse(path: &str, text: &str) -> Result<(String, Manifest), String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
    let name = table.get("package").and_then(|package| package.get("name")?.as_str());
    let name = name.ok_or("it names no package")?.to_owned();
    let inherits = table.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
    let mut manifest = Manifest {
        path: path.to_owned(),
        inherits_lints: inherits == Some(true),
        ..Manifest::default()
    };
    collect(&table, &mut manifest);
    let targets = table.get("target").and_then(toml::Value::as_table);
    for target in targets.into_iter().flat_map(toml::Table::values) {
        target.as_table().into_iter().for_each(|target| collect(target, &mut manifest));
    }
    Ok((name, manifest))
}

fn collect(table: &toml::Table, manifest: &mut Manifest) {
    let sections =
        [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)];
    for (section, dev) in sections {
        let entries = table.get(section).and_then(toml::Value::as_table);
        for (alias, entry) in entries.into_iter().flatten() {
            let renamed = entry.get("package").and_then(toml::Value::as_str);
            let name = renamed.unwrap_or(alias).to_owned();
            if dev { &mut manifest.dev } else { &mut manifest.normal }.insert(name);
        }
    }
}
