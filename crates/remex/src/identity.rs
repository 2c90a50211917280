//! Who a node is: its random id, the incarnation of its data directory, and how far it has come
//! on the way into a cluster.

use remex_model::{ClusterId, DecodeError, Decoder, Encoder, Incarnation, NodeId};

/// What the identity file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    /// The name that the node was first started under.
    pub(crate) name: String,
    /// Whether the log exists. From then on a missing log is lost data: the node may have voted
    /// and acknowledged what it no longer knows.
    pub(crate) has_log: bool,
    pub(crate) phase: Phase,
}

/// How far a node has come on the way into a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It belongs to none and has promised nothing.
    Fresh,
    /// It has promised a founder to be part of the cluster that this one wants to found, and of
    /// no other, until the founder gives up.
    Promised { cluster: ClusterId, founder: NodeId, members: Vec<Member> },
    /// It belongs to a cluster, for ever.
    Member { cluster: ClusterId, founders: Vec<Member> },
}

/// A member of a cluster as its peers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) name: String,
    /// `host:port`.
    pub(crate) peer_address: String,
    /// A URL; empty if the node did not say.
    pub(crate) client_url: String,
}

impl Member {
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.u64(self.id.get());
        encoder.u64(self.incarnation.get());
        encoder.bytes(self.name.as_bytes());
        encoder.bytes(self.peer_address.as_bytes());
        encoder.bytes(self.client_url.as_bytes());
    }

    pub(crate) fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            id: NodeId(decoder.u64("member id")?),
            incarnation: Incarnation(decoder.u64("member incarnation")?),
            name: decoder.text("member name")?,
            peer_address: decoder.text("peer address")?,
            client_url: decoder.text("client url")?,
        })
    }

    pub(crate) fn encode_all(members: &[Self], encoder: &mut Encoder<'_>) {
        encoder.count(members.len());
        for member in members {
            member.encode(encoder);
        }
    }

    pub(crate) fn decode_all(decoder: &mut Decoder) -> Result<Vec<Self>, DecodeError> {
        (0..decoder.count(28, "number of members")?).map(|_| Self::decode(decoder)).collect()
    }
}

impl Phase {
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) {
        match self {
            Self::Fresh => encoder.u8(0),
            Self::Promised { cluster, founder, members } => {
                encoder.u8(1);
                encoder.u64(cluster.get());
                encoder.u64(founder.get());
                Member::encode_all(members, encoder);
            }
            Self::Member { cluster, founders } => {
                encoder.u8(2);
                encoder.u64(cluster.get());
                Member::encode_all(founders, encoder);
            }
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        match decoder.u8("phase")? {
            0 => Ok(Self::Fresh),
            1 => Ok(Self::Promised {
                cluster: ClusterId(decoder.u64("cluster")?),
                founder: NodeId(decoder.u64("founder")?),
                members: Member::decode_all(decoder)?,
            }),
            2 => Ok(Self::Member {
                cluster: ClusterId(decoder.u64("cluster")?),
                founders: Member::decode_all(decoder)?,
            }),
            other => Err(DecodeError::Unknown { field: "phase", value: u64::from(other) }),
        }
    }
}

impl Identity {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        encoder.u64(self.id.get());
        encoder.u64(self.incarnation.get());
        encoder.bytes(self.name.as_bytes());
        encoder.bool(self.has_log);
        self.phase.encode(&mut encoder);
    }

    pub(crate) fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            id: NodeId(decoder.u64("node id")?),
            incarnation: Incarnation(decoder.u64("incarnation")?),
            name: decoder.text("name")?,
            has_log: decoder.bool("has log")?,
            phase: Phase::decode(decoder)?,
        })
    }
}
