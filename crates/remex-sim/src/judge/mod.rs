//! The judge: what must hold after every step, one file for each invariant.
//!
//! The judge sees what every node does from outside, and keeps its own account of it: which
//! entries each node holds and which of them are synced ([`ShadowLog`]), which entries are
//! committed ([`Ledger`]). It never asks the code under test whether something is right. Checks
//! are incremental: each looks only at what the step changed, so that they can run after every
//! step of every run.

mod acknowledged;
mod applied_is_synced;
mod election_safety;
mod exactly_once;
mod leader_completeness;
mod ledger;
mod log_matching;
mod never_back;
mod promises_are_synced;
mod quorum_durability;
mod shadow_log;
mod state_machine_safety;
mod synced_survives;

use remex_consensus::{Entry, HardState, Leadership, Message, Role};
use remex_model::{Index, NodeId, Outcome, ProposalId, Revision};

pub(crate) use self::acknowledged::Acknowledged;
pub(crate) use self::ledger::Ledger;
pub(crate) use self::shadow_log::{ShadowLog, Stamp};

use self::election_safety::ElectionSafety;
use self::exactly_once::ExactlyOnce;
use self::log_matching::LogMatching;
use self::never_back::NeverBack;
use self::state_machine_safety::StateMachineSafety;
use crate::selves::ByNode;
use crate::violation::Check;

/// All invariants with what they remember.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) logs: ByNode<ShadowLog>,
    pub(crate) ledger: Ledger,
    elections: ElectionSafety,
    matching: LogMatching,
    machine: StateMachineSafety,
    once: ExactlyOnce,
    back: NeverBack,
    acknowledged: Acknowledged,
}

impl Judge {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            logs: ByNode::new(nodes, ShadowLog::default),
            ledger: Ledger::default(),
            elections: ElectionSafety::new(nodes),
            matching: LogMatching::default(),
            machine: StateMachineSafety::default(),
            once: ExactlyOnce::default(),
            back: NeverBack::new(nodes),
            acknowledged: Acknowledged::default(),
        }
    }

    /// A core hands a write to its driver.
    pub(crate) fn appended(
        &mut self,
        node: NodeId,
        hard_state: Option<HardState>,
        entries: &[Entry],
    ) -> Check {
        let log = &mut self.logs[node];
        log.append(hard_state, entries)?;
        self.matching.check(node, log, entries)
    }

    /// A node sends a message.
    pub(crate) fn sending(&self, node: NodeId, message: &Message) -> Check {
        match message {
            Message::Raft(raft) => {
                promises_are_synced::check(node, &self.logs[node], raft.promise())
            }
            Message::Forward { .. }
            | Message::ForwardRefused { .. }
            | Message::ReadRequest { .. }
            | Message::ReadReply { .. } => Ok(()),
        }
    }

    /// The oldest `writes` writes of a node that were not synced are now.
    pub(crate) fn synced(&mut self, node: NodeId, writes: usize) -> Check {
        quorum_durability::check_sync(node, &self.logs[node], writes, &self.ledger)?;
        self.logs[node].sync(writes);
        Ok(())
    }

    /// A node came up with this in its log.
    pub(crate) fn recovered(
        &mut self,
        node: NodeId,
        hard_state: HardState,
        first: Index,
        stamps: &[Stamp],
    ) -> Check {
        synced_survives::check(node, &self.logs[node], hard_state, first, stamps)?;
        self.logs[node].recover(hard_state, first, stamps);
        if self.logs.len() == 1 {
            self.matching.forget_behind(self.logs[node].synced_last());
        }
        self.back.restarted(node);
        Ok(())
    }

    /// A node's role, term or leader changed in this run of its process.
    pub(crate) fn leadership(&mut self, node: NodeId, run: u64, now: Leadership) -> Check {
        if now.role != Role::Leader {
            return Ok(());
        }
        self.elections.check(node, run, now.term)?;
        leader_completeness::check(node, &self.logs[node], now.term, &self.ledger)
    }

    /// An entry is about to be applied on a node.
    pub(crate) fn applying(&mut self, node: NodeId, entry: &Entry) -> Check {
        let stamp = Stamp::of(entry);
        self.committed(node, entry.index)?;
        applied_is_synced::check(node, &self.logs[node], entry.index, stamp)?;
        state_machine_safety::check_entry(node, &self.ledger, entry.index, stamp)
    }

    /// An entry was applied on a node. True if no node had applied it before.
    pub(crate) fn applied(
        &mut self,
        node: NodeId,
        entry: &Entry,
        outcomes: &[(ProposalId, Outcome)],
        state_hash: u64,
    ) -> Result<bool, crate::violation::Broken> {
        let first = self.machine.check_state(node, entry.index, state_hash)?;
        if first {
            self.once.check(entry, outcomes)?;
            self.acknowledged.applied(entry.index, outcomes);
        }
        Ok(first)
    }

    /// A node tells a client what came of its write.
    pub(crate) fn acknowledging(
        &self,
        node: NodeId,
        id: ProposalId,
        outcome: &Outcome,
        applied: Index,
    ) -> Check {
        self.acknowledged.check(node, id, outcome, applied)
    }

    /// A node's turn is over: how far it is now.
    pub(crate) fn turn_ended(&mut self, node: NodeId, now: Standing) -> Check {
        self.back.check(node, now)?;
        self.committed(node, now.commit)
    }

    /// A node takes its log for committed up to here.
    fn committed(&mut self, node: NodeId, commit: Index) -> Check {
        self.ledger.extend(node, &self.logs[node], commit, |index, stamp| {
            quorum_durability::check_commit(index, stamp, &self.logs)
        })
    }

    /// The last entry that is committed and synced on every node.
    pub(crate) fn synced_everywhere(&self) -> Index {
        let agreed = |log: &ShadowLog| {
            let mut last = log.synced_last().min(self.ledger.last());
            while last > Index(0) && log.synced.get(last) != self.ledger.get(last) {
                last = Index(last.get() - 1);
            }
            last
        };
        self.logs.iter().map(agreed).min().unwrap_or_default()
    }
}

/// How far a node is, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) term: remex_model::Term,
    pub(crate) commit: Index,
    pub(crate) applied: Index,
    pub(crate) revision: Revision,
}
