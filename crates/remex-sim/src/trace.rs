//! The running hash of everything that happens, and its readable form.

use std::fmt;
use std::io::Write;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Odd, and with no pattern in its bits: the golden ratio in 64 bits.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where readable lines go.
pub type Lines = Box<dyn Write + Send>;

/// Hashes every happening and effect of a run, and prints them if somebody wants to read along.
/// Two runs of one seed are the same run exactly if their hashes are equal.
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Lines>,
    /// A line that could not be written stops the printing, not the run.
    failed: Option<std::io::Error>,
}

impl Trace {
    pub(crate) fn new(lines: Option<Lines>) -> Self {
        Self { hash: 0, lines, failed: None }
    }

    /// Takes numbers into the hash.
    pub(crate) fn note<const N: usize>(&mut self, numbers: [u64; N]) {
        for number in numbers {
            // One to one in both operands: what has once made a difference is never forgotten
            // by itself. There are millions of these in a run, so it must cost next to nothing.
            self.hash = (self.hash.rotate_left(23) ^ number).wrapping_mul(MULTIPLIER);
        }
    }

    /// Takes bytes into the hash.
    pub(crate) fn note_bytes(&mut self, bytes: &[u8]) {
        self.hash = xxh3_64_with_seed(bytes, self.hash);
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
        (xxh3_64_with_seed(&[], self.hash), self.failed)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trace")
            .field("hash", &self.hash)
            .field("printed", &self.lines.is_some())
            .finish_non_exhaustive()
    }
}
