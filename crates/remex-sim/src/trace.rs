//! The running hash of everything that happens, and its readable form.

use std::fmt;
use std::io::Write;

use xxhash_rust::xxh3::Xxh3;

/// Where readable lines go.
pub type Lines = Box<dyn Write + Send>;

/// Hashes every happening and effect of a run, and prints them if somebody wants to read along.
/// Two runs of one seed are the same run exactly if their hashes are equal.
pub(crate) struct Trace {
    hasher: Xxh3,
    lines: Option<Lines>,
    /// A line that could not be written stops the printing, not the run.
    failed: Option<std::io::Error>,
}

impl Trace {
    pub(crate) fn new(lines: Option<Lines>) -> Self {
        Self { hasher: Xxh3::new(), lines, failed: None }
    }

    /// Takes numbers into the hash.
    pub(crate) fn note<const N: usize>(&mut self, numbers: [u64; N]) {
        for number in numbers {
            self.hasher.update(&number.to_le_bytes());
        }
    }

    /// Takes bytes into the hash.
    pub(crate) fn note_bytes(&mut self, bytes: &[u8]) {
        self.note([bytes.len() as u64]);
        self.hasher.update(bytes);
    }

    /// Prints a line, if lines are wanted.
    pub(crate) fn line(&mut self, now_us: u64, text: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        let (seconds, rest) = (now_us / 1_000_000, now_us % 1_000_000);
        if let Err(error) = writeln!(lines, "{seconds:>4}.{rest:06} {}", text()) {
            self.lines = None;
            self.failed = Some(error);
        }
    }

    /// The hash so far, and why lines are missing, if they are.
    pub(crate) fn finish(self) -> (u64, Option<std::io::Error>) {
        (self.hasher.digest(), self.failed)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trace")
            .field("hash", &self.hasher.digest())
            .field("printed", &self.lines.is_some())
            .finish_non_exhaustive()
    }
}
