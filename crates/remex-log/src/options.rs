//! What the caller decides about a log.

use std::fmt;

use crate::format::BLOCK_BYTES;

/// Whose log it is. Written into every segment and compared when the log is opened, so that a
/// data directory copied from elsewhere is refused instead of replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Identity of the cluster.
    pub cluster: u64,
    /// Identity of the node.
    pub node: u64,
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "node {:016x} of cluster {:016x}", self.node, self.cluster)
    }
}

/// Settings of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Size of a new segment file in bytes; rounded up to 4 KiB, at least
    /// [`Options::SEGMENT_BYTES_MIN`]. Segments of another size made earlier stay readable.
    pub segment_bytes: u64,
    /// How many spare segments are kept ready: released segments beyond this are removed.
    pub spares: usize,
    /// Whose log it is.
    pub owner: Owner,
    /// Source of the random salts that tell a segment's groups from what the file held before.
    /// Draw it anew for every [`crate::Log::open`]; a simulator draws it from its own seed.
    pub seed: u64,
}

impl Options {
    /// Smallest segment: header, one small group or two, and the seal.
    pub const SEGMENT_BYTES_MIN: u64 = 16 * 1024;

    /// The settings of a real node: segments of 64 MiB, one spare.
    #[must_use]
    pub fn new(owner: Owner, seed: u64) -> Self {
        Self { segment_bytes: 64 * 1024 * 1024, spares: 1, owner, seed }
    }

    /// [`Options::segment_bytes`] as it is used.
    pub(crate) fn segment_size(&self) -> u64 {
        self.segment_bytes.max(Self::SEGMENT_BYTES_MIN).next_multiple_of(BLOCK_BYTES)
    }

    /// Longest data of one entry in bytes. The three blocks taken off are the segment's header,
    /// its seal, and the frame of the group that holds nothing but this entry.
    #[must_use]
    pub fn entry_bytes_max(&self) -> u64 {
        (self.segment_size() - 3 * BLOCK_BYTES).min(u64::from(u32::MAX / 2))
    }
}
