//! The pages of the dialects: every test that one names exists.
//!
//! A page says in tables which behaviors of an imitated system are reproduced, with the test that
//! shows it in a column called `shown by`. A name there that no function bears has been renamed, and
//! the page would go on promising what nobody checks.

use std::collections::BTreeSet;

use super::{Finding, Tree};

const FOLDER: &str = "docs/dialects/";

/// The page that leads to the others: it promises nothing that they do not.
const INDEX: &str = "docs/dialects/README.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let functions: BTreeSet<&str> =
        tree.files_ending(".rs").flat_map(|(_, text)| text.lines()).filter_map(function).collect();
    let pages =
        tree.files_ending(".md").filter(|(path, _)| path.starts_with(FOLDER) && *path != INDEX);
    let mut findings = Vec::new();
    for (path, text) in pages {
        let tests = named(text);
        if tests.is_empty() {
            findings
                .push(format!("{path}: no table has a column `shown by` with the name of a test"));
        }
        for (line, test) in tests {
            if !functions.contains(test.as_str()) {
                findings.push(format!("{path}:{line}: there is no test `{test}`"));
            }
        }
    }
    findings
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// The tests that the tables of a page name, with their lines. Other words in quotes, of files for
/// example, hold more than letters, digits and `_`.
fn named(text: &str) -> Vec<(usize, String)> {
    let mut tests = Vec::new();
    // Which cell of the table at hand names tests.
    let mut column = None;
    let mut is_in_table = false;
    let is_name =
        |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    for (number, line) in text.lines().enumerate() {
        let Some(row) = line.trim().strip_prefix('|') else {
            (column, is_in_table) = (None, false);
            continue;
        };
        // A bar of the text itself.
        let row = row.replace("\\|", "/");
        let mut cells = row.split('|').map(str::trim);
        if !is_in_table {
            column = cells.position(|cell| cell == "shown by");
            is_in_table = true;
        } else if let Some(cell) = column.and_then(|column| cells.nth(column)) {
            let quoted = cell.split('`').skip(1).step_by(2).filter(is_name);
            tests.extend(quoted.map(|test| (number + 1, test.to_owned())));
        }
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[test]\nfn t1_one() {}\n    async fn t2_two() {}\nfn generic<T>() {}\n";

    fn findings(page: &str) -> Vec<Finding> {
        check(&Tree::of(&[("crates/a/tests/b.rs", TESTS), ("docs/dialects/x.md", page)]))
    }

    #[test]
    fn tests_that_exist_are_fine() {
        let page = "| row | what | shown by |\n|---|---|---|\n| T1 | `no_test` a\\|b | `c.rs`: `t1_one`, `t2_two` |\n\
                    | T3 | other | by hand |\n\ntext\n\n| shown by | a |\n|---|---|\n| `generic` | `b` |\n\
                    \n| flag | for |\n|---|---|\n| a | `c` |\n";
        assert_eq!(findings(page), Vec::<Finding>::new());
    }

    #[test]
    fn a_test_that_is_gone_is_found() {
        let page = "# X\n\n| row | shown by |\n|---|---|\n| T1 | `t1_one` |\n| T2 | `t2_tow` |\n";
        assert_eq!(findings(page), ["docs/dialects/x.md:6: there is no test `t2_tow`"]);
    }

    #[test]
    fn a_page_without_tests_is_found() {
        let found = findings("| row | what |\n|---|---|\n| T1 | `t1_one` |\n");
        assert_eq!(found.len(), 1, "{found:?}");
        let others = [("docs/cli.md", "# CLI"), ("docs/dialects/README.md", "# All")];
        assert!(check(&Tree::of(&others)).is_empty());
    }
}
