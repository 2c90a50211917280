//! Checks of the repository that neither compiler nor clippy makes. Every remark that a review
//! repeats becomes one of them.
//!
//! - `edges`: crates import only what `ARCHITECTURE.md` lists, and everything it lists;
//! - `homes`: libraries stay in the crates that may name them, the lock file stays clean, and
//!   every crate inherits the lints;
//! - `sizes`: 500 product lines a file; exceptions are listed and may only shrink;
//! - `documents`: paths and links in documents exist;
//! - `dialects`: the tests that the pages of the dialects name exist;
//! - `sources`: front pages, leftover markers, orphan files;
//! - `places`: nothing names a path or host of one machine;
//! - `packaging`: image, manifests, chart and service name settings and versions that exist.
//!
//! All of them read a [`Tree`], the files of the repository in memory, and add to a list of
//! findings; so each is tested with a tree of three lines. Missing: the checks do not parse
//! Rust, they read lines.

mod dialects;
mod documents;
mod edges;
mod homes;
mod manifests;
mod packaging;
mod places;
mod sizes;
mod sources;
mod tree;

pub use tree::Tree;

/// What is not tidy, with the file and what to do.
pub type Finding = String;

/// Runs every check.
#[must_use]
pub fn check(tree: &Tree) -> Vec<Finding> {
    let checks = [
        edges::check,
        homes::check,
        sizes::check,
        documents::check,
        dialects::check,
        sources::check,
        places::check,
        packaging::check,
    ];
    checks.iter().flat_map(|check| check(tree)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings = check(&Tree::read(&crate::verbs::root()).unwrap());
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    }
}
