//! Many seeds on a few threads.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::coverage::Coverage;
use crate::plant::Plant;
use crate::violation::Violation;
use crate::world::{Report, run};

/// One seed in so many is run twice: both runs must be the same, bit for bit.
const REPEATED_EVERY: u64 = 100;

/// Seeds to run. One seed runs on one thread; threads share nothing but the list of seeds.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// How many run at once.
    pub threads: usize,
    /// A bug planted in every run, if any.
    pub plant: Option<Plant>,
}

/// What came of a campaign.
#[derive(Debug, Default)]
pub struct Summary {
    /// Runs that ended.
    pub seeds: u64,
    /// Happenings, over all runs.
    pub steps: u64,
    /// Virtual time, over all runs, in microseconds.
    pub virtual_us: u64,
    /// Operations of clients that were checked.
    pub operations: u64,
    /// What was met, over all runs.
    pub coverage: Coverage,
    /// Of the runs that found a violation, the one with the smallest seed.
    pub failed: Option<Report>,
}

impl Campaign {
    /// Runs the seeds until one fails or all are done. No seed is begun after a failure; smaller
    /// ones that run already are waited for, so the failure with the smallest seed is reported.
    /// `ended` is told of every run as it ends.
    pub fn run(&self, ended: impl Fn(&Summary) + Sync) -> Summary {
        let next = AtomicU64::new(self.seeds.start);
        let stop = AtomicU64::new(self.seeds.end);
        let summary = Mutex::new(Summary::default());
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let report = self.run_one(seed);
                        if report.violation.is_some() {
                            stop.fetch_min(seed, Ordering::Relaxed);
                        }
                        let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                        summary.add(report);
                        ended(&summary);
                    }
                });
            }
        });
        summary.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a seed, one in [`REPEATED_EVERY`] of them twice.
    fn run_one(&self, seed: u64) -> Report {
        let mut report = run(seed, self.plant, None);
        if seed.is_multiple_of(REPEATED_EVERY) && report.violation.is_none() {
            let again = run(seed, self.plant, None);
            if (again.trace_hash, again.coverage) != (report.trace_hash, report.coverage) {
                let (first, second) = (report.trace_hash, again.trace_hash);
                let detail = format!("two runs of the seed differ: {first:016x}, {second:016x}");
                let at_us = again.virtual_us;
                report.violation = Some(Violation { invariant: "determinism", detail, at_us });
            }
        }
        report
    }
}

impl Summary {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.steps += report.steps;
        self.virtual_us += report.virtual_us;
        self.operations += report.operations as u64;
        self.coverage += report.coverage;
        let first = self.failed.as_ref().is_none_or(|failed| report.seed < failed.seed);
        if report.violation.is_some() && first {
            self.failed = Some(report);
        }
    }
}
