//! What the parts count and measure while they work; [`crate::metrics`] makes series of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use remex_model::MetricValue;

use crate::ending::Damaged;

/// Upper bounds of the buckets of a duration, in microseconds: a factor of about two each.
const BOUNDS_US: [u64; 18] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Counts durations by size.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Durations {
    pub(crate) fn note(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|&bound| bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> MetricValue {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_US.len());
        for (bucket, &bound) in self.buckets.iter().zip(&BOUNDS_US) {
            count += bucket.load(Ordering::Relaxed);
            buckets.push((seconds(bound), count));
        }
        count += self.buckets[BOUNDS_US.len()].load(Ordering::Relaxed);
        MetricValue::Histogram { buckets, count, sum: seconds(self.sum_us.load(Ordering::Relaxed)) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of many years fit")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted and measured.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// Writing and syncing the log.
    pub(crate) log_sync: Durations,
    /// From a write's admission to its outcome, on the node that took it.
    pub(crate) commit: Durations,
    pub(crate) leader_changes: Count,
    /// Writes that ended without a known success: no leader, or the deadline passed.
    pub(crate) proposals_failed: Count,
    pub(crate) snapshots_sent: Count,
    pub(crate) snapshots_installed: Count,
    pub(crate) state_mismatches: Count,
    repairs: [Count; 3],
}

/// Every cause of a repair.
pub(crate) const REPAIRS: [Damaged; 3] = [Damaged::Engine, Damaged::Log, Damaged::RolledBack];

impl Meters {
    /// Repairs for this cause.
    pub(crate) fn repairs(&self, cause: Damaged) -> &Count {
        &self.repairs[cause as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_hold_their_bound() {
        let durations = Durations::default();
        for us in [25, 26, 10_000_001] {
            durations.note(Duration::from_micros(us));
        }
        let MetricValue::Histogram { buckets, count, sum } = durations.value() else {
            panic!("durations are a histogram")
        };
        assert_eq!((buckets[0].1, buckets[1].1, buckets[17].1, count), (1, 2, 2, 3));
        assert!((sum - 10.000_052).abs() < 1e-9);
    }
}
