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
mod lost_disks;
mod memberships;
mod never_back;
mod promises_are_synced;
mod quorum_durability;
mod shadow_log;
mod state_machine_safety;
mod synced_survives;

use std::sync::Arc;

use remex_consensus::{Entry, EntryKind, HardState, Leadership, Message, Role};
use remex_model::{Index, Membership, NodeId, Outcome, ProposalId, Revision, Term};

pub(crate) use self::acknowledged::Acknowledged;
pub(crate) use self::ledger::Ledger;
pub(crate) use self::lost_disks::LostDisks;
pub(crate) use self::memberships::Memberships;
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
    pub(crate) disks: LostDisks,
    pub(crate) memberships: Memberships,
    elections: ElectionSafety,
    matching: LogMatching,
    machine: StateMachineSafety,
    once: ExactlyOnce,
    back: NeverBack,
    acknowledged: Acknowledged,
}

impl Judge {
    pub(crate) fn new(founding: Membership) -> Self {
        let nodes = founding.len();
        Self {
            logs: ByNode::new(nodes, ShadowLog::default),
            ledger: Ledger::default(),
            disks: LostDisks::default(),
            memberships: Memberships::new(founding),
            elections: ElectionSafety::default(),
            matching: LogMatching::default(),
            machine: StateMachineSafety::default(),
            once: ExactlyOnce::default(),
            back: NeverBack::new(nodes),
            acknowledged: Acknowledged::default(),
        }
    }

    /// There is another self, with nothing in its log.
    pub(crate) fn born(&mut self) {
        self.logs.push(ShadowLog::empty());
        self.back.push();
    }

    /// Whatever a node had is lost, and it is never to be heard of again but by what it has said
    /// already: so its account is kept as it is.
    pub(crate) fn gone(&mut self, node: NodeId) {
        self.disks.lose(node);
        self.logs[node].is_gone = true;
    }

    /// From its next run on, a node goes by an older disk.
    pub(crate) fn disk_goes_back(&mut self, node: NodeId, run: u64) {
        self.disks.go_back(node, run);
        self.logs[node].is_old = true;
    }

    /// A node says that its own disk has lost something.
    pub(crate) fn finds_old_disk(&self, node: NodeId, reason: &str) -> Check {
        match self.disks.is_old(node) {
            true => Ok(()),
            false => Err(("fatal", format!("node {node} takes its disk for an old one: {reason}"))),
        }
    }

    /// A node has taken a message in.
    pub(crate) fn heard(&self, from: NodeId, run: u64, message: &Message) -> Check {
        self.disks.heard(from, run, message)
    }

    /// A node is about to empty its log behind an entry whose effect its engine holds.
    pub(crate) fn emptying(&mut self, node: NodeId, index: Index, vote: (u64, u64)) {
        let (term, vote) = (Term(vote.0), (vote.1 != 0).then_some(NodeId(vote.1)));
        self.logs[node].emptying = Some(HardState { term, vote, commit: index });
    }

    /// A node has installed a snapshot: the state at this entry.
    pub(crate) fn installed(
        &mut self,
        node: NodeId,
        index: Index,
        term: Term,
        state_hash: u64,
        membership: &Membership,
    ) -> Check {
        if self.ledger.get(index).is_none_or(|stamp| stamp.term != term) {
            let detail = format!("node {node} installs a state at entry {index} of term {term}");
            return Err(("state_machine_safety", detail));
        }
        self.memberships.check(node, index, membership)?;
        self.machine.check_state(node, index, state_hash).map(|_| ())
    }

    /// A core has begun with this much applied.
    pub(crate) fn started(&mut self, node: NodeId, applied: Index) {
        self.back.restarted(node, applied);
        if self.is_alone(node) {
            self.matching.forget_behind(self.logs[node].synced_last());
        }
    }

    /// Whether some log holds a change of the membership that nobody has applied.
    pub(crate) fn is_changing(&self) -> bool {
        let applied = self.machine.last();
        self.logs.iter().any(|log| !log.is_gone && log.all.changes_behind(applied))
    }

    /// Whether this node is the only one that votes, by what it had applied when it was last seen
    /// or may have applied since.
    fn is_alone(&self, node: NodeId) -> bool {
        let (applied, committed) = (self.back.applied(node), self.ledger.last());
        self.memberships.is_alone(node, applied, committed)
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
        let log = &mut self.logs[node];
        log.begin_anew(first, &self.ledger);
        if !log.is_old {
            synced_survives::check(node, log, hard_state, first, stamps)?;
        }
        log.recover(hard_state, first, stamps, &self.ledger);
        Ok(())
    }

    /// A node's role, term or leader changed in this run of its process.
    pub(crate) fn leadership(&mut self, node: NodeId, run: u64, now: Leadership) -> Check {
        if now.role != Role::Leader {
            return Ok(());
        }
        let logs = &self.logs;
        let synced = |node: NodeId| logs[node].synced_hard_state;
        self.elections.check((node, run), now.term, synced)?;
        leader_completeness::check(node, &self.logs[node], now.term, &self.ledger)
    }

    /// An entry is about to be applied on a node.
    pub(crate) fn applying(&mut self, node: NodeId, entry: &Entry, leads: bool) -> Check {
        let stamp = Stamp::of(entry);
        self.committed(node, entry.index, leads)?;
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
        if first && entry.kind == EntryKind::Data {
            self.once.check(entry, outcomes)?;
            self.acknowledged.applied(entry.index, outcomes);
        }
        Ok(first)
    }

    /// An entry that changes the membership was applied on a node, and led to this.
    pub(crate) fn membership(
        &mut self,
        node: NodeId,
        index: Index,
        membership: &Arc<Membership>,
    ) -> Check {
        self.memberships.applied(node, index, membership)
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

    /// A node's turn is over: how far it is now, and whether it leads.
    pub(crate) fn turn_ended(&mut self, node: NodeId, now: Standing, leads: bool) -> Check {
        self.committed(node, now.commit, leads)?;
        self.back.check(node, now)
    }

    /// A node takes its log for committed up to here. A leader counts by what it had applied
    /// before its turn or applied in it. If another node is the first that is known to commit,
    /// the leader ended in the middle of its turn, and may have been one change behind.
    fn committed(&mut self, node: NodeId, commit: Index, leads: bool) -> Check {
        let mut since = self.back.applied(node);
        if !leads {
            since = self.memberships.change_before(since);
        }
        let memberships = &self.memberships;
        self.ledger.extend(node, &self.logs[node], commit, |index, stamp| {
            quorum_durability::check_commit(index, stamp, &self.logs, memberships, since)
        })
    }
}

/// How far a node is, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) term: Term,
    pub(crate) commit: Index,
    pub(crate) applied: Index,
    pub(crate) revision: Revision,
}
