//! The bytes of peer messages, version 1.
//!
//! Little-endian; `bytes` is a u32 length and that many bytes. The first byte tells the message:
//!
//! ```text
//! 1 raft            u8 type, u64 from, to, term, log_term, index, commit, commit_term,
//!                   u8 reject, u64 reject_hint, bytes context,
//!                   u32 number of entries, each: u8 kind, u64 term, u64 index, bytes data;
//!                   of a snapshot (type 11) only index and log term are said, its bytes are
//!                   fetched by whoever needs them
//! 2 forward         u64 session, batch, term, u32 number of commands, each as in a batch
//! 3 forward refused u64 session, batch
//! 4 read request    u64 session, context
//! 5 read reply      u64 session, context, index
//! ```
//!
//! Framing and checksum are the transport's. The version is agreed in the transport's handshake.

use bytes::Bytes;
use raft::eraftpb::{self, MessageType};
use remex_model::{DecodeError, Decoder, Encoder, Index, Proposed, Term};

use crate::entry::{payload, raft_entry};
use crate::{EntryKind, Message, RaftMessage};

const RAFT: u8 = 1;
const FORWARD: u8 = 2;
const FORWARD_REFUSED: u8 = 3;
const READ_REQUEST: u8 = 4;
const READ_REPLY: u8 = 5;

/// Terms beyond this are not the work of elections; the next one must not overflow.
const TERM_MAX: u64 = 1 << 62;

/// The types that cross the wire, with the byte that stands for each.
const TYPES: [(MessageType, u8); 10] = [
    (MessageType::MsgAppend, 1),
    (MessageType::MsgAppendResponse, 2),
    (MessageType::MsgRequestVote, 3),
    (MessageType::MsgRequestVoteResponse, 4),
    (MessageType::MsgHeartbeat, 5),
    (MessageType::MsgHeartbeatResponse, 6),
    (MessageType::MsgRequestPreVote, 7),
    (MessageType::MsgRequestPreVoteResponse, 8),
    (MessageType::MsgTimeoutNow, 10),
    (MessageType::MsgSnapshot, 11),
];

impl Message {
    /// Appends the encoded message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        match self {
            Self::Raft(message) => encode_raft(&message.0, &mut encoder),
            Self::Forward { session, batch, term, commands } => {
                encoder.u8(FORWARD);
                encoder.u64(*session);
                encoder.u64(*batch);
                encoder.u64(term.get());
                encoder.count(commands.len());
                for command in commands {
                    command.encode(&mut encoder);
                }
            }
            Self::ForwardRefused { session, batch } => {
                encoder.u8(FORWARD_REFUSED);
                encoder.u64(*session);
                encoder.u64(*batch);
            }
            Self::ReadRequest { session, context } => {
                encoder.u8(READ_REQUEST);
                encoder.u64(*session);
                encoder.u64(*context);
            }
            Self::ReadReply { session, context, index } => {
                encoder.u8(READ_REPLY);
                encoder.u64(*session);
                encoder.u64(*context);
                encoder.u64(index.get());
            }
        }
    }

    /// Decodes a message; payloads share `input`.
    ///
    /// # Errors
    /// If the input is not exactly one message that this version knows.
    pub fn decode(input: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(input);
        let message = match decoder.u8("message")? {
            RAFT => Self::Raft(RaftMessage(decode_raft(&mut decoder)?)),
            FORWARD => Self::Forward {
                session: decoder.u64("session")?,
                batch: decoder.u64("batch")?,
                term: Term(decoder.u64("term")?),
                commands: (0..decoder.count(20, "number of commands")?)
                    .map(|_| Proposed::decode(&mut decoder))
                    .collect::<Result<_, _>>()?,
            },
            FORWARD_REFUSED => Self::ForwardRefused {
                session: decoder.u64("session")?,
                batch: decoder.u64("batch")?,
            },
            READ_REQUEST => Self::ReadRequest {
                session: decoder.u64("session")?,
                context: decoder.u64("context")?,
            },
            READ_REPLY => Self::ReadReply {
                session: decoder.u64("session")?,
                context: decoder.u64("context")?,
                index: Index(decoder.u64("index")?),
            },
            other => return Err(unknown("message", other)),
        };
        decoder.finish()?;
        Ok(message)
    }
}

fn unknown(field: &'static str, value: u8) -> DecodeError {
    DecodeError::Unknown { field, value: u64::from(value) }
}

fn encode_raft(message: &eraftpb::Message, encoder: &mut Encoder<'_>) {
    let kind = TYPES
        .iter()
        .find(|(kind, _)| *kind == message.get_msg_type())
        .map(|&(_, byte)| byte)
        .expect("only messages between peers are sent");
    encoder.u8(RAFT);
    encoder.u8(kind);
    let (log_term, index) = match message.get_msg_type() {
        MessageType::MsgSnapshot => {
            let metadata = message.get_snapshot().get_metadata();
            (metadata.term, metadata.index)
        }
        _ => (message.log_term, message.index),
    };
    for field in [
        message.from,
        message.to,
        message.term,
        log_term,
        index,
        message.commit,
        message.commit_term,
    ] {
        encoder.u64(field);
    }
    encoder.bool(message.reject);
    encoder.u64(message.reject_hint);
    encoder.bytes(&message.context);
    encoder.count(message.entries.len());
    for entry in message.entries.iter() {
        encoder.u8(EntryKind::of_raft(entry).to_byte());
        encoder.u64(entry.term);
        encoder.u64(entry.index);
        encoder.bytes(payload(entry));
    }
}

