//! Disks that lost what was synced: the judge knows of each, and whether the cluster can bear it.
//!
//! A self whose disk is lost, damaged or put back from a copy must never vote or acknowledge again
//! (`remex_consensus::Marks`; design §3: "a node whose disk was wiped or rolled back is noticed").
//! As long as an undamaged majority of the voters is left, nothing is lost with it: whatever was
//! committed is on one of these, and only these elect.

use std::collections::{BTreeMap, BTreeSet};

use remex_consensus::{Message, Promise};
use remex_model::{Membership, NodeId};

use super::memberships::majority;
use crate::violation::Check;

const NAME: &str = "old_disk_promises";

/// What became of whose disk.
#[derive(Debug, Default)]
pub(crate) struct LostDisks {
    /// Selves that do not count any more.
    lost: BTreeSet<NodeId>,
    /// Selves that run from an older disk, with the first such run.
    old: BTreeMap<NodeId, u64>,
}

impl LostDisks {
    pub(crate) fn lose(&mut self, node: NodeId) {
        self.lost.insert(node);
    }

    /// From this run on, the node goes by an older disk.
    pub(crate) fn go_back(&mut self, node: NodeId, run: u64) {
        self.lost.insert(node);
        self.old.insert(node, run);
    }

    pub(crate) fn is_lost(&self, node: NodeId) -> bool {
        self.lost.contains(&node)
    }

    pub(crate) fn is_old(&self, node: NodeId) -> bool {
        self.old.contains_key(&node)
    }

    /// Whether a member's disk is lost, and it has not been replaced.
    pub(crate) fn any_among(&self, membership: &Membership) -> bool {
        self.lost.iter().any(|&id| membership.get(id).is_some())
    }

    /// Whether an undamaged majority is left without this one: of the voters, and also if the
    /// leader, which does not know yet, makes voters of damaged learners.
    pub(crate) fn can_lose(
        &self,
        node: NodeId,
        membership: &Membership,
        damaged: impl Fn(NodeId) -> bool,
    ) -> bool {
        let intact = |id: NodeId| id != node && !damaged(id);
        let (mut voters, mut left) = (0, 0);
        for (member, part) in membership.members() {
            let soon = member.promote && !intact(member.id);
            voters += usize::from(part.votes() || soon);
            left += usize::from(part.votes() && intact(member.id));
        }
        majority(membership, intact) && left * 2 > voters
    }

    /// A node has taken a message in from another one.
    pub(crate) fn heard(&self, from: NodeId, run: u64, message: &Message) -> Check {
        let Message::Raft(raft) = message else { return Ok(()) };
        if self.old.get(&from).is_none_or(|&first| run < first) {
            return Ok(());
        }
        match raft.promise() {
            Promise::Nothing | Promise::Term { .. } => Ok(()),
            promise @ (Promise::Vote { .. } | Promise::Entries { .. }) => {
                Err((NAME, format!("node {from}, on an older disk, is heard with {promise:?}")))
            }
        }
    }
}
