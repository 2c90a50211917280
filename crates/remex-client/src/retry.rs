//! When to try again, and after which pause.

use std::time::Duration;

use crate::{Code, Error};

/// First pause between two rounds over the endpoints; doubled after each.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Longest pause that the client chooses by itself.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Whether another attempt could end differently. Whether it is *safe* is
/// [`crate::Call::may_repeat`]'s question.
pub(crate) fn is_transient(error: &Error) -> bool {
    let passing = [Code::UNREACHABLE, Code::CONNECTION_LOST, Code::TIMEOUT];
    if passing.contains(&error.code) {
        return true;
    }
    // A 504 is a node that waited in vain; another one, or the same after an election, may do.
    error.problem.retryable || matches!(error.status, Some(429 | 503 | 504))
}

/// Whether another node could do better at once. Not so under overload: every node forwards to
/// the same leader.
pub(crate) fn another_may_do(error: &Error) -> bool {
    error.status != Some(429)
}

/// The pause before round `round` (1 is the first repetition). `jitter` is drawn from 0 to 1, so
/// that clients which failed together do not come back together. What the server asked for is
/// the least that is waited.
pub(crate) fn pause(round: u32, retry_after_s: Option<u64>, jitter: f64) -> Duration {
    let doubled = PAUSE_FIRST.saturating_mul(1 << round.saturating_sub(1).min(16));
    let own = doubled.min(PAUSE_MAX);
    match retry_after_s.map(Duration::from_secs) {
        Some(asked) if asked >= own => asked.saturating_add(PAUSE_FIRST.mul_f64(jitter)),
        _ => own.mul_f64(0.5 + jitter / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_vary_by_half() {
        assert_eq!(pause(1, None, 1.0), Duration::from_millis(50));
        assert_eq!(pause(1, None, 0.0), Duration::from_millis(25));
        assert_eq!(pause(3, None, 1.0), Duration::from_millis(200));
        assert_eq!(pause(60, None, 1.0), Duration::from_secs(1));
        assert_eq!(pause(u32::MAX, None, 0.0), Duration::from_millis(500));
    }

    #[test]
    fn what_the_server_asks_for_is_the_least() {
        assert_eq!(pause(1, Some(3), 0.0), Duration::from_secs(3));
        assert_eq!(pause(1, Some(3), 1.0), Duration::from_millis(3050));
        assert_eq!(pause(1, Some(0), 1.0), Duration::from_millis(50));
        assert!(pause(1, Some(u64::MAX), 1.0) > Duration::from_secs(u64::MAX - 1));
    }
}