fn decode_raft(decoder: &mut Decoder) -> Result<eraftpb::Message, DecodeError> {
    let byte = decoder.u8("raft message")?;
    let kind = TYPES.iter().find(|&&(_, known)| known == byte);
    let mut message = eraftpb::Message::default();
    message.set_msg_type(kind.ok_or(unknown("raft message", byte))?.0);
    message.from = decoder.u64("from")?;
    message.to = decoder.u64("to")?;
    message.term = decoder.u64("term")?;
    if message.term > TERM_MAX {
        return Err(DecodeError::Unknown { field: "term", value: message.term });
    }
    message.log_term = decoder.u64("log term")?;
    message.index = decoder.u64("index")?;
    message.commit = decoder.u64("commit")?;
    message.commit_term = decoder.u64("commit term")?;
    message.reject = decoder.bool("reject")?;
    message.reject_hint = decoder.u64("reject hint")?;
    message.context = decoder.bytes("context")?;
    let count = decoder.count(21, "number of entries")?;
    let mut entries = Vec::with_capacity(count);
    for position in 0..count {
        let kind = decoder.u8("entry kind")?;
        let kind = EntryKind::from_byte(kind).ok_or(unknown("entry kind", kind))?;
        let (term, index) = (decoder.u64("entry term")?, decoder.u64("entry index")?);
        let entry = raft_entry(index, term, kind, decoder.bytes("entry data")?);
        // The library indexes by position: a gap would break its invariants.
        if Some(entry.index) != message.index.checked_add(position as u64 + 1) {
            return Err(DecodeError::Unknown { field: "entry index", value: entry.index });
        }
        entries.push(entry);
    }
    message.set_entries(entries.into());
    if message.get_msg_type() == MessageType::MsgSnapshot {
        let (index, term) = (std::mem::take(&mut message.index), message.log_term);
        message.log_term = 0;
        let metadata = message.mut_snapshot().mut_metadata();
        (metadata.index, metadata.term) = (index, term);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use remex_model::ProposalId;

    use super::*;

    fn samples() -> Vec<Message> {
        let mut append = eraftpb::Message::default();
        append.set_msg_type(MessageType::MsgAppend);
        (append.from, append.to, append.term, append.log_term) = (1, 2, 7, 6);
        (append.index, append.commit, append.commit_term) = (40, 39, 6);
        (append.reject, append.reject_hint) = (true, 12);
        append.context = Bytes::from_static(b"round 5");
        let mut entry = eraftpb::Entry::default();
        (entry.term, entry.index, entry.data) = (7, 41, Bytes::from_static(b"payload"));
        let change = Bytes::from_static(b"change");
        let change = raft_entry(42, 7, EntryKind::Membership, change);
        append.set_entries(vec![entry, change].into());
        let mut snapshot = eraftpb::Message::default();
        snapshot.set_msg_type(MessageType::MsgSnapshot);
        (snapshot.from, snapshot.to, snapshot.term) = (1, 2, 7);
        let metadata = snapshot.mut_snapshot().mut_metadata();
        (metadata.index, metadata.term) = (40, 6);
        let id = ProposalId { session: 3, sequence: 9 };
        let commands = vec![Proposed { id, command: Bytes::from_static(b"command") }];
        vec![
            Message::Raft(RaftMessage(append)),
            Message::Raft(RaftMessage(snapshot)),
            Message::Forward { session: 3, batch: 4, term: Term(7), commands },
            Message::ForwardRefused { session: 3, batch: 4 },
            Message::ReadRequest { session: 3, context: 8 },
            Message::ReadReply { session: 3, context: 8, index: Index(41) },
        ]
    }

    #[test]
    fn every_message_round_trips_and_every_cut_is_refused() {
        for message in samples() {
            let mut out = Vec::new();
            message.encode(&mut out);
            let bytes = Bytes::from(out);
            assert_eq!(Message::decode(bytes.clone()).unwrap(), message);
            for end in 0..bytes.len() {
                assert!(Message::decode(bytes.slice(..end)).is_err(), "{message:?} cut at {end}");
            }
        }
    }

    #[test]
    fn entries_with_a_gap_are_refused() {
        let Message::Raft(RaftMessage(mut message)) = samples().remove(0) else { unreachable!() };
        message.mut_entries()[0].index = 43;
        let mut out = Vec::new();
        Message::Raft(RaftMessage(message)).encode(&mut out);
        assert!(Message::decode(out.into()).is_err());
    }
}
