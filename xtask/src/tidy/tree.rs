//! The files of the repository, in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// Text files by their path from the root, with `/` between the parts.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads everything below `root` but what git ignores at the root and git's own folder. A
    /// file that is not UTF-8 counts as present and empty.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let ignored = ignored.lines().filter_map(|line| line.strip_prefix('/'));
        let skipped: Vec<&str> = ignored.map(|name| name.trim_end_matches('/')).collect();
        let mut tree = Self::default();
        tree.read_folder(root, "", &skipped)?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str, skipped: &[&str]) -> anyhow::Result<()> {
        let context = || format!("reading {}", folder.display());
        for entry in fs::read_dir(folder).with_context(context)? {
            let entry = entry.with_context(context)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if name == ".git" || skipped.contains(&path.as_str()) {
                continue;
            }
            if entry.file_type().with_context(context)?.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"), skipped)?;
            } else {
                let bytes = fs::read(entry.path()).with_context(|| format!("reading {path}"))?;
                self.files.insert(path, String::from_utf8(bytes).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// A tree of these files.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(own).collect() }
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Every file with its text, by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every file whose name ends so.
    pub fn files_ending(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(suffix))
    }

    /// Whether there is a file or folder at this path.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        let mut from = self.files.range(path.to_owned()..).map(|(found, _)| found);
        path.is_empty()
            || self.files.contains_key(path)
            || from
                .find(|found| !found.starts_with(path) || found.starts_with(&inside))
                .is_some_and(|found| found.starts_with(&inside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_exist_through_their_files() {
        let tree = Tree::of(&[("a-b/c.rs", ""), ("a.rs", ""), ("a/d.rs", "")]);
        for there in ["", "a", "a/", "a-b", "a/d.rs", "a.rs"] {
            assert!(tree.exists(there), "{there:?}");
        }
        for missing in ["b", "a/d", "a-", "a/e.rs"] {
            assert!(!tree.exists(missing), "{missing:?}");
        }
    }

    #[test]
    fn what_git_ignores_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in
            [(".gitignore", "/target\n"), ("target/x.rs", "x"), (".git/y", "y"), ("src/z.rs", "z")]
        {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tree = Tree::read(root.path()).unwrap();
        assert_eq!(
            tree.files().map(|(path, _)| path).collect::<Vec<_>>(),
            [".gitignore", "src/z.rs"]
        );
        assert_eq!(tree.text("src/z.rs"), Some("z"));
    }
}
