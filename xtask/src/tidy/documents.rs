//! Paths and links in documents lead somewhere.
//!
//! Checked are relative links with their anchors, paths in inline code (`crates/…`, `docs/…`,
//! and `remex-log/src/…` for what lies in a crate; `{a,b}` names several files), and every
//! mention of a document below `docs/` in any other text of the repository, source files above
//! all. Blocks of code in documents are left alone.

use super::{Finding, Tree};

/// What follows a crate's name in a path, so that `remex/anything` in prose is not taken for one.
const CRATE_CONTENTS: &[&str] = &["src", "tests", "scripts", "Cargo.toml"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files_ending(".md") {
        for (number, line) in prose(text) {
            let at = format!("{path}:{number}");
            for link in links(line) {
                if let Some(reason) = broken_link(tree, path, link) {
                    findings.push(format!("{at}: the link {link} {reason}"));
                }
            }
            for missing in code_spans(line).flat_map(|span| missing_paths(tree, span)) {
                findings.push(format!("{at}: {missing} does not exist"));
            }
        }
    }
    let others = |path: &str| !path.ends_with(".md") && !path.starts_with("xtask/src/tidy/");
    for (path, text) in tree.files().filter(|(path, _)| others(path)) {
        for (number, line) in text.lines().enumerate() {
            for missing in mentions(line).filter(|mention| !tree.exists(mention)) {
                findings.push(format!("{path}:{}: {missing} does not exist", number + 1));
            }
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Lines outside fenced blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

/// Why a link leads nowhere; `None` if it leads somewhere or out of the repository.
fn broken_link(tree: &Tree, document: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { Some(document.to_owned()) } else { resolve(document, file) };
    let Some(target) = target.filter(|target| tree.exists(target)) else {
        return Some("leads to no file".to_owned());
    };
    if anchor.is_empty() || !target.ends_with(".md") {
        return None;
    }
    let headings = prose(tree.text(&target)?).filter(|(_, line)| line.starts_with('#'));
    let known = headings.map(|(_, line)| slug(line)).any(|slug| slug == anchor);
    (!known).then(|| format!("names no heading of {target}"))
}

/// The path that a relative link in a document means; `None` if it leaves the repository.
fn resolve(document: &str, link: &str) -> Option<String> {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchor that a renderer makes of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The paths that a span of inline code names and that are not there.
fn missing_paths(tree: &Tree, span: &str) -> Vec<String> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "_-./{},".contains(c);
    let Some((first, rest)) = span.split_once('/') else { return Vec::new() };
    if !span.chars().all(is_path) || first.is_empty() {
        return Vec::new();
    }
    let inside = rest.split('/').next().unwrap_or_default();
    let path = if tree.exists(&format!("crates/{first}")) && CRATE_CONTENTS.contains(&inside) {
        format!("crates/{span}")
    } else if tree.exists(first) {
        span.to_owned()
    } else {
        return Vec::new();
    };
    expand(&path).into_iter().filter(|path| !tree.exists(path)).collect()
}

/// `a/{b,c}` is `a/b` and `a/c`.
fn expand(path: &str) -> Vec<String> {
    let braces = path
        .split_once('{')
        .and_then(|(head, rest)| rest.split_once('}').map(|(choices, tail)| (head, choices, tail)));
    let Some((head, choices, tail)) = braces else { return vec![path.to_owned()] };
    choices.split(',').flat_map(|choice| expand(&format!("{head}{choice}{tail}"))).collect()
}

/// Documents below `docs/` that a line names by path.
fn mentions(line: &str) -> impl Iterator<Item = &str> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    line.match_indices("docs/").filter_map(move |(at, _)| {
        let foreign = line[..at].chars().next_back().is_some_and(is_path);
        let rest = &line[at..];
        let length = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
        let mention = rest[..length].trim_end_matches('.');
        (!foreign && mention.ends_with(".md")).then_some(mention)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<Finding> {
        check(&Tree::of(&[
            ("docs/a.md", text),
            ("docs/b.md", "# B\n\n## Two words, and `code`\n"),
            ("crates/remex-log/src/lib.rs", "//! Front."),
            ("crates/remex-log/src/append.rs", ""),
        ]))
    }

    #[test]
    fn links_lead_to_files_and_headings() {
        let good = "[x](b.md) [x](./b.md#two-words-and-code) [x](../docs/b.md) [x](https://x.y/z)";
        assert_eq!(findings(good), Vec::<Finding>::new());
        for bad in ["[x](c.md)", "[x](b.md#three)", "[x](../../outside.md)", "[x](#nowhere)"] {
            assert_eq!(findings(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn paths_in_code_spans_exist() {
        let good = "`remex-log/src/{lib,append}.rs` `crates/remex-log` `app/config` `v1/kv`";
        assert_eq!(findings(good), Vec::<Finding>::new());
        assert_eq!(findings("`remex-log/src/{lib,other}.rs`").len(), 1);
        assert_eq!(findings("`crates/remex-none`").len(), 1);
        assert_eq!(findings("```\n`crates/remex-none`\n```"), Vec::<Finding>::new());
    }

    #[test]
    fn documents_named_anywhere_exist() {
        let mention =
            |text: &str| check(&Tree::of(&[("Cargo.toml", text), ("docs/a.md", "")])).len();
        assert_eq!(mention("# see docs/a.md."), 0);
        assert_eq!(mention("# see docs/c.md"), 1);
        assert_eq!(mention("# see https://x.y/docs/c.md"), 0);
    }
}
