//! How long a node waits for its peers, and how often it tries.

use std::time::Duration;

use crate::Config;

/// Shortest silence that ends a connection: three signs of life, which come once a second whatever
/// the settings say.
const SILENCE_MIN: Duration = Duration::from_secs(3);

/// How long a node waits for its peers, and how often it tries; all of it follows from the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Longest time to connect and to exchange greetings, and for bytes that were sent to stay
    /// unacknowledged.
    pub(crate) greeting: Duration,
    /// Longest time for a question that the other side answers from what it knows. Less than for a
    /// greeting: such questions go to one address after the other, and some of these may be dead.
    pub(crate) question: Duration,
    /// Longest time for an invitation: the invited node may have to stop its own cluster first.
    pub(crate) invitation: Duration,
    /// Longest silence on a peer's connection.
    pub(crate) silence: Duration,
    /// Failed attempts to connect, one after the other, that make a peer unreachable.
    pub(crate) attempts: u32,
    /// Pause after the first failed attempt; it doubles with each further one.
    pub(crate) pause_min: Duration,
    /// Longest pause between two attempts.
    pub(crate) pause_max: Duration,
}

impl Patience {
    pub(crate) fn of(config: &Config) -> Self {
        let greeting = Duration::from_millis(config.peer_timeout_ms);
        Self {
            greeting,
            question: greeting * 2 / 5,
            invitation: greeting * 2,
            silence: (greeting * 3).max(SILENCE_MIN),
            attempts: config.connect_retries,
            pause_min: Duration::from_millis(config.connect_pause_ms),
            pause_max: Duration::from_millis(config.connect_pause_max_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_follows_from_the_settings() {
        let mut config = Config::new("unused");
        let usual = Patience::of(&config);
        assert_eq!(usual.question, Duration::from_secs(2));
        assert_eq!(usual.invitation, Duration::from_secs(10));
        assert_eq!(usual.silence, Duration::from_secs(15));
        config.peer_timeout_ms = 500;
        let short = Patience::of(&config);
        assert_eq!(short.question, Duration::from_millis(200));
        assert_eq!(short.silence, SILENCE_MIN, "signs of life come once a second");
    }
}
