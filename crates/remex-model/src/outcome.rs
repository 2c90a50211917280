//! Outcomes: what applying a command did, the same on every node.

use crate::{Record, Revision};

/// What a committed command did. Not an error: a refusal here is as replicated as a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every condition held.
    Written(Written),
    /// A condition did not hold; nothing was written.
    Refused(Refusal),
    /// The command's request key is that of another command, applied earlier; nothing was written.
    KeyReused {
        /// The store's revision.
        revision: Revision,
    },
}

/// The result of a command whose conditions held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The store's revision after the command: a new one if anything changed.
    pub revision: Revision,
    /// One result for each write of the command, in order.
    pub results: Vec<WriteResult>,
    /// Whether this is the remembered outcome of an earlier command with the same request key.
    pub repeated: bool,
}

/// What one [`crate::Write`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// A put.
    Put {
        /// The revision at which the key was created; equal to the command's revision for a
        /// fresh key.
        create_revision: Revision,
        /// Number of writes since creation, this one included.
        version: u64,
        /// The record that it replaced. Not kept for repeated outcomes.
        previous: Option<Record>,
    },
    /// A delete.
    Deleted {
        /// Number of keys that were removed.
        count: u64,
        /// The record that a single-key delete removed. Not kept for repeated outcomes.
        previous: Option<Record>,
    },
}

/// The result of a command one of whose conditions did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The store's revision; a refused command takes none.
    pub revision: Revision,
    /// Position of the first condition that did not hold.
    pub condition: usize,
    /// The key's current modification revision; `None` if it does not exist.
    pub current: Option<Revision>,
}
