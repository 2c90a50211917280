//! Who a node is: its random id, the incarnation of its data directory, and how far it has come
//! on the way into a cluster.

use remex_model::{ClusterId, DecodeError, Decoder, Encoder, Incarnation, Member, NodeId};

/// What the identity file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    /// The name that the node was first started under.
    pub(crate) name: String,
    /// Whether the log exists. From then on a missing log is lost data: the node may have voted
    /// and acknowledged what it no longer knows. Until then, what lies in the folders of log and
    /// engine belongs to an earlier life of the node and means nothing.
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
    /// It belongs to a cluster. Without founders it joined one that was there already, whose
    /// members it learns from the first snapshot.
    Member { cluster: ClusterId, founders: Vec<Member> },
    /// It was removed from its cluster, for ever.
    Removed { cluster: ClusterId },
    /// It belonged to a cluster, lost what it had promised there, and asks the members at these
    /// addresses to take it in again under its new id. It founds nothing and joins no other.
    Returning { cluster: ClusterId, addresses: Vec<String> },
}

impl Phase {
    /// The cluster that the node is a member of.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        match self {
            Self::Member { cluster, .. } => Some(*cluster),
            Self::Fresh | Self::Promised { .. } | Self::Removed { .. } | Self::Returning { .. } => {
                None
            }
        }
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) {
        match self {
            Self::Fresh => encoder.u8(0),
            Self::Promised { cluster, founder, members } => {
                encoder.u8(1);
                encoder.u64(cluster.get());
                encoder.u64(founder.get());
                encode_all(members, encoder);
            }
            Self::Member { cluster, founders } => {
                encoder.u8(2);
                encoder.u64(cluster.get());
                encode_all(founders, encoder);
            }
            Self::Removed { cluster } => {
                encoder.u8(3);
                encoder.u64(cluster.get());
            }
            Self::Returning { cluster, addresses } => {
                encoder.u8(4);
                encoder.u64(cluster.get());
                encoder.count(addresses.len());
                for address in addresses {
                    encoder.bytes(address.as_bytes());
                }
            }
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        match decoder.u8("phase")? {
            0 => Ok(Self::Fresh),
            1 => Ok(Self::Promised {
                cluster: ClusterId(decoder.u64("cluster")?),
                founder: NodeId(decoder.u64("founder")?),
                members: decode_all(decoder)?,
            }),
            2 => Ok(Self::Member {
                cluster: ClusterId(decoder.u64("cluster")?),
                founders: decode_all(decoder)?,
            }),
            3 => Ok(Self::Removed { cluster: ClusterId(decoder.u64("cluster")?) }),
            4 => Ok(Self::Returning {
                cluster: ClusterId(decoder.u64("cluster")?),
                addresses: (0..decoder.count(4, "number of addresses")?)
                    .map(|_| decoder.text("address"))
                    .collect::<Result<_, _>>()?,
            }),
            other => Err(DecodeError::Unknown { field: "phase", value: u64::from(other) }),
        }
    }
}

/// Writes a number of members and each of them.
pub(crate) fn encode_all(members: &[Member], encoder: &mut Encoder<'_>) {
    encoder.count(members.len());
    for member in members {
        member.encode(encoder);
    }
}

/// Reads what [`encode_all`] writes.
pub(crate) fn decode_all(decoder: &mut Decoder) -> Result<Vec<Member>, DecodeError> {
    (0..decoder.count(29, "number of members")?).map(|_| Member::decode(decoder)).collect()
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn member(id: u64) -> Member {
        Member {
            id: NodeId(id),
            incarnation: Incarnation(id + 100),
            name: format!("n{id}"),
            peer_address: "127.0.0.1:7481".to_owned(),
            client_url: String::new(),
            promote: false,
        }
    }

    #[test]
    fn every_phase_round_trips_and_every_cut_is_refused() {
        let cluster = ClusterId(3);
        let members = vec![member(1), member(2)];
        let addresses = vec!["a:1".to_owned(), "b:2".to_owned()];
        for phase in [
            Phase::Fresh,
            Phase::Promised { cluster, founder: NodeId(1), members: members.clone() },
            Phase::Member { cluster, founders: members },
            Phase::Member { cluster, founders: Vec::new() },
            Phase::Removed { cluster },
            Phase::Returning { cluster, addresses },
        ] {
            let identity = Identity {
                id: NodeId(1),
                incarnation: Incarnation(2),
                name: "n1".to_owned(),
                has_log: true,
                phase,
            };
            let mut out = Vec::new();
            identity.encode(&mut out);
            let bytes = Bytes::from(out);
            let decode = |bytes: Bytes| {
                let mut decoder = Decoder::new(bytes);
                let identity = Identity::decode(&mut decoder)?;
                decoder.finish().map(|()| identity)
            };
            assert_eq!(decode(bytes.clone()).unwrap(), identity);
            for end in 0..bytes.len() {
                assert!(decode(bytes.slice(..end)).is_err(), "{identity:?} cut at {end}");
            }
        }
    }
}
