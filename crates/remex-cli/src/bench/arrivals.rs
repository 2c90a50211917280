//! The clock of an open loop: hands out one arrival after the other at a steady rate.
//!
//! A thread of its own sleeps between arrivals: the timers of the runtime have a grain of a
//! millisecond, which would be measured as latency. An arrival that no client is free to take
//! waits, and its wait counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Arrivals from `start` to `end`.
#[derive(Debug)]
pub(crate) struct Arrivals {
    start: Instant,
    rate: f64,
    taken: AtomicU64,
    due: Semaphore,
}

impl Arrivals {
    /// Starts the clock. The thread ends at `end`; from then on nobody gets an arrival.
    pub(crate) fn begin(rate: f64, start: Instant, end: Instant) -> (Arc<Self>, JoinHandle<()>) {
        let arrivals =
            Arc::new(Self { start, rate, taken: AtomicU64::new(0), due: Semaphore::new(0) });
        let clock = Arc::clone(&arrivals);
        (arrivals, thread::spawn(move || clock.tick_until(end)))
    }

    fn tick_until(&self, end: Instant) {
        let mut issued: usize = 0;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let mut due = issued;
            while self.moment(due as u64) <= now {
                due += 1;
            }
            self.due.add_permits(due - issued);
            issued = due;
            let next = self.moment(issued as u64).min(end);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        self.due.close();
    }

    /// Hands out no arrival any more.
    pub(crate) fn stop(&self) {
        self.due.close();
    }

    /// Waits for the next arrival and returns its moment; `None` after the end.
    pub(crate) async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        Some(self.moment(self.taken.fetch_add(1, Ordering::Relaxed)))
    }

    /// Arrivals that nobody took: above 0, the rate was not sustained.
    pub(crate) fn backlog(&self) -> usize {
        self.due.available_permits()
    }

    fn moment(&self, number: u64) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "2^53 arrivals are not reached")]
        let seconds = number as f64 / self.rate;
        self.start + Duration::from_secs_f64(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_arrival_is_handed_out_once_in_order_until_the_end() {
        // All arrivals lie in the past, so that none has to be waited for.
        let start = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let end = Instant::now() + Duration::from_millis(20);
        let (arrivals, clock) = Arrivals::begin(100.0, start, end);
        let mut moments = Vec::new();
        while let Some(moment) = arrivals.next().await {
            moments.push(moment);
        }
        clock.join().unwrap();
        assert!(moments.len() >= 100);
        assert_eq!(moments[0], start);
        let step = Duration::from_millis(10);
        assert!(moments.windows(2).all(|pair| pair[1] - pair[0] <= step + Duration::from_nanos(1)));
        assert!(moments.is_sorted());
    }
}
