//! What goes into the core and what comes out.

use bytes::Bytes;
use remex_model::{Index, MemberChange, MembershipError, NodeId, Part, Term};
use thiserror::Error;

use crate::{Entry, HardState, Message};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// One tick of the clock passed.
    Tick,
    /// More ticks passed than were reported, while the caller was held up. They count for the
    /// time that callers wait, and not for elections: messages of the same time still wait in
    /// the sockets.
    Late {
        /// How many.
        ticks: u64,
    },
    /// A message came from a peer.
    Message {
        /// The peer, as its connection proved.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// A client of this node wants to write.
    Propose {
        /// Chosen by the caller, unique within the run, and rising.
        sequence: u64,
        /// The encoded command.
        command: Bytes,
        /// Ticks after which the caller no longer waits.
        ttl_ticks: u64,
    },
    /// A client of this node wants to read linearizably.
    Read {
        /// Chosen by the caller, unique within the run.
        sequence: u64,
        /// Ticks after which the caller no longer waits.
        ttl_ticks: u64,
    },
    /// Everything up to this write is synced.
    Persisted {
        /// The number from [`Effect::Persist`].
        number: u64,
    },
    /// Older entries that [`Effect::Fetch`] asked for.
    Fetched {
        /// Which request this answers.
        fetch: FetchId,
        /// The entries, from the first that was asked for on; may be fewer than asked for, or
        /// none if the log was trimmed meanwhile.
        entries: Vec<Entry>,
    },
    /// A peer cannot be reached.
    Unreachable {
        /// The peer.
        peer: NodeId,
    },
    /// Nothing listens at a peer's address any more: its process is gone for certain. If it led,
    /// a new leader is elected soon rather than when its silence is noticed. To be said again as
    /// long as it is so: a message that was still on its way makes this node follow it again.
    PeerGone {
        /// The peer.
        peer: NodeId,
    },
    /// Change the membership, if this node leads. Answered by [`Effect::ChangeRefused`], or by
    /// applying an entry of kind [`crate::EntryKind::Membership`] that names this run's session
    /// and the sequence; by neither if leadership is lost before that.
    Change {
        /// Chosen by the caller, unique within the run among all its proposals.
        sequence: u64,
        /// The steps, all or none; at least one.
        changes: Vec<MemberChange>,
        /// Do it even if it would cost the cluster its majority or its leader.
        force: bool,
    },
    /// Hand leadership to another voter, if this node leads.
    Transfer {
        /// To this one; otherwise to the one that is furthest ahead. Nothing happens if it is no
        /// voter.
        to: Option<NodeId>,
    },
    /// The log on disk was trimmed.
    Trimmed {
        /// Where it begins now; at most one behind the last entry that was applied.
        first_index: Index,
    },
}

/// Names one request for older entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// Something to do. Effects are carried out in the order in which they come.
#[derive(Debug)]
pub enum Effect {
    /// Send a message; it may be lost.
    Send {
        /// The peer.
        to: NodeId,
        /// The message.
        message: Message,
    },
    /// Append to the log, in order, and report with [`Event::Persisted`] once it is synced.
    Persist {
        /// Rises with every write.
        number: u64,
        /// The new hard state, if it changed.
        hard_state: Option<HardState>,
        /// New entries; the first may be at or below the end of the log and replaces what
        /// follows it.
        entries: Vec<Entry>,
    },
    /// Apply committed entries to the state machine, in order.
    Apply {
        /// The entries.
        entries: Vec<Entry>,
    },
    /// These reads may be answered from the state machine now.
    ReadReady {
        /// Their sequences.
        sequences: Vec<u64>,
    },
    /// The caller's time is up before the proposal was resolved.
    ProposalExpired {
        /// Its sequence.
        sequence: u64,
        /// Whether it may still be applied: it was sent to a leader or appended here.
        sent: bool,
    },
    /// The caller's time is up before the read was confirmed.
    ReadExpired {
        /// Its sequence.
        sequence: u64,
    },
    /// Read entries from the log and report them with [`Event::Fetched`]. All of them have been
    /// applied here, so they are synced and the log holds them, unless it was trimmed meanwhile.
    Fetch {
        /// Names the request.
        fetch: FetchId,
        /// First entry.
        from: Index,
        /// Behind the last entry.
        to: Index,
        /// Stop after about this many bytes.
        bytes_max: usize,
    },
    /// Role, term or known leader changed.
    Leadership(Leadership),
    /// The change of the membership is not proposed, and never will be.
    ChangeRefused {
        /// Its sequence.
        sequence: u64,
        /// Why.
        refusal: ChangeRefusal,
    },
    /// The leader no longer has the entries that this node needs next: it must fetch a snapshot,
    /// of any index behind what it has applied, install it and start a new core. Said again every
    /// [`crate::Config::snapshot_retry_ticks`] until the log of this node reaches the leader's.
    NeedSnapshot {
        /// Last entry that the leader's state holds.
        index: Index,
        /// That entry's term.
        term: Term,
        /// The leader.
        from: NodeId,
    },
    /// This node has just applied its own removal from the cluster. It may still vote for others,
    /// who may not know of the removal yet, and never stands for election.
    Removed,
    /// This node's disk has lost what it once promised to have synced: it was restored from an
    /// old copy, or wiped. It must not vote or acknowledge anything under this identity.
    RolledBack {
        /// What was found.
        reason: String,
    },
    /// What was found contradicts the rules of consensus; the node must stop and keep its data.
    Fatal {
        /// What was found.
        reason: String,
    },
}

/// Part of a node in consensus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    #[default]
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// Who leads, as far as a node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// This node's part.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader that it knows.
    pub leader: Option<NodeId>,
}

/// How far a member has the log, as the leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The member.
    pub id: NodeId,
    /// Its part in decisions.
    pub part: Part,
    /// Last entry that it acknowledged.
    pub matched: Index,
    /// Whether it was heard of lately and its connection has not broken since.
    pub active: bool,
    /// Whether it needs a snapshot, because the leader's log no longer has what comes next for it.
    pub needs_snapshot: bool,
}

/// Why a change of the membership is not proposed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeRefusal {
    /// This node does not lead.
    #[error("this node does not lead")]
    NotLeader,
    /// Another change is not finished, or leadership is just being handed over or was just won.
    #[error("another change of the membership is under way")]
    InProgress,
    /// The log takes no proposals: too much of it waits to be committed.
    #[error("the log takes no proposals at the moment")]
    Busy,
    /// The change takes the vote of the node that leads: leadership must be handed over first.
    #[error("the leader cannot be removed or demoted; leadership must be handed over first")]
    IsLeader,
    /// After the change fewer voters than a majority could be reached.
    #[error("only {reachable} voters could be reached after the change, and {needed} are needed")]
    WouldLoseQuorum {
        /// Voters that can be reached now, the leader among them.
        reachable: usize,
        /// Voters that make a majority.
        needed: usize,
    },
    /// The change does not fit the membership.
    #[error(transparent)]
    Invalid(#[from] MembershipError),
}
