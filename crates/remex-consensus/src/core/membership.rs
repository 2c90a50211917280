//! Changing who belongs to the cluster.
//!
//! A change is an entry of the log. Every node applies it at the same place by the same rule
//! ([`Membership::after`]) and tells the library what came of it; that both agree is checked every
//! time. An entry that does not fit changes nothing, on no node, and the library never hears of it.
//!
//! # Why it is safe that a change takes effect when it is applied
//!
//! Raft's thesis lets it take effect when it is appended. Applied later, it could be that a
//! majority of the old voters, none of which knows that the joint membership was ever committed,
//! elects a leader beside that of the new voters (the end of `RethinkDB`'s story). That is
//! excluded here in two steps. The leader proposes to leave the joint membership only after it has
//! applied it, and every message with that entry says that the joint one is committed; so **whoever
//! has the leaving entry in its log knows that the joint one is committed**, after a restart too,
//! because entries and the commit index that came with them are synced in one write. Whoever knows
//! applies it before it stands for election. And whoever lacks the leaving entry is not elected by
//! a majority of the old voters, a majority of which has it.
//!
//! # Why it lasts
//!
//! Whoever leaves goes as soon as it hears that the leaving entry is committed. Those who stay must
//! not need its vote any more then, not even after a crash of all of them: of two voters of which
//! one leaves, the other one is never elected again unless it knows that it is alone. So a node
//! applies the leaving entry, and a leader lets anybody hear that it is committed, only when it has
//! synced that it is ([`Parting`]). And **a leader that is to lose its vote commits nothing**, not even the leaving
//! entry that it may have been elected with: it brings one that stays up to date and hands over to it
//! ([`Core::hand_on`]), and that one commits, syncs and tells.

use std::sync::Arc;

use raft::eraftpb::{self, MessageType};
use raft::{ProgressState, StateRole};
use remex_model::{MemberChange, Membership, MembershipChange, NodeId, Part, ProposalId};

use super::Core;
use crate::conf::{agrees, conf_change};
use crate::entry::payload;
use crate::{ChangeRefusal, Effect, EntryKind};

/// A learner that lacks at most this many committed entries has caught up: what it lacks is on its
/// way to it.
const PROMOTE_LAG_ENTRIES: u64 = 16;

/// Names the changes that the leader proposes by itself: nobody waits for them.
const NOBODY: ProposalId = ProposalId { session: 0, sequence: 0 };

/// Committed entries, the first of which leaves a joint membership, that wait until it is synced
/// that they are committed.
#[derive(Debug, Default)]
pub(super) struct Parting {
    pub(super) entries: Vec<eraftpb::Entry>,
    /// The write that they wait for.
    pub(super) number: u64,
    /// Up to here it was synced when this run began.
    pub(super) known: u64,
}

/// Whether an entry leaves a joint membership. One that cannot be read does not.
pub(super) fn leaves(entry: &eraftpb::Entry) -> bool {
    EntryKind::of_raft(entry) == EntryKind::Membership
        && MembershipChange::decode(payload(entry).clone())
            .is_ok_and(|change| change.changes.is_empty())
}

impl Core {
    /// Proposes a change.
    pub(super) fn change(
        &mut self,
        sequence: u64,
        changes: &[MemberChange],
        force: bool,
    ) -> Result<(), ChangeRefusal> {
        if !self.leads() {
            return Err(ChangeRefusal::NotLeader);
        }
        if self.is_changing() || self.raft.raft.lead_transferee.is_some() {
            return Err(ChangeRefusal::InProgress);
        }
        let id = ProposalId { session: self.config.session, sequence };
        self.propose_change(id, changes, force)
    }

    /// Whether a change is not finished, or may be in the log.
    fn is_changing(&self) -> bool {
        self.membership.is_joint() || self.raft.raft.has_pending_conf()
    }

    fn propose_change(
        &mut self,
        id: ProposalId,
        changes: &[MemberChange],
        force: bool,
    ) -> Result<(), ChangeRefusal> {
        let after = self.membership.after(changes)?;
        if !force && after.is_joint() {
            if !after.get(self.id()).is_some_and(|(_, part)| part.votes()) {
                return Err(ChangeRefusal::IsLeader);
            }
            self.check_quorum(&after)?;
        }
        let context = MembershipChange { id, changes: changes.to_vec() }.encode();
        let change = conf_change(&self.membership, &after);
        let pending = self.raft.raft.pending_conf_index;
        self.raft.propose_conf_change(context, change).map_err(|_dropped| {
            // The library notes the change before it drops it, and would wait for it.
            self.raft.raft.pending_conf_index = pending;
            ChangeRefusal::Busy
        })
    }

    /// Checks that majorities of the old and of the new voters can be reached.
    fn check_quorum(&self, after: &Membership) -> Result<(), ChangeRefusal> {
        let check = |voters: Vec<NodeId>| {
            let needed = voters.len() / 2 + 1;
            let reachable = voters.into_iter().filter(|&id| self.is_active(id)).count();
            if reachable < needed {
                return Err(ChangeRefusal::WouldLoseQuorum { reachable, needed });
            }
            Ok(())
        };
        check(after.voters().collect())?;
        check(after.old_voters().collect())
    }

    /// Whether a member can be reached, as far as this node knows.
    pub(super) fn is_active(&self, id: NodeId) -> bool {
        id == self.id() || self.contacts.is_active(id)
    }

