//! Encodings of members, memberships and their changes, version 1 (little-endian), in the log and in
//! the state:
//!
//! ```text
//! member            u64 id, u64 incarnation, bytes name, bytes peer address, bytes client url,
//!                   u8 promote
//! membership        u8 version, u32 members, each: member, u8 role; u32 removed, each: u64 id, bytes name
//! membership change u8 version, u64 session, u64 sequence, u32 changes, each:
//!                   u8 0 add, member | u8 1 promote, u64 id | u8 2 demote, u64 id
//!                   | u8 3 remove, u64 id | u8 4 update, member
//! ```

use bytes::Bytes;

use super::{Member, MemberChange, Membership, MembershipChange, Part};
use crate::{DecodeError, Decoder, Encoder, Incarnation, NodeId, ProposalId};

const VERSION: u8 = 1;

impl Part {
    fn to_byte(self) -> u8 {
        match self {
            Self::Learner => 0,
            Self::Voter => 1,
            Self::Incoming => 2,
            Self::Demoted => 3,
            Self::Leaving => 4,
        }
    }

    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            0 => Self::Learner,
            1 => Self::Voter,
            2 => Self::Incoming,
            3 => Self::Demoted,
            4 => Self::Leaving,
            other => return Err(DecodeError::Unknown { field: "part", value: other.into() }),
        })
    }
}

impl Membership {
    /// Writes the membership.
    pub fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.u8(VERSION);
        encoder.count(self.members.len());
        for (member, part) in self.members.values() {
            member.encode(encoder);
            encoder.u8(part.to_byte());
        }
        encoder.count(self.removed.len());
        for (id, name) in &self.removed {
            encoder.u64(id.get());
            encoder.bytes(name.as_bytes());
        }
    }

    /// Reads a membership.
    ///
    /// # Errors
    /// If the input is not one.
    pub fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        check_version(decoder)?;
        let mut membership = Self::default();
        for _ in 0..decoder.count(30, "number of members")? {
            let member = Member::decode(decoder)?;
            let part = Part::from_byte(decoder.u8("part")?)?;
            membership.members.insert(member.id, (member, part));
        }
        for _ in 0..decoder.count(12, "number of removed members")? {
            let id = NodeId(decoder.u64("removed member")?);
            membership.removed.push_back((id, decoder.text("removed member's name")?));
        }
        Ok(membership)
    }
}

impl Member {
    /// Writes the member.
    pub fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.u64(self.id.get());
        encoder.u64(self.incarnation.get());
        encoder.bytes(self.name.as_bytes());
        encoder.bytes(self.peer_address.as_bytes());
        encoder.bytes(self.client_url.as_bytes());
        encoder.bool(self.promote);
    }

    /// Reads a member.
    ///
    /// # Errors
    /// If the input is not one.
    pub fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            id: NodeId(decoder.u64("member id")?),
            incarnation: Incarnation(decoder.u64("member incarnation")?),
            name: decoder.text("member name")?,
            peer_address: decoder.text("peer address")?,
            client_url: decoder.text("client url")?,
            promote: decoder.bool("promote")?,
        })
    }
}

impl MembershipChange {
    /// The encoded change.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        encoder.u8(VERSION);
        encoder.u64(self.id.session);
        encoder.u64(self.id.sequence);
        encoder.count(self.changes.len());
        for change in &self.changes {
            match change {
                MemberChange::Add(member) => {
                    encoder.u8(0);
                    member.encode(&mut encoder);
                }
                MemberChange::Promote(id) => step(&mut encoder, 1, *id),
                MemberChange::Demote(id) => step(&mut encoder, 2, *id),
                MemberChange::Remove(id) => step(&mut encoder, 3, *id),
                MemberChange::Update(member) => {
                    encoder.u8(4);
                    member.encode(&mut encoder);
                }
            }
        }
        out
    }

    /// Reads a change.
    ///
    /// # Errors
    /// If the input is not one.
    pub fn decode(input: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(input);
        check_version(&mut decoder)?;
        let session = decoder.u64("session")?;
        let id = ProposalId { session, sequence: decoder.u64("sequence")? };
        let mut changes = Vec::new();
        for _ in 0..decoder.count(9, "number of changes")? {
            let kind = decoder.u8("kind of change")?;
            let mut id = || decoder.u64("member id").map(NodeId);
            changes.push(match kind {
                0 => MemberChange::Add(Member::decode(&mut decoder)?),
                1 => MemberChange::Promote(id()?),
                2 => MemberChange::Demote(id()?),
                3 => MemberChange::Remove(id()?),
                4 => MemberChange::Update(Member::decode(&mut decoder)?),
                other => {
                    let value = other.into();
                    return Err(DecodeError::Unknown { field: "kind of change", value });
                }
            });
        }
        decoder.finish()?;
        Ok(Self { id, changes })
    }
}

fn step(encoder: &mut Encoder<'_>, kind: u8, id: NodeId) {
    encoder.u8(kind);
    encoder.u64(id.get());
}

fn check_version(decoder: &mut Decoder) -> Result<(), DecodeError> {
    match decoder.u8("membership version")? {
        VERSION => Ok(()),
        other => Err(DecodeError::Unknown { field: "membership version", value: other.into() }),
    }
}
