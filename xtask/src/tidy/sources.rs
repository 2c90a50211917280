//! Source files: front pages, leftover markers, orphans.

use std::path::Path;

use super::{Finding, Tree};

/// What stands in for work that is not done. Written in two halves, so that this file is tidy.
const LEFTOVERS: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];
const LEFTOVER_MACROS: &[&str] = &[concat!("todo", "!("), concat!("unimplemented", "!(")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        let rust = path.ends_with(".rs");
        for (number, line) in text.lines().enumerate() {
            let words = LEFTOVERS.iter().filter(|word| holds_word(line, word));
            let macros = LEFTOVER_MACROS.iter().filter(|name| rust && line.contains(*name));
            for leftover in words.chain(macros) {
                findings.push(format!("{path}:{}: {leftover} was left over", number + 1));
            }
        }
        if !rust {
            continue;
        }
        if is_front_page(path) && !text.starts_with("//!") {
            findings.push(format!(
                "{path}: it must open with `//!`: the idea, the invariants, what is missing"
            ));
        }
        if is_orphan(tree, path) {
            findings.push(format!("{path}: no `mod` line leads to it"));
        }
    }
    findings
}

fn is_front_page(path: &str) -> bool {
    let name = Path::new(path).file_name();
    name.is_some_and(|name| name == "lib.rs" || name == "mod.rs" || name == "main.rs")
}

fn holds_word(line: &str, word: &str) -> bool {
    let is_part = |neighbor: Option<char>| neighbor.is_some_and(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !is_part(before) && !is_part(after)
    })
}

/// Whether a module below `src/` is named in no file that could declare it.
fn is_orphan(tree: &Tree, path: &str) -> bool {
    let Some((root, inside)) = path.split_once("/src/") else { return false };
    if inside.starts_with("bin/") || matches!(inside, "lib.rs" | "main.rs") {
        return false;
    }
    let inside = inside.strip_suffix("/mod.rs").or_else(|| inside.strip_suffix(".rs"));
    let inside = inside.unwrap_or_default();
    let (folder, name) =
        inside.rsplit_once('/').map_or(("", inside), |(folder, name)| (folder, name));
    let parents = match folder {
        "" => vec![format!("{root}/src/lib.rs"), format!("{root}/src/main.rs")],
        folder => vec![format!("{root}/src/{folder}/mod.rs"), format!("{root}/src/{folder}.rs")],
    };
    let declaration = format!("mod {name};");
    let declares = |text: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.any(|line| line.ends_with(&declaration) && !line.starts_with("//"))
    };
    !parents.iter().any(|parent| tree.text(parent).is_some_and(declares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_pages_open_with_prose() {
        let tree = Tree::of(&[("crates/a/src/lib.rs", "mod b;"), ("crates/a/src/b.rs", "")]);
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn leftovers_are_found_as_words() {
        let marker = LEFTOVERS[1];
        let text = format!("//! Front.\n// {marker}: later\nlet x = \"{marker}{marker}\";\n");
        assert_eq!(check(&Tree::of(&[("crates/a/src/lib.rs", &text)])).len(), 1);
        let call = format!("//! Front.\nfn f() {{ {}) }}\n", LEFTOVER_MACROS[0]);
        assert_eq!(check(&Tree::of(&[("crates/a/src/lib.rs", &call)])).len(), 1);
    }

    #[test]
    fn a_file_that_no_module_names_is_an_orphan() {
        let files = [
            ("crates/a/src/lib.rs", "//! Front.\npub mod b;\n// mod c;\n"),
            ("crates/a/src/b/mod.rs", "//! Front.\n#[cfg(test)]\nmod tests;\n"),
            ("crates/a/src/b/tests.rs", ""),
            ("crates/a/src/c.rs", ""),
            ("crates/a/tests/d/e.rs", ""),
        ];
        assert_eq!(check(&Tree::of(&files)), ["crates/a/src/c.rs: no `mod` line leads to it"]);
    }
}
