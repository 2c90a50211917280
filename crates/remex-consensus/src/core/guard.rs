//! Messages that must not reach the library.
//!
//! The library aborts the process where a peer contradicts what consensus promises, because it
//! takes that for a bug of its own. A peer whose disk went back in time does just that, and so may
//! one that is broken: here such messages are recognized before they get that far.

use raft::StateRole;
use raft::eraftpb::{self, MessageType};
use remex_model::NodeId;

use super::Core;
use crate::Effect;

/// What is to be done with a message.
pub(super) enum Verdict {
    /// Give it to the library.
    Step,
    /// Treat it as if it were lost.
    Ignore,
    /// This node cannot go on.
    Failure(Effect),
}

impl Core {
    pub(super) fn judge(&self, from: NodeId, message: &eraftpb::Message) -> Verdict {
        if message.term == 0 {
            // The library takes this for a message of the node to itself.
            return Verdict::Ignore;
        }
        let raft = &self.raft.raft;
        match message.get_msg_type() {
            // Asking a leader to hand over is not for peers to do; a follower's library would pass
            // it on.
            MessageType::MsgTransferLeader => return Verdict::Ignore,
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote
                if self.is_outsider(from) =>
            {
                return Verdict::Ignore;
            }
            MessageType::MsgTimeoutNow
                if raft.leader_id != from.get() || self.must_sync_first() =>
            {
                return Verdict::Ignore;
            }
            MessageType::MsgHeartbeat if message.term >= raft.term => {
                return self.judge_heartbeat(message);
            }
            MessageType::MsgAppend if message.term >= raft.term => {
                return self.judge_append(from, message);
            }
            MessageType::MsgSnapshot if message.term >= raft.term => {
                return self.judge_snapshot(from, message);
            }
            MessageType::MsgAppendResponse if message.term == raft.term => {
                return self.judge_append_reply(from, message);
            }
            _ => {}
        }
        Verdict::Step
    }

    /// Whether a candidate is none of the cluster's business: it was removed, or is unknown here
    /// while there is a leader. Without one it may be a new member that this node has not been
    /// told of yet, and its election may be the only possible one.
    fn is_outsider(&self, candidate: NodeId) -> bool {
        self.membership.was_removed(candidate)
            || (self.raft.raft.leader_id != 0
                && !self.membership.is_empty()
                && self.membership.get(candidate).is_none())
    }

    /// A leader commits on a follower only what that follower acknowledged as synced. If the log
    /// ends before that, the disk has lost synced data, and taking part in votes or commits
    /// could lose acknowledged writes.
    fn judge_heartbeat(&self, message: &eraftpb::Message) -> Verdict {
        let last = self.last_index().get();
        if message.commit <= last {
            return Verdict::Step;
        }
        rolled_back(format!(
            "the leader counts on this node for entry {}, but its log ends at {last}",
            message.commit
        ))
    }

    /// A leader has every committed entry (Raft §5.4.3).
    fn judge_append(&self, from: NodeId, message: &eraftpb::Message) -> Verdict {
        let log = &self.raft.raft.raft_log;
        let commit = log.committed;
        // Terms never fall along a log.
        if message.index > commit && log.term(commit).is_ok_and(|term| message.log_term < term) {
            return contradicted(from, commit);
        }
        let before = std::iter::once((message.index, message.log_term));
        let entries = message.entries.iter().map(|entry| (entry.index, entry.term));
        let committed = before.chain(entries).take_while(|&(index, _)| index <= commit);
        self.judge_committed(from, committed)
    }

    fn judge_snapshot(&self, from: NodeId, message: &eraftpb::Message) -> Verdict {
        let metadata = message.get_snapshot().get_metadata();
        let commit = self.raft.raft.raft_log.committed;
        let known = (metadata.index, metadata.term);
        self.judge_committed(from, [known].into_iter().filter(|&(index, _)| index <= commit))
    }

    /// Compares entries of a leader with those that are committed here, as far as the log reaches
    /// back.
    fn judge_committed(
        &self,
        from: NodeId,
        mut entries: impl Iterator<Item = (u64, u64)>,
    ) -> Verdict {
        let log = &self.raft.raft.raft_log;
        let known = log.first_index() - 1;
        let differs = |&(index, term): &(u64, u64)| index >= known && !log.match_term(index, term);
        match entries.find(differs) {
            Some((index, _)) => contradicted(from, index),
            None => Verdict::Step,
        }
    }

    /// Within a term, nobody has entries that its leader lacks: those that others acknowledge
    /// came from it, and those that are committed it had when it was elected.
    fn judge_append_reply(&self, from: NodeId, message: &eraftpb::Message) -> Verdict {
        let last = self.last_index().get();
        if self.raft.raft.state != StateRole::Leader {
            return Verdict::Ignore;
        }
        if message.reject {
            // A follower hints at an entry at or before the one that it was asked about.
            let sane = message.index <= last && message.reject_hint <= last;
            return if sane { Verdict::Step } else { Verdict::Ignore };
        }
        if message.index <= last {
            return Verdict::Step;
        }
        rolled_back(format!(
            "this node leads, and its log ends at {last}, but node {from} has entry {} committed",
            message.index
        ))
    }
}

fn rolled_back(found: String) -> Verdict {
    let reason = format!(
        "{found}: this disk has lost data that was synced (restored from an old copy, or wiped?)"
    );
    Verdict::Failure(Effect::RolledBack { reason })
}

fn contradicted(from: NodeId, index: u64) -> Verdict {
    let reason = format!(
        "node {from} leads without entry {index} as it was committed here: a majority of the \
         voters has lost data that was synced, and this node's copy must be kept"
    );
    Verdict::Failure(Effect::Fatal { reason })
}
