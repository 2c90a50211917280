//! Records: what the payload of a group is made of.

use bytes::Bytes;
use remex_model::{DecodeError, Decoder, Encoder};

use crate::{HardState, LogEntry, Position};

const ENTRY: u8 = 1;
const HARD_STATE: u8 = 2;
const TRUNCATE: u8 = 3;
const START: u8 = 4;
const SEAL: u8 = 5;

/// Bytes of an entry without its data: tag, kind, index, term, length.
pub(crate) const ENTRY_BYTES_MIN: usize = 1 + 1 + 8 + 8 + 4;

/// Bytes of the records that can stand in front of the entries: hard state, and truncate or start.
pub(crate) const LEAD_BYTES_MAX: usize = (1 + 24) + (1 + 16);

/// One step in the history of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The entry behind the last one.
    Entry(LogEntry),
    /// The hard state is this from now on.
    HardState(HardState),
    /// The log ends with this entry from now on; what followed it is void.
    Truncate(Position),
    /// The log is empty and this is the entry before its next one: a snapshot holds the rest.
    Start(Position),
    /// The segment with this sequence exists and goes on from here.
    Seal(u64),
}

impl Record {
    /// Appends the record's bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        match self {
            Self::Entry(entry) => encode_entry(entry, out),
            Self::HardState(state) => {
                encoder.u8(HARD_STATE);
                encoder.u64(state.term);
                encoder.u64(state.vote);
                encoder.u64(state.commit);
            }
            Self::Truncate(position) => encode_position(TRUNCATE, *position, out),
            Self::Start(position) => encode_position(START, *position, out),
            Self::Seal(sequence) => {
                encoder.u8(SEAL);
                encoder.u64(*sequence);
            }
        }
    }

    fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match decoder.u8("record")? {
            ENTRY => {
                let kind = decoder.u8("kind")?;
                let index = decoder.u64("index")?;
                let term = decoder.u64("term")?;
                Self::Entry(LogEntry { index, term, kind, data: decoder.bytes("data")? })
            }
            HARD_STATE => {
                let (term, vote) = (decoder.u64("term")?, decoder.u64("vote")?);
                Self::HardState(HardState { term, vote, commit: decoder.u64("commit")? })
            }
            TRUNCATE => Self::Truncate(decode_position(decoder)?),
            START => Self::Start(decode_position(decoder)?),
            SEAL => Self::Seal(decoder.u64("next segment")?),
            other => {
                return Err(DecodeError::Unknown { field: "record", value: u64::from(other) });
            }
        })
    }
}

/// Appends an entry's bytes; its data is copied here and nowhere else on its way to the disk.
pub(crate) fn encode_entry(entry: &LogEntry, out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(out);
    encoder.u8(ENTRY);
    encoder.u8(entry.kind);
    encoder.u64(entry.index);
    encoder.u64(entry.term);
    encoder.bytes(&entry.data);
}

fn encode_position(tag: u8, position: Position, out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(out);
    encoder.u8(tag);
    encoder.u64(position.index);
    encoder.u64(position.term);
}

fn decode_position(decoder: &mut Decoder) -> Result<Position, DecodeError> {
    Ok(Position { index: decoder.u64("index")?, term: decoder.u64("term")? })
}

/// The records of a group's payload. Entries share the payload's memory.
pub(crate) fn records(payload: Bytes) -> impl Iterator<Item = Result<Record, DecodeError>> {
    let mut decoder = Decoder::new(payload);
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || decoder.remaining() == 0 {
            return None;
        }
        let record = Record::decode(&mut decoder);
        failed = record.is_err();
        Some(record)
    })
}
