//! Nothing names a path or a host of one machine: a clone must work anywhere.

use super::{Finding, Tree};

/// Folders under which people and build machines keep their work.
const FOLDERS: &[&str] = &["home", "root", "Users", "work", "workspace"];

/// Hosts that a package manager asks. Cargo's default needs no mention, any other is private.
const HOSTS: &[&str] = &["index.crates.io", "static.crates.io", "registry.npmjs.org"];

/// What would point cargo to another registry.
const REDIRECTIONS: &[&str] = &["[source", "[registries", "[registry", "replace-with"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let own = "xtask/src/tidy/places.rs";
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| *path != own) {
        let cargo = path.ends_with("Cargo.toml") || path.starts_with(".cargo/");
        for (number, line) in text.lines().enumerate() {
            let at = format!("{path}:{}", number + 1);
            if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
                findings.push(format!("{at}: names a path below /{folder}"));
            }
            if let Some(host) = HOSTS.iter().find(|host| line.contains(*host)) {
                findings.push(format!("{at}: names the registry host {host}"));
            }
            if cargo && REDIRECTIONS.iter().any(|word| line.trim_start().starts_with(word)) {
                findings.push(format!("{at}: points cargo to another registry"));
            }
        }
    }
    findings
}

/// Whether the line holds an absolute path below this folder.
fn names_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}/");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| " \t\"'`(<=:,[".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn absolute_paths_of_a_machine_are_found() {
        assert_eq!(found("a.md", "see /home/me/x\nand `/root/y`\nand \"/Users/z/\""), 3);
        assert_eq!(found("a.md", "/v1/kv/home/x, jobs/home/1 and https://x/home/y"), 0);
    }

    #[test]
    fn other_registries_are_found() {
        assert_eq!(found(".cargo/config.toml", "[source.crates-io]\nreplace-with = 'x'"), 2);
        assert_eq!(found(".cargo/config.toml", "[alias]\nverify = 'xtask verify'"), 0);
        assert_eq!(found("notes.md", "from registry.npmjs.org"), 1);
    }
}
