//! What the members of a cluster remember of each other, so that a disk that went back in time is
//! noticed.
//!
//! A member's term never falls, and an entry that it acknowledged and that was committed never
//! leaves its log. The leader knows both of every member; spread to all, this memory outlives any
//! disk. A node that has less than its mark was restored from an old copy or wiped: it may have
//! voted or acknowledged what it no longer knows, and must not do so a second time.
//!
//! A mark may lag behind the truth (then less is noticed) and never runs ahead of it.
//!
//! Encoding, version 1 (little-endian): `u8 version, u32 marks, each: u64 node, u64 term,
//! u64 index`.

use std::collections::BTreeMap;

use remex_model::{DecodeError, Decoder, Encoder, Index, Membership, NodeId, Term};
use thiserror::Error;

use crate::Progress;

const VERSION: u8 = 1;

/// The least that a node has synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// A term that it knows.
    pub term: Term,
    /// An entry that it has, and that was committed.
    pub index: Index,
}

impl Mark {
    fn raise(&mut self, other: Self) {
        self.term = self.term.max(other.term);
        self.index = self.index.max(other.index);
    }
}

/// A node has less than it once had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "node {node} once had term {} and entry {}, and has only term {} and entry {} now: its disk \
     was restored from an old copy, or has lost data that was synced",
    mark.term, mark.index, found.term, found.index
)]
pub struct RolledBack {
    /// The node.
    pub node: NodeId,
    /// What it had at least.
    pub mark: Mark,
    /// What it has.
    pub found: Mark,
}

/// What is remembered of every member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    marks: BTreeMap<NodeId, Mark>,
}

impl Marks {
    /// Notes what the leader of `term`, whose commit index is `commit`, knows of the members. It
    /// must have committed an entry of its term: the only voter of a cluster leads before it has
    /// synced that it does.
    pub(crate) fn note(&mut self, progress: &[Progress], commit: Index, term: Term) {
        // One that acknowledged nothing to this leader may not even know its term.
        for member in progress.iter().filter(|member| member.matched > Index(0)) {
            let mark = Mark { term, index: member.matched.min(commit) };
            self.marks.entry(member.id).or_default().raise(mark);
        }
    }

    /// Takes over what another node remembers.
    pub fn merge(&mut self, other: &Self) {
        for (&id, &mark) in &other.marks {
            self.marks.entry(id).or_default().raise(mark);
        }
    }

    /// Checks a node that has synced `term` and a log up to `last_index` by now. (Not what it
    /// recovered when its run began, if that was a while ago: its mark has risen since.)
    ///
    /// # Errors
    /// If it once had more.
    pub fn check(&self, node: NodeId, term: Term, last_index: Index) -> Result<(), RolledBack> {
        let found = Mark { term, index: last_index };
        match self.marks.get(&node) {
            Some(&mark) if term < mark.term || last_index < mark.index => {
                Err(RolledBack { node, mark, found })
            }
            _ => Ok(()),
        }
    }

    /// What is remembered of a node.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<Mark> {
        self.marks.get(&node).copied()
    }

    /// Forgets nodes that are no members any more: they are refused for that.
    pub fn keep_members(&mut self, membership: &Membership) {
        self.marks.retain(|&id, _| membership.get(id).is_some());
    }

    /// Writes the marks.
    pub fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.u8(VERSION);
        encoder.count(self.marks.len());
        for (id, mark) in &self.marks {
            encoder.u64(id.get());
            encoder.u64(mark.term.get());
            encoder.u64(mark.index.get());
        }
    }

    /// Reads marks.
    ///
    /// # Errors
    /// If the input is not that.
    pub fn decode(decoder: &mut Decoder) -> Result<Self, DecodeError> {
        let version = decoder.u8("version of marks")?;
        if version != VERSION {
            let field = "version of marks";
            return Err(DecodeError::Unknown { field, value: version.into() });
        }
        let mut marks = BTreeMap::new();
        for _ in 0..decoder.count(24, "number of marks")? {
            let id = NodeId(decoder.u64("marked node")?);
            let term = Term(decoder.u64("marked term")?);
            marks.insert(id, Mark { term, index: Index(decoder.u64("marked index")?) });
        }
        Ok(Self { marks })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use remex_model::Part;

    use super::*;

    fn progress(id: u64, matched: u64) -> Progress {
        let (id, matched) = (NodeId(id), Index(matched));
        Progress { id, part: Part::Voter, matched, active: true, needs_snapshot: false }
    }

    fn marks() -> Marks {
        let mut marks = Marks::default();
        marks.note(&[progress(1, 9), progress(2, 5), progress(3, 0)], Index(7), Term(4));
        marks
    }

    #[test]
    fn only_what_is_committed_and_acknowledged_is_held_against_a_node() {
        let marks = marks();
        assert_eq!(marks.get(NodeId(1)), Some(Mark { term: Term(4), index: Index(7) }));
        assert_eq!(marks.get(NodeId(2)), Some(Mark { term: Term(4), index: Index(5) }));
        assert_eq!(marks.get(NodeId(3)), None);
        assert_eq!(marks.check(NodeId(1), Term(4), Index(7)), Ok(()));
        assert_eq!(marks.check(NodeId(3), Term(0), Index(0)), Ok(()));
        assert!(marks.check(NodeId(1), Term(9), Index(6)).is_err(), "entries were lost");
        assert!(marks.check(NodeId(1), Term(3), Index(9)).is_err(), "the term was lost");
    }

    #[test]
    fn marks_only_rise() {
        let mut marks = marks();
        let before = marks.clone();
        let mut older = Marks::default();
        older.note(&[progress(1, 3), progress(4, 3)], Index(3), Term(2));
        marks.merge(&older);
        assert_eq!(marks.get(NodeId(1)), before.get(NodeId(1)));
        assert_eq!(marks.get(NodeId(4)), Some(Mark { term: Term(2), index: Index(3) }));
        marks.note(&[progress(2, 6)], Index(6), Term(3));
        assert_eq!(marks.get(NodeId(2)), Some(Mark { term: Term(4), index: Index(6) }));
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let mut marks = marks();
        marks.keep_members(&Membership::default());
        assert_eq!(marks, Marks::default());
    }

    #[test]
    fn marks_round_trip_and_every_cut_is_refused() {
        let marks = marks();
        let mut out = Vec::new();
        marks.encode(&mut Encoder::new(&mut out));
        let bytes = Bytes::from(out);
        assert_eq!(Marks::decode(&mut Decoder::new(bytes.clone())), Ok(marks));
        for end in 0..bytes.len() {
            assert!(Marks::decode(&mut Decoder::new(bytes.slice(..end))).is_err());
        }
    }
}
