//! What peers say to each other, in memory.

use std::fmt;

use raft::eraftpb::{self, MessageType};
use remex_model::{Index, NodeId, Proposed, Term};

use crate::entry::payload;

/// A message of the Raft library. Opaque: only this crate looks inside.
#[derive(Clone, PartialEq)]
pub struct RaftMessage(pub(crate) eraftpb::Message);

impl RaftMessage {
    /// Bytes of entries that the message carries.
    #[must_use]
    pub fn entry_bytes(&self) -> usize {
        self.0.entries.iter().map(|entry| payload(entry).len()).sum()
    }

    /// What its sender must have synced before it sent this, for those who check that it has.
    #[must_use]
    pub fn promise(&self) -> Promise {
        let message = &self.0;
        let (term, to) = (Term(message.term), NodeId(message.to));
        match message.get_msg_type() {
            MessageType::MsgRequestVote => Promise::Vote { term, candidate: NodeId(message.from) },
            MessageType::MsgRequestVoteResponse if !message.reject => {
                Promise::Vote { term, candidate: to }
            }
            MessageType::MsgAppendResponse if !message.reject => {
                Promise::Entries { term, last: Index(message.index) }
            }
            MessageType::MsgRequestVoteResponse
            | MessageType::MsgAppendResponse
            | MessageType::MsgHeartbeatResponse => Promise::Term { term },
            _ => Promise::Nothing,
        }
    }

    /// A short name of what the message is, for logs and traces.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0.get_msg_type() {
            MessageType::MsgAppend => "append",
            MessageType::MsgAppendResponse => "append_reply",
            MessageType::MsgHeartbeat => "heartbeat",
            MessageType::MsgHeartbeatResponse => "heartbeat_reply",
            MessageType::MsgRequestVote => "vote",
            MessageType::MsgRequestVoteResponse => "vote_reply",
            MessageType::MsgRequestPreVote => "pre_vote",
            MessageType::MsgRequestPreVoteResponse => "pre_vote_reply",
            MessageType::MsgTransferLeader => "transfer",
            MessageType::MsgTimeoutNow => "timeout_now",
            MessageType::MsgSnapshot => "snapshot",
            MessageType::MsgPropose
            | MessageType::MsgReadIndex
            | MessageType::MsgReadIndexResp
            | MessageType::MsgHup
            | MessageType::MsgBeat
            | MessageType::MsgUnreachable
            | MessageType::MsgSnapStatus
            | MessageType::MsgCheckQuorum => "local",
        }
    }
}

impl fmt::Debug for RaftMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} term {} log_term {} index {} commit {} reject {} entries {}",
            self.name(),
            self.0.term,
            self.0.log_term,
            self.0.index,
            self.0.commit,
            self.0.reject,
            self.0.entries.len()
        )
    }
}

/// What the sender of a message has promised to remember (Raft paper, figure 2: "updated on
/// stable storage before responding").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Nothing.
    Nothing,
    /// That this term has begun.
    Term {
        /// The term.
        term: Term,
    },
    /// Its vote.
    Vote {
        /// In this term.
        term: Term,
        /// For this node.
        candidate: NodeId,
    },
    /// The entries of a leader.
    Entries {
        /// The leader's term.
        term: Term,
        /// The last entry that agrees with the leader's log.
        last: Index,
    },
}

/// What one node says to another. Every message may be lost, doubled, delayed or overtaken.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Raft itself.
    Raft(RaftMessage),
    /// Proposals of a follower's clients, for the leader of exactly this term.
    Forward {
        /// The run of the process that forwards.
        session: u64,
        /// Number of this forward within the session; sent again unchanged when unanswered.
        batch: u64,
        /// The term whose leader may take it.
        term: Term,
        /// The proposals.
        commands: Vec<Proposed>,
    },
    /// The leader did not take a forward and never will.
    ForwardRefused {
        /// The session of the forward.
        session: u64,
        /// Its number.
        batch: u64,
    },
    /// A follower asks up to where it must have applied before it may answer reads.
    ReadRequest {
        /// The run of the process that asks.
        session: u64,
        /// Unique within the session.
        context: u64,
    },
    /// The leader's answer.
    ReadReply {
        /// The session that asked.
        session: u64,
        /// What it asked with.
        context: u64,
        /// Every write acknowledged before the question lies at or below this entry.
        index: Index,
    },
}

impl Message {
    /// A short name of what the message is, for logs and traces.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Raft(message) => message.name(),
            Self::Forward { .. } => "forward",
            Self::ForwardRefused { .. } => "forward_refused",
            Self::ReadRequest { .. } => "read_request",
            Self::ReadReply { .. } => "read_reply",
        }
    }

    pub(crate) fn raft_target(message: &eraftpb::Message) -> NodeId {
        NodeId(message.to)
    }
}
