//! The first block of a segment.

use bytes::Bytes;
use remex_model::{DecodeError, Decoder, Encoder};

use super::{BLOCK, VERSION};
use crate::{HardState, Owner, Position};

const MAGIC: &[u8; 8] = b"REMEXLOG";

/// Where the checksum of the header stands: the last four bytes of its block, in all versions.
const CHECKSUM_OFFSET: usize = BLOCK - 4;

/// The first block of a segment: whose it is, what comes before it, and the state of the log
/// where it begins. Written and synced before the file gets its name, never changed afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) owner: Owner,
    /// Place in the order of segments, also the name of the file. From 1, increasing, with gaps.
    pub(crate) sequence: u64,
    /// Key of all checksums of the groups here.
    pub(crate) salt: u64,
    /// The segment before; none for the first one ever.
    pub(crate) previous: Option<Previous>,
    /// The last entry before this segment; zeros if there is none.
    pub(crate) base: Position,
    /// The hard state before this segment.
    pub(crate) hard_state: HardState,
    /// Length of the file that groups may use.
    pub(crate) segment_bytes: u64,
    /// Groups before this offset were synced before the file got its name.
    pub(crate) synced_to: u64,
}

/// What a segment knows of the one before it, all of it durable before the header was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) sequence: u64,
    pub(crate) salt: u64,
    /// Its groups end here. What lies behind is a seal, or a tail that recovery rewrote.
    pub(crate) end: u64,
}

/// Why a block is not a header of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Damaged(&'static str),
    Version(u32),
}

impl From<DecodeError> for HeaderError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Truncated(field) | DecodeError::Unknown { field, value: _ } => {
                Self::Damaged(field)
            }
            DecodeError::Trailing(_) => Self::Damaged("length"),
        }
    }
}

impl Header {
    /// Where the salt stands in the block. Read from a spare to make the next salt differ.
    pub(crate) const SALT_OFFSET: u64 = 40;

    /// The whole block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(BLOCK);
        let mut encoder = Encoder::new(&mut block);
        encoder.raw(MAGIC);
        encoder.u32(VERSION);
        encoder.u32(0);
        encoder.u64(self.owner.cluster);
        encoder.u64(self.owner.node);
        encoder.u64(self.sequence);
        encoder.u64(self.salt);
        let previous = self.previous.unwrap_or(Previous { sequence: 0, salt: 0, end: 0 });
        encoder.u64(previous.sequence);
        encoder.u64(previous.salt);
        encoder.u64(previous.end);
        encoder.u64(self.base.index);
        encoder.u64(self.base.term);
        encoder.u64(self.hard_state.term);
        encoder.u64(self.hard_state.vote);
        encoder.u64(self.hard_state.commit);
        encoder.u64(self.segment_bytes);
        encoder.u64(self.synced_to);
        block.resize(CHECKSUM_OFFSET, 0);
        let checksum = crc32c::crc32c(&block);
        Encoder::new(&mut block).u32(checksum);
        block
    }

    /// Reads a block. The checksum is checked first: magic, version and checksum keep their
    /// place in every version, so a damaged version number does not pass for a new release.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, HeaderError> {
        let whole = block.first_chunk::<BLOCK>().ok_or(HeaderError::Damaged("length"))?;
        let (body, checksum) =
            whole.split_last_chunk::<4>().ok_or(HeaderError::Damaged("length"))?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return Err(HeaderError::Damaged("checksum"));
        }
        let (magic, fields) =
            body.split_first_chunk::<8>().ok_or(HeaderError::Damaged("length"))?;
        if magic != MAGIC {
            return Err(HeaderError::Damaged("magic"));
        }
        let mut decoder = Decoder::new(Bytes::copy_from_slice(fields));
        let version = decoder.u32("version")?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        if decoder.u32("reserved")? != 0 {
            return Err(HeaderError::Damaged("reserved"));
        }
        let mut next = || decoder.u64("field");
        let owner = Owner { cluster: next()?, node: next()? };
        let (sequence, salt) = (next()?, next()?);
        let previous = Previous { sequence: next()?, salt: next()?, end: next()? };
        let base = Position { index: next()?, term: next()? };
        let hard_state = HardState { term: next()?, vote: next()?, commit: next()? };
        let (segment_bytes, synced_to) = (next()?, next()?);
        let previous = (previous.sequence != 0).then_some(previous);
        let order = previous.map_or(0, |previous| previous.sequence);
        if sequence <= order {
            return Err(HeaderError::Damaged("order of segments"));
        }
        Ok(Self { owner, sequence, salt, previous, base, hard_state, segment_bytes, synced_to })
    }
}
