//! Who belongs to the cluster, and how that changes: replicated state like everything else.
//!
//! A [`Membership`] is changed only by applying a [`MembershipChange`] from the log, on every node
//! at the same entry. The rules are those of joint consensus (Raft thesis §4.3): a change that
//! touches voters first makes the *joint* membership, in which majorities of the old and of the new
//! voters must both agree; a second, empty change then leaves it. Changes that only touch learners
//! take effect at once.
//!
//! A member may be *awaited* ([`Member::is_awaited`]): somebody named a node that does not run yet.
//! It is a learner that consensus never hears of; the node that bears its name takes its place when
//! it is added.

mod encoding;

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use crate::{Incarnation, NodeId, ProposalId};

/// Removed members that are remembered, so that they can be told when they come back.
const REMOVED_MAX: usize = 256;

/// A member as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its identity; never used again once it is removed.
    pub id: NodeId,
    /// Identity of its data directory; 0 while the node is awaited, see [`Member::is_awaited`].
    pub incarnation: Incarnation,
    /// Its label. No two members have the same.
    pub name: String,
    /// Where peers reach it, as `host:port`.
    pub peer_address: String,
    /// Where clients reach it, as a URL; empty if it did not say.
    pub client_url: String,
    /// While it is a learner: whether the leader makes it a voter as soon as it has caught up.
    pub promote: bool,
}

/// A member's part in decisions. In a joint membership the old and the new part differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Receives the log and counts for no majority.
    Learner,
    /// Counts for the majority, before and after.
    Voter,
    /// Joint: counts for the new majority only.
    Incoming,
    /// Joint: counts for the old majority only, and will be a learner.
    Demoted,
    /// Joint: counts for the old majority only, and will be gone.
    Leaving,
}

impl Part {
    /// Whether it counts for the new (or only) majority.
    #[must_use]
    pub fn votes(self) -> bool {
        matches!(self, Self::Voter | Self::Incoming)
    }

    /// Whether it counts for the old majority; without a joint membership there is no difference.
    #[must_use]
    pub fn voted(self) -> bool {
        matches!(self, Self::Voter | Self::Demoted | Self::Leaving)
    }
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// A new member, as a learner; in the place of an awaited one of its name.
    Add(Member),
    /// A learner becomes a voter.
    Promote(NodeId),
    /// A voter becomes a learner, and a learner stays one.
    Demote(NodeId),
    /// A member goes.
    Remove(NodeId),
    /// A member's name or addresses, or whether it is to be promoted, are different now. Its
    /// incarnation stays: another data directory is another member.
    Update(Member),
}

/// What an entry of the log that changes the membership says. Without changes it leaves the joint
/// membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    /// Who waits for it.
    pub id: ProposalId,
    /// The steps, all or none.
    pub changes: Vec<MemberChange>,
}

/// Why a change does not fit the membership. The same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MembershipError {
    /// The membership is joint, and only leaving it is possible.
    #[error("another change of the membership is under way")]
    Joint,
    /// The membership is not joint, so there is nothing to leave.
    #[error("no change of the membership is under way")]
    NotJoint,
    /// A member of this id or name is there already.
    #[error("the cluster has a member {name} ({id}) already")]
    Exists {
        /// Its id.
        id: NodeId,
        /// Its name.
        name: String,
    },
    /// There is no such member.
    #[error("the cluster has no member {0}")]
    NotFound(NodeId),
    /// The member was removed for ever.
    #[error("node {0} was removed from the cluster and cannot come back under this id")]
    Removed(NodeId),
    /// Nobody would be left to vote.
    #[error("the cluster would be left without a voter")]
    NoVoters,
    /// The member is awaited: there is nobody yet who could vote.
    #[error("node {0} is awaited and has not appeared yet")]
    Awaited(NodeId),
    /// Several steps at once are only possible if they touch voters.
    #[error("learners change one at a time")]
    TooMany,
}

/// Who belongs to the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    members: BTreeMap<NodeId, (Member, Part)>,
    /// The last ones that were removed, oldest first.
    removed: VecDeque<(NodeId, String)>,
}

impl Membership {
    /// The membership that a cluster is founded with: all voters.
    #[must_use]
    pub fn founded(members: impl IntoIterator<Item = Member>) -> Self {
        let voter = |member: Member| (member.id, (member, Part::Voter));
        Self { members: members.into_iter().map(voter).collect(), removed: VecDeque::new() }
    }

    /// Whether it has nobody: the membership of a node that has not learned it yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// All members and their parts, by id.
    pub fn members(&self) -> impl Iterator<Item = (&Member, Part)> {
        self.members.values().map(|(member, part)| (member, *part))
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// A member and its part.
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<(&Member, Part)> {
        self.members.get(&id).map(|(member, part)| (member, *part))
    }

    /// The member of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<(&Member, Part)> {
        self.members().find(|(member, _)| member.name == name)
    }

