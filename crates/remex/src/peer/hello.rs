//! The first frame each way: who is speaking, what for, and how far its log goes.

use std::fmt;

use bytes::Bytes;
use remex_consensus::Mark;
use remex_model::{ClusterId, DecodeError, Decoder, Encoder, Index, Member, Term};
use thiserror::Error;

/// Begins every hello, so that a stray client of another protocol is told from a peer, also on
/// a port that both share ([`super::port`]).
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"RMXP");

/// Version of frames, hellos and messages. Both sides must speak the same.
const PROTOCOL: u32 = 3;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Messages of consensus, from the dialing side only.
    Replicate,
    /// One question and its answer.
    Ask,
    /// Reading a snapshot.
    Fetch,
}

/// How far a node's disk goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The newest term that it knows.
    pub(crate) term: Term,
    /// The last entry of its log.
    pub(crate) last_index: Index,
}

impl Position {
    fn encode(self, encoder: &mut Encoder<'_>) {
        encoder.u64(self.term.get());
        encoder.u64(self.last_index.get());
    }

    fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        let term = Term(decoder.u64("position's term")?);
        Ok(Self { term, last_index: Index(decoder.u64("position's index")?) })
    }
}

impl From<Mark> for Position {
    fn from(mark: Mark) -> Self {
        Self { term: mark.term, last_index: mark.index }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "entry {} in term {}", self.last_index, self.term)
    }
}

/// Who is speaking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) purpose: Purpose,
    /// The cluster that the node belongs to; `None` while it belongs to none.
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) node: Member,
    /// Random number of this run of the node's parts; 0 before they run.
    pub(crate) session: u64,
    /// At least everything that the node has voted on and acknowledged.
    pub(crate) position: Position,
    /// Version of the program.
    pub(crate) version: String,
}

impl fmt::Display for Hello {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (node {}, ", self.node.name, self.node.id)?;
        match self.cluster {
            Some(cluster) => write!(formatter, "cluster {cluster})"),
            None => formatter.write_str("of no cluster yet)"),
        }
    }
}

impl Hello {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        encoder.u32(MAGIC);
        encoder.u32(PROTOCOL);
        encoder.u8(match self.purpose {
            Purpose::Replicate => 0,
            Purpose::Ask => 1,
            Purpose::Fetch => 2,
        });
        encoder.u64(self.cluster.map_or(0, ClusterId::get));
        self.node.encode(&mut encoder);
        encoder.u64(self.session);
        self.position.encode(&mut encoder);
        encoder.bytes(self.version.as_bytes());
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(payload);
        let magic = decoder.u32("magic")?;
        if magic != MAGIC {
            return Err(DecodeError::Unknown { field: "magic", value: u64::from(magic) });
        }
        let protocol = decoder.u32("protocol version")?;
        if protocol != PROTOCOL {
            let value = u64::from(protocol);
            return Err(DecodeError::Unknown { field: "protocol version", value });
        }
        let purpose = match decoder.u8("purpose")? {
            0 => Purpose::Replicate,
            1 => Purpose::Ask,
            2 => Purpose::Fetch,
            other => {
                return Err(DecodeError::Unknown { field: "purpose", value: u64::from(other) });
            }
        };
        let cluster = decoder.u64("cluster")?;
        let hello = Self {
            purpose,
            cluster: (cluster != 0).then_some(ClusterId(cluster)),
            node: Member::decode(&mut decoder)?,
            session: decoder.u64("session")?,
            position: Position::decode(&mut decoder)?,
            version: decoder.text("version")?,
        };
        decoder.finish()?;
        Ok(hello)
    }
}

/// Why a node does not speak with another, as far as it makes a difference to that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalCode {
    /// Something else; it may be over when the other asks again.
    Other,
    /// The refusing node belongs to no cluster: it can be invited.
    Waiting,
    /// The refusing node belongs to another cluster.
    OtherCluster,
    /// The other is not a member, as far as the refusing node knows.
    NotAMember,
    /// The other was removed from the cluster.
    Removed,
    /// The other's disk is older than what it has voted on or acknowledged before: at least this.
    RolledBack(Position),
    /// Another process speaks for the same member already.
    Clone,
}

