//! The library between a node and its disk (`shim.c`), compiled when it is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed, and the call does not happen.
    Before,
    /// The process is killed in the middle of a write, or behind any other call.
    Half,
    /// The call fails with an input/output error.
    Eio,
    /// The call fails because the disk is full.
    Enospc,
    /// A write does its first half and says so.
    Short,
}

impl Fault {
    /// Its name, for the library and for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Half => "half",
            Self::Eio => "eio",
            Self::Enospc => "enospc",
            Self::Short => "short",
        }
    }
}

/// Which calls count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    All,
    Writes,
    Syncs,
}

/// What is to happen in one life of a node. Without a fault the calls are only counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Only calls on files whose path has this in it count.
    pub(crate) only: &'static str,
    pub(crate) calls: Calls,
    /// What happens, at which call (from 1), and to how many from there on.
    pub(crate) fault: Option<(Fault, usize, usize)>,
}

impl Plan {
    /// Counts every call.
    pub(crate) const COUNT: Self = Self { only: "", calls: Calls::All, fault: None };

    /// Whether the process must end when the fault comes.
    pub(crate) fn is_deadly(self) -> bool {
        matches!(self.fault, Some((Fault::Before | Fault::Half | Fault::Eio, ..)))
    }
}

/// The compiled library.
#[derive(Debug)]
pub(crate) struct Shim {
    library: PathBuf,
    /// Keeps the library until the end.
    _directory: TempDir,
}

impl Shim {
    /// Compiles it.
    ///
    /// # Errors
    /// What this machine lacks.
    pub(crate) fn build() -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("Linux".to_owned());
        }
        let directory = tempfile::tempdir().unwrap();
        let library = directory.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rigs/shim.c");
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .output()
            .map_err(|error| format!("a C compiler called cc ({error})"))?;
        let said = String::from_utf8_lossy(&compiler.stderr);
        assert!(compiler.status.success(), "the C compiler does not take shim.c: {said}");
        Ok(Self { library, _directory: directory })
    }

    /// Variables for a process that keeps its data in `root`. Every counted call becomes a line of
    /// `trace`.
    pub(crate) fn variables(&self, root: &Path, trace: &Path, plan: Plan) -> Vec<(String, String)> {
        // The process sees its files by their real names.
        let parent = fs::canonicalize(root.parent().unwrap()).unwrap();
        let root = parent.join(root.file_name().unwrap());
        let (fault, point, span) =
            plan.fault.map_or(("", 0, 0), |(fault, point, span)| (fault.as_str(), point, span));
        let calls = match plan.calls {
            Calls::All => "all",
            Calls::Writes => "write",
            Calls::Syncs => "sync",
        };
        let variables = [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("RIG_ROOT", root.display().to_string()),
            ("RIG_ONLY", plan.only.to_owned()),
            ("RIG_CALLS", calls.to_owned()),
            ("RIG_FAULT", fault.to_owned()),
            ("RIG_POINT", point.to_string()),
            ("RIG_SPAN", span.to_string()),
            ("RIG_TRACE", trace.display().to_string()),
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The calls of one life.
#[derive(Debug)]
pub(crate) struct Trace {
    /// One line each: number, name, path below the root, and whether it was hurt.
    lines: Vec<String>,
}

impl Trace {
    pub(crate) fn read(path: &Path) -> Self {
        // No file: the node did not come to its first call.
        let text = fs::read_to_string(path).unwrap_or_default();
        Self { lines: text.lines().map(str::to_owned).collect() }
    }

    /// Number of calls.
    pub(crate) fn calls(&self) -> usize {
        self.lines.len()
    }

    /// The calls that were hurt.
    pub(crate) fn hurt(&self) -> Vec<&str> {
        let hurt = self.lines.iter().filter(|line| line.ends_with(" HURT"));
        hurt.map(String::as_str).collect()
    }

    /// The syncs of one file behind its first call that was hurt.
    pub(crate) fn syncs_after_hurt(&self) -> Vec<&str> {
        let lines = self.lines.iter().map(String::as_str);
        let mut rest = lines.skip_while(|line| !line.ends_with(" HURT"));
        let Some(file) = rest.next().and_then(|line| line.split(' ').nth(2)) else {
            return Vec::new();
        };
        rest.filter(|line| line.contains("sync") && line.split(' ').nth(2) == Some(file)).collect()
    }
}
