//! What was measured so far.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies are told apart from a microsecond up to a minute, to three digits.
const LOWEST_NS: u64 = 1_000;
const HIGHEST_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

/// Latencies of reads and of writes, and counts of everything else.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) reads: Histogram<u64>,
    pub(crate) writes: Histogram<u64>,
    /// Reads that found no key; they count as done.
    pub(crate) not_found: u64,
    /// Failures by code.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What the last failure said.
    pub(crate) last_error: Option<String>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS)
                .expect("the bounds and digits are in the histogram's range")
        };
        Self {
            reads: histogram(),
            writes: histogram(),
            not_found: 0,
            errors: BTreeMap::new(),
            last_error: None,
        }
    }

    pub(crate) fn done(&mut self, is_read: bool, found: bool, latency: Duration) {
        let histogram = if is_read { &mut self.reads } else { &mut self.writes };
        histogram.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        self.not_found += u64::from(!found);
    }

    pub(crate) fn failed(&mut self, code: &str, detail: String) {
        match self.errors.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(code.to_owned(), 1);
            }
        }
        self.last_error = Some(detail);
    }

    /// Requests that were carried out.
    pub(crate) fn done_count(&self) -> u64 {
        self.reads.len() + self.writes.len()
    }

    /// Requests that failed.
    pub(crate) fn failed_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Latencies of all requests.
    pub(crate) fn all(&self) -> Histogram<u64> {
        let mut all = self.reads.clone();
        all += &self.writes;
        all
    }
}
