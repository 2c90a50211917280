//! How long a wait may take, on a machine that may itself be stopped for minutes.

use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Pause between two looks at something that only shows by asking.
const POLL_PAUSE: Duration = Duration::from_millis(10);

/// Most that one pause may cost, however long it was: a virtual machine that is stopped and goes on
/// later has not waited.
const PAUSE_COST_MAX: Duration = Duration::from_secs(1);

/// What is left of [`PATIENCE`] in a loop that looks again and again.
#[derive(Debug)]
pub struct Patience {
    left: Duration,
    looked: Instant,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: PATIENCE, looked: Instant::now() }
    }
}

impl Patience {
    /// Waits for a moment; false if patience has run out.
    #[must_use]
    pub fn pause(&mut self) -> bool {
        thread::sleep(POLL_PAUSE);
        let cost = self.looked.elapsed().min(PAUSE_COST_MAX);
        self.looked = Instant::now();
        self.left = self.left.saturating_sub(cost);
        !self.left.is_zero()
    }
}
