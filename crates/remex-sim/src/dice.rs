//! Everything that is left to chance, from one seed.

use fastrand::Rng;

/// Parts of ten thousand: a probability that can be compared, printed and drawn exactly.
pub(crate) type PerMyriad = u32;

/// A seeded source of chance. Every part of a run has its own, so that a part that draws more
/// or less often than before leaves the luck of the others as it was.
#[derive(Debug)]
pub(crate) struct Dice(Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Another source, seeded from this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.number())
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high)
    }

    /// A position in something of this length, which is not 0.
    pub(crate) fn below(&mut self, length: usize) -> usize {
        self.0.usize(..length)
    }

    pub(crate) fn chance(&mut self, probability: PerMyriad) -> bool {
        probability > 0 && self.0.u32(..10_000) < probability
    }

    /// One of several, each as likely.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A pause with this mean.
    pub(crate) fn around(&mut self, mean: u64) -> u64 {
        self.between(mean / 8, mean.saturating_mul(2) - mean / 8).max(1)
    }
}
