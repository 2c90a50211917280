//! What a run can find.

use std::fmt;

use crate::node::End;

/// A broken invariant. A run stops at the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant, by the name of its file.
    pub invariant: &'static str,
    /// What was seen.
    pub detail: String,
    /// When, in microseconds of virtual time.
    pub at_us: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.at_us / 1_000_000, self.at_us % 1_000_000);
        write!(formatter, "{} at {seconds}.{rest:06} s: {}", self.invariant, self.detail)
    }
}

impl std::error::Error for Violation {}

/// An invariant that did not hold, before the time is known: name and what was seen.
pub(crate) type Broken = (&'static str, String);

/// What every check answers.
pub(crate) type Check = Result<(), Broken>;

/// Why a node's turn ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// An invariant does not hold: the run ends.
    Broken(Broken),
    /// The disk or the power failed, as planned: the node is down.
    Ended(End),
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}
