//! Files stay small: 500 product lines each.
//!
//! Lines of a test module at the end of a file, and files that hold nothing but tests, do not
//! count. A file that is longer must stand in the list of exceptions with its exact length, so
//! that growing it is a visible decision and shrinking it is recorded.

use std::collections::BTreeMap;

use super::{Finding, Tree};

/// When a file reaches 400 lines, name the second noun in it before it grows.
const PRODUCT_LINES_MAX: usize = 500;

/// One line for each exception: path and length.
const EXCEPTIONS: &str = "xtask/tidy-sizes.txt";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut exceptions = BTreeMap::new();
    for line in tree.text(EXCEPTIONS).unwrap_or_default().lines() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        match entry.split_once(' ').map(|(path, length)| (path, length.trim().parse())) {
            Some((path, Ok(length))) => drop(exceptions.insert(path, length)),
            _ if entry.is_empty() => {}
            _ => findings.push(format!("{EXCEPTIONS}: not a path and a length: {line:?}")),
        }
    }
    for (path, text) in tree.files_ending(".rs").filter(|(path, _)| !holds_only_tests(path)) {
        let length = product_lines(text);
        match exceptions.remove(path) {
            None if length > PRODUCT_LINES_MAX => findings.push(format!(
                "{path}: {length} product lines, {PRODUCT_LINES_MAX} are allowed; split it by its second noun"
            )),
            Some(_) if length <= PRODUCT_LINES_MAX => {
                findings.push(format!("{EXCEPTIONS}: {path} is short enough; remove it here"));
            }
            Some(listed) if length > listed => findings.push(format!(
                "{path}: {length} product lines, the exception is for {listed} and may only shrink"
            )),
            Some(listed) if length < listed => {
                findings.push(format!("{EXCEPTIONS}: {path} has shrunk; write {length} here"));
            }
            None | Some(_) => {}
        }
    }
    let gone = exceptions.keys().map(|path| format!("{EXCEPTIONS}: {path} does not exist"));
    findings.extend(gone);
    findings
}

fn holds_only_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The lines before the test module.
fn product_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let opens_tests = |pair: &[&str]| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    };
    lines.windows(2).position(opens_tests).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(product: usize, tests: usize, exceptions: &str) -> Vec<Finding> {
        let text = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "x\n".repeat(product),
            "y\n".repeat(tests)
        );
        check(&Tree::of(&[("crates/a/src/b.rs", &text), (EXCEPTIONS, exceptions)]))
    }

    #[test]
    fn only_product_lines_count() {
        assert_eq!(findings(500, 900, ""), Vec::<Finding>::new());
        assert_eq!(findings(501, 0, "").len(), 1);
        let long = "x\n".repeat(900);
        assert!(
            check(&Tree::of(&[("a/src/b/tests.rs", &long), ("a/tests/c.rs", &long)])).is_empty()
        );
    }

    #[test]
    fn an_exception_may_only_shrink() {
        assert_eq!(findings(600, 0, "# why\ncrates/a/src/b.rs 600\n"), Vec::<Finding>::new());
        for wrong in [
            "crates/a/src/b.rs 599",
            "crates/a/src/b.rs 601",
            "crates/a/src/c.rs 600\ncrates/a/src/b.rs 600",
            "nonsense\ncrates/a/src/b.rs 600",
        ] {
            assert_eq!(findings(600, 0, wrong).len(), 1, "{wrong}");
        }
        assert_eq!(findings(400, 0, "crates/a/src/b.rs 400").len(), 1);
    }
}
