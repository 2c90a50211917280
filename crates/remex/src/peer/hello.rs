//! The first frame each way: who is speaking, and what for.

use std::fmt;

use bytes::Bytes;
use remex_model::{ClusterId, DecodeError, Decoder, Encoder};

use crate::identity::Member;

/// Begins every hello, so that a stray client of another protocol is told from a peer.
const MAGIC: u32 = u32::from_le_bytes(*b"RMXP");

/// Version of frames, hellos and messages. Both sides must speak the same.
const PROTOCOL: u32 = 1;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Messages of consensus, from the dialing side only.
    Replicate,
    /// One question about founding a cluster, and its answer.
    Form,
}

/// Who is speaking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) purpose: Purpose,
    /// The cluster that the node belongs to; `None` while it belongs to none.
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) node: Member,
    /// Random number of this run of the process; 0 before the node runs.
    pub(crate) session: u64,
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
            Purpose::Form => 1,
        });
        encoder.u64(self.cluster.map_or(0, ClusterId::get));
        self.node.encode(&mut encoder);
        encoder.u64(self.session);
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
            1 => Purpose::Form,
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
            version: decoder.text("version")?,
        };
        decoder.finish()?;
        Ok(hello)
    }
}

/// The accepting side's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Go on; this is who I am.
    Welcome(Hello),
    /// Go away; this is why.
    Refused(String),
}

impl Answer {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome(hello) => {
                out.push(0);
                hello.encode(out);
            }
            Self::Refused(reason) => {
                out.push(1);
                Encoder::new(out).bytes(reason.as_bytes());
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
            1 => Ok(Self::Refused(Decoder::new(payload).text("reason")?)),
            other => Err(DecodeError::Unknown { field: "answer", value: u64::from(other) }),
        }
    }
}

/// Whether `me` may exchange messages with `them`; otherwise the reason, naming both sides.
/// `known` is what this node remembers of the other's identity.
pub(crate) fn check(me: &Hello, them: &Hello, known: Option<&Member>) -> Result<(), String> {
    if me.cluster.is_none() || me.cluster != them.cluster {
        return Err(format!(
            "different clusters: this is {me}, you are {them}; give each its own --join list, or \
             an empty --data-dir to the one that should change sides"
        ));
    }
    let Some(known) = known else {
        return Err(format!("{them} is not a member of the cluster of {me}"));
    };
    if known.incarnation != them.node.incarnation {
        return Err(format!(
            "{them} has another data directory (incarnation {}) than the one that {me} knows \
             (incarnation {})",
            them.node.incarnation, known.incarnation
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use remex_model::{Incarnation, NodeId};

    use super::*;

    fn hello(id: u64, cluster: u64) -> Hello {
        let node = Member {
            id: NodeId(id),
            incarnation: Incarnation(id + 100),
            name: format!("n{id}"),
            peer_address: "127.0.0.1:1".to_owned(),
            client_url: String::new(),
        };
        let cluster = Some(ClusterId(cluster));
        let (purpose, version) = (Purpose::Replicate, "0.1.0".to_owned());
        Hello { purpose, cluster, node, session: 5, version }
    }

    #[test]
    fn hellos_round_trip_and_every_cut_is_refused() {
        for answer in [Answer::Welcome(hello(1, 2)), Answer::Refused("no".to_owned())] {
            let mut out = Vec::new();
            answer.encode(&mut out);
            let bytes = Bytes::from(out);
            assert_eq!(Answer::decode(bytes.clone()).unwrap(), answer);
            for end in 0..bytes.len() {
                assert!(Answer::decode(bytes.slice(..end)).is_err(), "cut at {end}");
            }
        }
        let http = Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n");
        assert!(Hello::decode(http).is_err());
    }

    #[test]
    fn a_stranger_is_refused_and_both_sides_are_named() {
        let (me, other) = (hello(1, 2), hello(2, 3));
        let reason = check(&me, &other, Some(&other.node)).unwrap_err();
        assert!(reason.contains("n1") && reason.contains("n2"), "{reason}");
        assert!(reason.contains("0000000000000002") && reason.contains("0000000000000003"));

        let member = hello(2, 2);
        assert!(check(&me, &member, Some(&member.node)).is_ok());
        assert!(check(&me, &member, None).unwrap_err().contains("not a member"));
        let mut copy = member.node.clone();
        copy.incarnation = Incarnation(5);
        assert!(check(&me, &member, Some(&copy)).unwrap_err().contains("incarnation"));
    }
}
