//! The batch: all commands that one turn of the leader folded into one log entry.
//!
//! One entry for many commands makes the cost of an entry (header, checksum, bookkeeping in the
//! Raft library, a copy a peer) a cost per batch. Commands are copied as encoded bytes: the
//! leader never decodes what a follower forwarded.
//!
//! Encoding, version 1 (little-endian):
//!
//! ```text
//! u8  version = 1
//! u64 time_ms of the leader
//! u32 number of commands, each: u64 session, u64 sequence, u32 length, encoded command
//! ```
//!
//! An empty payload is Raft's own entry at the start of a term and holds no commands.

use bytes::Bytes;

use crate::{DecodeError, Decoder, Encoder};

const VERSION: u8 = 1;

/// Who waits for the outcome of a command: the run of a process (`session`, random at every
/// start) and its running number. Whoever applies the entry with this id answers the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId {
    /// Random number of the process that proposed it.
    pub session: u64,
    /// Running number within the session.
    pub sequence: u64,
}

/// An encoded command with the id of its proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Who waits for it.
    pub id: ProposalId,
    /// The encoded [`crate::Command`].
    pub command: Bytes,
}

impl Proposed {
    /// Bytes that the proposal takes in a batch.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        20 + self.command.len()
    }

    /// Appends the encoded proposal.
    pub fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.u64(self.id.session);
        encoder.u64(self.id.sequence);
        encoder.bytes(&self.command);
    }

    /// Takes one encoded proposal.
    ///
    /// # Errors
    /// If the input ends too early.
    pub fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        let session = decoder.u64("proposal session")?;
        let sequence = decoder.u64("proposal sequence")?;
        let command = decoder.bytes("command")?;
        Ok(Self { id: ProposalId { session, sequence }, command })
    }
}

/// A decoded batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Wall-clock time of the leader when it proposed the batch, milliseconds since 1970.
    pub time_ms: u64,
    /// The commands, in the order in which they are applied.
    pub commands: Vec<Proposed>,
}

impl Batch {
    /// Decodes a batch; the commands share `input`.
    ///
    /// # Errors
    /// If the input is not exactly one batch of a known version.
    pub fn decode(input: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(input);
        let version = decoder.u8("batch version")?;
        if version != VERSION {
            return Err(DecodeError::Unknown { field: "batch version", value: version.into() });
        }
        let time_ms = decoder.u64("batch time")?;
        let commands = (0..decoder.count(20, "number of commands")?)
            .map(|_| Proposed::decode(&mut decoder))
            .collect::<Result<_, _>>()?;
        decoder.finish()?;
        Ok(Self { time_ms, commands })
    }
}

/// Builds the encoded form of a batch piece by piece.
#[derive(Debug)]
pub struct BatchBuilder {
    out: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    /// Bytes before the first command.
    const HEADER_BYTES: usize = 13;

    /// An empty batch, stamped with the leader's time.
    /// `commands_bytes` is about how many bytes the commands will take.
    #[must_use]
    pub fn new(time_ms: u64, commands_bytes: usize) -> Self {
        let mut out = Vec::with_capacity(Self::HEADER_BYTES + commands_bytes);
        let mut encoder = Encoder::new(&mut out);
        encoder.u8(VERSION);
        encoder.u64(time_ms);
        encoder.u32(0);
        Self { out, count: 0 }
    }

    /// Adds a command.
    pub fn push(&mut self, proposed: &Proposed) {
        proposed.encode(&mut Encoder::new(&mut self.out));
        self.count += 1;
    }

    /// Number of commands so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Encoded size so far.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.out.len()
    }

    /// The encoded batch.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out[Self::HEADER_BYTES - 4..Self::HEADER_BYTES]
            .copy_from_slice(&self.count.to_le_bytes());
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_round_trips() {
        let proposed = |sequence, text: &'static str| Proposed {
            id: ProposalId { session: 9, sequence },
            command: Bytes::from_static(text.as_bytes()),
        };
        let commands = vec![proposed(1, "one"), proposed(2, "")];
        let mut builder = BatchBuilder::new(1234, 0);
        for command in &commands {
            builder.push(command);
        }
        let bytes = Bytes::from(builder.finish());
        assert_eq!(Batch::decode(bytes.clone()), Ok(Batch { time_ms: 1234, commands }));
        for end in 0..bytes.len() {
            assert!(Batch::decode(bytes.slice(..end)).is_err());
        }
    }
}
