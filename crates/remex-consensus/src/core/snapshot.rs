//! Followers that need what the leader's log no longer has.
//!
//! The leader's library offers a snapshot by name (index and term); its bytes are fetched by other
//! ways, with a connection of their own. A follower to which the offer is of no use answers with
//! what it has; one that needs it says so to its node, which installs a snapshot and starts a new
//! core. Nothing reports back whether that worked: the leader offers again every few ticks until
//! the follower has entries that the log can continue from, and the follower tells it as soon as
//! that is so.

use raft::eraftpb::{self, MessageType};
use raft::{ProgressState, SnapshotStatus, StateRole};
use remex_model::{Index, NodeId, Term};

use super::Core;
use crate::Effect;

impl Core {
    /// The leader offers a snapshot.
    pub(super) fn snapshot_offered(
        &mut self,
        from: NodeId,
        mut message: eraftpb::Message,
        effects: &mut Vec<Effect>,
    ) {
        let metadata = message.get_snapshot().get_metadata();
        let (index, term) = (metadata.index, metadata.term);
        let log = &self.raft.raft.raft_log;
        let stale = message.term < self.raft.raft.term;
        if stale
            || index < log.committed
            || (self.knows_term_of(index) && log.match_term(index, term))
        {
            // The library installs nothing that the log holds; it commits it, and answers. It
            // wants to see this node in the configuration.
            let me = self.id().get();
            let metadata = message.mut_snapshot().mut_metadata();
            metadata.mut_conf_state().set_voters(vec![me]);
            self.step_raft(message);
            return;
        }
        // It is still a sign of life of a leader.
        let mut heartbeat = eraftpb::Message::default();
        heartbeat.set_msg_type(MessageType::MsgHeartbeat);
        (heartbeat.from, heartbeat.to, heartbeat.term) = (message.from, message.to, message.term);
        self.step_raft(heartbeat);
        if self.follows(from) {
            let (index, term) = (Index(index), Term(term));
            effects.push(Effect::NeedSnapshot { index, term, from });
        }
    }

    /// A heartbeat of the leader came. It says how much the leader counts on this node for: if
    /// that ends before this log begins, the leader probes where nothing will ever be found, or
    /// waits for a snapshot to be installed that already is.
    pub(super) fn heartbeat(&mut self, message: eraftpb::Message) {
        let (from, commit) = (NodeId(message.from), message.commit);
        self.step_raft(message);
        if commit + 1 < self.raft.raft.raft_log.first_index() && self.follows(from) {
            self.say_position(from);
        }
    }

    /// Tells the leader up to where this node has the log. What was applied is synced, committed,
    /// and therefore the same on every later leader.
    fn say_position(&mut self, leader: NodeId) {
        let raft = &mut self.raft.raft;
        let mut message = eraftpb::Message::default();
        message.set_msg_type(MessageType::MsgAppendResponse);
        (message.from, message.to, message.term) = (raft.id, leader.get(), raft.term);
        message.index = raft.raft_log.applied;
        message.commit = raft.raft_log.applied;
        // By way of the library, which holds a follower's messages until its term is synced.
        raft.msgs.push(message);
    }

    fn follows(&self, peer: NodeId) -> bool {
        let raft = &self.raft.raft;
        raft.state == StateRole::Follower && raft.leader_id == peer.get()
    }

    fn knows_term_of(&self, index: u64) -> bool {
        let log = &self.raft.raft.raft_log;
        (log.first_index() - 1..=log.last_index()).contains(&index)
    }

    /// The library waits for ever for the outcome of a snapshot: it is told that those failed
    /// whose followers the log can serve again, and now and then all of them.
    pub(super) fn offer_snapshots(&mut self) {
        let again = self.now.is_multiple_of(self.config.snapshot_retry_ticks);
        let first_index = self.raft.raft.raft_log.first_index();
        let needing: Vec<u64> = self
            .membership
            .members()
            .filter_map(|(member, _)| {
                let id = member.id.get();
                let progress = self.raft.raft.prs().get(id)?;
                let served = progress.matched + 1 >= first_index;
                let needs = progress.state == ProgressState::Snapshot && (again || served);
                needs.then_some(id)
            })
            .collect();
        for id in needing {
            self.raft.report_snapshot(id, SnapshotStatus::Failure);
        }
    }

    /// The log on disk begins later now.
    pub(super) fn trimmed(&mut self, first_index: Index) {
        if first_index > self.applied.next() {
            let applied = self.applied;
            let reason =
                format!("the log was trimmed to {first_index}, but only {applied} was applied");
            self.failure.get_or_insert(Effect::Fatal { reason });
            return;
        }
        self.raft.mut_store().trim(first_index.get());
    }
}
