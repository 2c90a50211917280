//! What goes into the core and what comes out.

use bytes::Bytes;
use remex_model::{Index, NodeId, Term};

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
        /// The entries, from the first that was asked for on; may be fewer than asked for.
        entries: Vec<Entry>,
    },
    /// A peer cannot be reached.
    Unreachable {
        /// The peer.
        peer: NodeId,
    },
    /// Hand leadership to the follower that is furthest ahead, if this node leads.
    HandOver,
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
    /// A peer contradicts what this node's disk once promised; the node must stop.
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
    /// Last entry that it acknowledged.
    pub matched: Index,
    /// Whether it was heard of in the current check-quorum period.
    pub active: bool,
}
