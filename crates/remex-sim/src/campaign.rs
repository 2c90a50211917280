//! Many seeds on a few threads.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::coverage::Coverage;
use crate::plant::Plant;
use crate::world::{Report, run};

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
                        let report = run(seed, self.plant, None);
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