/// Why a node does not speak with another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub(crate) struct Refusal {
    pub(crate) code: RefusalCode,
    /// For people; names both sides.
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl RefusalCode {
    fn encode(self, encoder: &mut Encoder<'_>) {
        match self {
            Self::Other => encoder.u8(0),
            Self::Waiting => encoder.u8(1),
            Self::OtherCluster => encoder.u8(2),
            Self::NotAMember => encoder.u8(3),
            Self::Removed => encoder.u8(4),
            Self::RolledBack(mark) => {
                encoder.u8(5);
                mark.encode(encoder);
            }
            Self::Clone => encoder.u8(6),
        }
    }

    fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(match decoder.u8("refusal")? {
            0 => Self::Other,
            1 => Self::Waiting,
            2 => Self::OtherCluster,
            3 => Self::NotAMember,
            4 => Self::Removed,
            5 => Self::RolledBack(Position::decode(decoder)?),
            6 => Self::Clone,
            other => {
                return Err(DecodeError::Unknown { field: "refusal", value: u64::from(other) });
            }
        })
    }
}

/// The accepting side's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Go on; this is who I am.
    Welcome(Hello),
    /// Go away; this is why.
    Refused {
        code: RefusalCode,
        /// For people.
        reason: String,
    },
}

impl Answer {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome(hello) => {
                out.push(0);
                hello.encode(out);
            }
            Self::Refused { code, reason } => {
                out.push(1);
                let mut encoder = Encoder::new(out);
                code.encode(&mut encoder);
                encoder.bytes(reason.as_bytes());
            }
        }
    }

    pub(crate) fn decode(mut payload: Bytes) -> Result<Self, DecodeError> {
        if payload.is_empty() {
            return Err(DecodeError::Truncated("answer"));
        }
        let tag = payload.split_to(1)[0];
        match tag {
            0 => Ok(Self::Welcome(Hello::decode(payload)?)),
            1 => {
                let mut decoder = Decoder::new(payload);
                let code = RefusalCode::decode(&mut decoder)?;
                let reason = decoder.text("reason")?;
                decoder.finish()?;
                Ok(Self::Refused { code, reason })
            }
            other => Err(DecodeError::Unknown { field: "answer", value: u64::from(other) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use remex_model::{Incarnation, NodeId};

    use super::*;

    fn hello() -> Hello {
        let node = Member {
            id: NodeId(1),
            incarnation: Incarnation(101),
            name: "n1".to_owned(),
            peer_address: "127.0.0.1:1".to_owned(),
            client_url: String::new(),
            promote: true,
        };
        Hello {
            purpose: Purpose::Replicate,
            cluster: Some(ClusterId(2)),
            node,
            session: 5,
            position: Position { term: Term(7), last_index: Index(9) },
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn hellos_round_trip_and_every_cut_is_refused() {
        let refused = |code| Answer::Refused { code, reason: "no".to_owned() };
        for answer in [
            Answer::Welcome(hello()),
            Answer::Welcome(Hello { purpose: Purpose::Ask, cluster: None, ..hello() }),
            Answer::Welcome(Hello { purpose: Purpose::Fetch, ..hello() }),
            refused(RefusalCode::Other),
            refused(RefusalCode::Waiting),
            refused(RefusalCode::OtherCluster),
            refused(RefusalCode::NotAMember),
            refused(RefusalCode::Removed),
            refused(RefusalCode::RolledBack(hello().position)),
            refused(RefusalCode::Clone),
        ] {
            let mut out = Vec::new();
            answer.encode(&mut out);
            let bytes = Bytes::from(out);
            assert_eq!(Answer::decode(bytes.clone()).unwrap(), answer);
            for end in 0..bytes.len() {
                assert!(Answer::decode(bytes.slice(..end)).is_err(), "{answer:?} cut at {end}");
            }
        }
    }

    #[test]
    fn a_stray_client_of_another_protocol_is_told_from_a_peer() {
        let http = Bytes::from_static(b"GET / HTTP/1.1\r\nHost: remex\r\n\r\n");
        assert!(matches!(Hello::decode(http), Err(DecodeError::Unknown { field: "magic", .. })));
        let mut newer = Vec::new();
        hello().encode(&mut newer);
        newer[4] += 1;
        let error = Hello::decode(newer.into()).unwrap_err();
        assert!(matches!(error, DecodeError::Unknown { field: "protocol version", .. }));
    }
}
