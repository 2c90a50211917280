//! The crates' edges are exactly those that `ARCHITECTURE.md` lists.
//!
//! The list is a fenced block there whose info string holds the word `edges`, one line for each
//! crate: `remex-state -> remex-engine, remex-model`. Test support (`remex-testkit`) may be a
//! dev-dependency of any crate; other dev-dependencies follow the list like the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Tree, manifests};

const DOCUMENT: &str = "ARCHITECTURE.md";
const FREE_FOR_TESTS: &str = "remex-testkit";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let (manifests, mut findings) = manifests::read(tree);
    let Some(listed) = tree.text(DOCUMENT).and_then(listed_edges) else {
        findings.push(format!("{DOCUMENT}: no fenced block with the info string `edges`"));
        return findings;
    };
    for name in listed.keys().filter(|name| !manifests.contains_key(*name)) {
        findings.push(format!("{DOCUMENT}: lists the crate {name}, which does not exist"));
    }
    for (name, manifest) in &manifests {
        let Some(allowed) = listed.get(name) else {
            findings.push(format!("{DOCUMENT}: the list of edges lacks the crate {name}"));
            continue;
        };
        let ours = |crates: &BTreeSet<String>| -> BTreeSet<String> {
            crates.iter().filter(|name| manifests.contains_key(*name)).cloned().collect()
        };
        let (normal, mut dev) = (ours(&manifest.normal), ours(&manifest.dev));
        dev.remove(FREE_FOR_TESTS);
        let path = &manifest.path;
        for extra in normal.union(&dev).filter(|to| !allowed.contains(*to)) {
            findings.push(format!("{path}: {name} -> {extra} is not an edge in {DOCUMENT}"));
        }
        for missing in allowed.difference(&normal) {
            findings.push(format!("{DOCUMENT}: {name} -> {missing} is listed but not in {path}"));
        }
    }
    findings
}

fn listed_edges(document: &str) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let mut lines = document.lines();
    lines.find(|line| {
        let info = line.strip_prefix("```").unwrap_or_default();
        info.split_whitespace().any(|word| word == "edges")
    })?;
    let block = lines.take_while(|line| !line.starts_with("```"));
    let edges = block.filter_map(|line| line.split_once("->")).map(|(from, to)| {
        let to = to.split(',').map(str::trim).filter(|name| !name.is_empty());
        (from.trim().to_owned(), to.map(str::to_owned).collect())
    });
    Some(edges.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(document: &str, low: &str, high: &str) -> Vec<Finding> {
        let low = format!("[package]\nname = \"low\"\n{low}");
        let high = format!("[package]\nname = \"high\"\n{high}");
        let testkit = "[package]\nname = \"remex-testkit\"";
        check(&Tree::of(&[
            (DOCUMENT, document),
            ("crates/low/Cargo.toml", &low),
            ("crates/high/Cargo.toml", &high),
            ("crates/remex-testkit/Cargo.toml", testkit),
        ]))
    }

    const LIST: &str = "# A\n```text edges\nlow ->\nhigh -> low\nremex-testkit ->\n```\n";
    const USES_LOW: &str = "[dependencies]\nlow = { path = \"../low\" }\nserde = \"1\"";

    #[test]
    fn the_list_and_the_manifests_must_be_equal() {
        assert_eq!(findings(LIST, "", USES_LOW), Vec::<Finding>::new());
        let missing = findings(LIST, "", "");
        assert_eq!(missing.len(), 1, "{missing:?}");
        let upward = findings(LIST, "[dependencies]\nhigh.workspace = true", USES_LOW);
        assert_eq!(
            upward,
            ["crates/low/Cargo.toml: low -> high is not an edge in ARCHITECTURE.md"]
        );
        let hidden = "[target.'cfg(unix)'.dependencies]\nx = { package = \"high\", path = \"\" }";
        assert_eq!(findings(LIST, hidden, USES_LOW), upward);
        assert_eq!(findings("# A", "", USES_LOW).len(), 1);
        assert_eq!(findings("```edges\nlow ->\n```", "", USES_LOW).len(), 2);
    }

    #[test]
    fn tests_may_use_the_testkit_and_nothing_else_that_is_not_listed() {
        let testkit = "[dev-dependencies]\nremex-testkit.workspace = true";
        assert_eq!(findings(LIST, testkit, USES_LOW), Vec::<Finding>::new());
        assert_eq!(findings(LIST, "[dev-dependencies]\nhigh.workspace = true", USES_LOW).len(), 1);
        let shipped = "[dependencies]\nremex-testkit.workspace = true";
        assert_eq!(findings(LIST, shipped, USES_LOW).len(), 1);
    }
}
