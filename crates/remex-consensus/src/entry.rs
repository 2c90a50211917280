//! Log entries and hard state in our own types.

use bytes::Bytes;
use raft::eraftpb::{self, EntryType};
use remex_model::{Index, NodeId, Term};

/// What an entry's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An encoded [`remex_model::Batch`], or nothing (Raft's own entry at the start of a term).
    Data,
    /// An encoded [`remex_model::MembershipChange`].
    Membership,
}

impl EntryKind {
    /// The byte that stands for the kind on disk and on the wire.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Membership => 1,
        }
    }

    /// The kind that a byte stands for, if this version knows it.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Data),
            1 => Some(Self::Membership),
            _ => None,
        }
    }
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position.
    pub index: Index,
    /// The term of the leader that made it.
    pub term: Term,
    /// What the payload is.
    pub kind: EntryKind,
    /// The payload.
    pub data: Bytes,
}

/// What a node must not forget between two elections (Raft §5.1, "persistent state").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term that it has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
    /// Last entry known to be committed. A hint: it may lag behind after a crash.
    pub commit: Index,
}

impl Entry {
    pub(crate) fn from_raft(entry: eraftpb::Entry) -> Self {
        Self {
            index: Index(entry.index),
            term: Term(entry.term),
            kind: EntryKind::of_raft(&entry),
            data: payload(&entry).clone(),
        }
    }

    pub(crate) fn to_raft(&self) -> eraftpb::Entry {
        raft_entry(self.index.get(), self.term.get(), self.kind, self.data.clone())
    }
}

impl EntryKind {
    pub(crate) fn of_raft(entry: &eraftpb::Entry) -> Self {
        match entry.get_entry_type() {
            EntryType::EntryNormal => Self::Data,
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => Self::Membership,
        }
    }
}

/// An entry in the library's form. A change of the membership lies in `context`: the library takes
/// `data` for protobuf, but only of a proposal, on the leader.
pub(crate) fn raft_entry(index: u64, term: u64, kind: EntryKind, data: Bytes) -> eraftpb::Entry {
    let mut entry = eraftpb::Entry { index, term, ..eraftpb::Entry::default() };
    match kind {
        EntryKind::Data => entry.data = data,
        EntryKind::Membership => {
            entry.set_entry_type(EntryType::EntryConfChangeV2);
            entry.context = data;
        }
    }
    entry
}

/// What we put into an entry.
pub(crate) fn payload(entry: &eraftpb::Entry) -> &Bytes {
    match EntryKind::of_raft(entry) {
        EntryKind::Data => &entry.data,
        EntryKind::Membership => &entry.context,
    }
}

impl HardState {
    pub(crate) fn from_raft(state: &eraftpb::HardState) -> Self {
        let vote = (state.vote != 0).then_some(NodeId(state.vote));
        Self { term: Term(state.term), vote, commit: Index(state.commit) }
    }

    pub(crate) fn to_raft(self) -> eraftpb::HardState {
        eraftpb::HardState {
            term: self.term.get(),
            vote: self.vote.map_or(0, NodeId::get),
            commit: self.commit.get(),
            ..eraftpb::HardState::default()
        }
    }
}