    /// Proposes to leave a joint membership as soon as that is possible: whoever leads does so,
    /// also if its predecessor began the change. One that is leaving itself hands over instead: it
    /// could not see to it that those who stay know that it is not needed any more.
    pub(super) fn leave_joint(&mut self) {
        if !self.leads() || !self.membership.is_joint() {
            return;
        }
        if self.membership.get(self.id()).is_some_and(|(_, part)| part.votes()) {
            if !self.raft.raft.has_pending_conf() {
                // If the log takes no proposals, it is tried again at the next event.
                drop(self.propose_change(NOBODY, &[], true));
            }
        } else if self.raft.raft.lead_transferee.is_none() {
            self.transfer(None);
        }
    }

    /// Whether this node leads and will have no vote once the joint membership is left.
    pub(super) fn leads_leaving(&self) -> bool {
        let leaves = |(_, part): (_, Part)| part.voted() && !part.votes();
        self.leads() && self.membership.get(self.id()).is_some_and(leaves)
    }

    /// Takes an acknowledgement while this node leads and leaves: it counts for nothing that is not
    /// committed yet, so that nothing comes to be committed. Who was chosen to lead is told to as soon
    /// as it has everything; the library would wait for ever.
    pub(super) fn hand_on(
        &mut self,
        from: NodeId,
        mut message: eraftpb::Message,
        effects: &mut Vec<Effect>,
    ) {
        if message.reject || message.term != self.raft.raft.term {
            // That of a newer term ends the leadership: nothing is sent on then.
            self.step_raft(message);
            return;
        }
        let log = &self.raft.raft.raft_log;
        let (acknowledged, last) = (message.index, log.last_index());
        message.index = acknowledged.min(log.committed);
        self.step_raft(message);
        self.send_on(from, acknowledged, last);
        if acknowledged == last && self.raft.raft.lead_transferee == Some(from.get()) {
            let mut lead = eraftpb::Message::default();
            lead.set_msg_type(MessageType::MsgTimeoutNow);
            (lead.from, lead.to) = (self.id().get(), from.get());
            lead.term = self.raft.raft.term;
            self.send_raft(lead, effects);
        }
    }

    /// Sends what follows an acknowledged entry, as the library does for one that it counts.
    fn send_on(&mut self, to: NodeId, acknowledged: u64, last: u64) {
        let raft = &mut self.raft.raft;
        let Some(progress) = raft.mut_prs().get_mut(to.get()) else { return };
        match progress.state {
            ProgressState::Snapshot => return,
            ProgressState::Probe => progress.become_replicate(),
            ProgressState::Replicate => {}
        }
        progress.ins.free_to(acknowledged);
        progress.next_idx = progress.next_idx.max(acknowledged + 1);
        if progress.next_idx <= last {
            raft.send_append(to.get());
        }
    }

    /// Makes a learner that has caught up a voter, one at a time.
    pub(super) fn promote(&mut self) {
        if self.is_changing() {
            return;
        }
        let log = &self.raft.raft.raft_log;
        let (commit, first_index) = (log.committed, log.first_index());
        let ready = self.membership.members().find_map(|(member, part)| {
            if !(member.promote && part == Part::Learner && self.is_active(member.id)) {
                return None;
            }
            let progress = self.raft.raft.prs().get(member.id.get())?;
            let near = progress.matched + PROMOTE_LAG_ENTRIES >= commit;
            let served = progress.matched + 1 >= first_index;
            let fits = near && served && progress.state != ProgressState::Snapshot;
            fits.then_some(member.id)
        });
        if let Some(id) = ready {
            // If it is refused, it is tried again at the next tick.
            drop(self.propose_change(NOBODY, &[MemberChange::Promote(id)], false));
        }
    }

    /// Applies a change. Answers whether it removed this node.
    pub(super) fn apply_change(&mut self, entry: &eraftpb::Entry) -> bool {
        match self.apply_decoded(entry) {
            Ok(removed) => removed,
            Err(reason) => {
                let reason = format!("the membership of entry {}: {reason}", entry.index);
                self.failure.get_or_insert(Effect::Fatal { reason });
                false
            }
        }
    }

    fn apply_decoded(&mut self, entry: &eraftpb::Entry) -> Result<bool, String> {
        let change = MembershipChange::decode(payload(entry).clone());
        let change = change.map_err(|error| error.to_string())?;
        // What does not fit is the same for everybody, and the state machine says so to whoever
        // waits.
        let Ok(after) = self.membership.after(&change.changes) else { return Ok(false) };
        let found = self
            .raft
            .apply_conf_change(&conf_change(&self.membership, &after))
            .map_err(|error| error.to_string())?;
        if !agrees(found, &after) {
            return Err(format!("the library has not come to {after:?}"));
        }
        let me = self.id();
        let removed = self.membership.get(me).is_some() && after.get(me).is_none();
        self.membership = Arc::new(after);
        let raft = &mut self.raft.raft;
        if !raft.promotable() && raft.state != StateRole::Follower {
            // A leader that is none any more. The library leaves this to its user.
            let term = raft.term;
            raft.become_follower(term, 0);
        }
        Ok(removed)
    }

    /// Hands leadership over.
    pub(super) fn transfer(&mut self, to: Option<NodeId>) {
        if !self.leads() {
            return;
        }
        let me = self.id();
        let progress = self.progress();
        let best = progress
            .iter()
            .filter(|member| member.id != me && member.active && member.part.votes())
            .filter(|member| to.is_none_or(|to| to == member.id))
            .max_by_key(|member| member.matched);
        if let Some(member) = best {
            self.raft.transfer_leader(member.id.get());
        }
    }
}