    /// The voters of the new (or only) majority, by id.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> {
        self.with(Part::votes)
    }

    /// The voters of the old majority, by id; the same as [`Membership::voters`] unless joint.
    pub fn old_voters(&self) -> impl Iterator<Item = NodeId> {
        self.with(Part::voted)
    }

    fn with(&self, part: impl Fn(Part) -> bool) -> impl Iterator<Item = NodeId> {
        let fits = move |(&id, (_, its)): (&NodeId, &(Member, Part))| part(*its).then_some(id);
        self.members.iter().filter_map(fits)
    }

    /// Whether majorities of the old and of the new voters are both needed at the moment.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        let joint = |part| matches!(part, Part::Incoming | Part::Demoted | Part::Leaving);
        self.members.values().any(|(_, part)| joint(*part))
    }

    /// Whether the node was a member once and was removed (as far as is remembered).
    #[must_use]
    pub fn was_removed(&self, id: NodeId) -> bool {
        self.removed.iter().any(|(removed, _)| *removed == id)
    }

    /// Applies a change.
    ///
    /// # Errors
    /// If it does not fit. The membership is then as before.
    pub fn apply(&mut self, changes: &[MemberChange]) -> Result<(), MembershipError> {
        let next = self.after(changes)?;
        *self = next;
        Ok(())
    }

    /// The membership that a change leads to.
    ///
    /// # Errors
    /// If the change does not fit.
    pub fn after(&self, changes: &[MemberChange]) -> Result<Self, MembershipError> {
        let mut next = self.clone();
        if changes.is_empty() {
            next.leave_joint()?;
            return Ok(next);
        }
        if self.is_joint() {
            return Err(MembershipError::Joint);
        }
        for change in changes {
            next.step(change)?;
        }
        if next.voters().next().is_none() {
            return Err(MembershipError::NoVoters);
        }
        if changes.len() > 1 && !next.is_joint() {
            return Err(MembershipError::TooMany);
        }
        Ok(next)
    }

    fn step(&mut self, change: &MemberChange) -> Result<(), MembershipError> {
        match change {
            MemberChange::Add(member) => {
                if self.was_removed(member.id) {
                    return Err(MembershipError::Removed(member.id));
                }
                if let Some(awaited) = self.awaited_for(member) {
                    self.forget(awaited);
                }
                self.check_free(member, None)?;
                self.members.insert(member.id, (member.clone(), Part::Learner));
            }
            MemberChange::Promote(id) => {
                if self.members.get(id).is_some_and(|(member, _)| member.is_awaited()) {
                    return Err(MembershipError::Awaited(*id));
                }
                let part = self.part(*id)?;
                *part = match *part {
                    Part::Learner => Part::Incoming,
                    Part::Demoted => Part::Voter,
                    other => other,
                };
            }
            MemberChange::Demote(id) => {
                let part = self.part(*id)?;
                *part = match *part {
                    Part::Voter => Part::Demoted,
                    Part::Incoming => Part::Learner,
                    other => other,
                };
                // Otherwise the leader would make it a voter again at once.
                if let Some((member, _)) = self.members.get_mut(id) {
                    member.promote = false;
                }
            }
            MemberChange::Remove(id) => {
                let part = self.part(*id)?;
                match *part {
                    Part::Voter | Part::Demoted => *part = Part::Leaving,
                    Part::Leaving => {}
                    Part::Learner | Part::Incoming => self.forget(*id),
                }
            }
            MemberChange::Update(member) => {
                self.check_free(member, Some(member.id))?;
                self.part(member.id)?;
                if let Some((known, _)) = self.members.get_mut(&member.id) {
                    *known = Member { incarnation: known.incarnation, ..member.clone() };
                }
            }
        }
        Ok(())
    }

    /// The member in whose place a node comes that was awaited.
    fn awaited_for(&self, node: &Member) -> Option<NodeId> {
        let (awaited, _) = self.named(&node.name)?;
        let comes = awaited.is_awaited() && !node.is_awaited() && self.get(node.id).is_none();
        comes.then_some(awaited.id)
    }

    /// Checks that id and name are not taken, but by the member `but`. The name of one that is
    /// leaving is free.
    fn check_free(&self, member: &Member, but: Option<NodeId>) -> Result<(), MembershipError> {
        let taken = self.members.values().find(|(other, part)| {
            Some(other.id) != but
                && (other.id == member.id || (other.name == member.name && *part != Part::Leaving))
        });
        match taken {
            Some((other, _)) => {
                Err(MembershipError::Exists { id: other.id, name: other.name.clone() })
            }
            None => Ok(()),
        }
    }

    fn part(&mut self, id: NodeId) -> Result<&mut Part, MembershipError> {
        match self.members.get_mut(&id) {
            Some((_, part)) => Ok(part),
            None => Err(MembershipError::NotFound(id)),
        }
    }

    fn forget(&mut self, id: NodeId) {
        // Nobody ever bears the id of an awaited member, so nobody has to be told that it is gone.
        if let Some((member, _)) = self.members.remove(&id).filter(|(it, _)| !it.is_awaited()) {
            self.removed.push_back((id, member.name));
            if self.removed.len() > REMOVED_MAX {
                self.removed.pop_front();
            }
        }
    }

    fn leave_joint(&mut self) -> Result<(), MembershipError> {
        if !self.is_joint() {
            return Err(MembershipError::NotJoint);
        }
        let leaving: Vec<NodeId> = self.with(|part| part == Part::Leaving).collect();
        for id in leaving {
            self.forget(id);
        }
        for (_, part) in self.members.values_mut() {
            *part = match *part {
                Part::Incoming => Part::Voter,
                Part::Demoted => Part::Learner,
                other => other,
            };
        }
        Ok(())
    }
}

impl Member {
    /// Whether the member stands for a node that has not appeared yet: it was named, with its
    /// address, before it ran. It keeps its name free for that node, and counts for nothing: it has
    /// no data directory (its incarnation is 0, which no directory has), is always a learner, and
    /// is sent nothing.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.incarnation == Incarnation(0)
    }
}

#[cfg(test)]
mod tests;
