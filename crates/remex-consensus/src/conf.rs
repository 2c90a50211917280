//! The membership in the library's form.
//!
//! The library never hears of members that are awaited ([`Member::is_awaited`]): there is nobody
//! to send anything to, and nobody whose progress could be known.

use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
};
use remex_model::{Member, Membership, NodeId, Part};

/// The members that the library knows. A voter is always one of them.
fn members(membership: &Membership) -> impl Iterator<Item = (&Member, Part)> {
    membership.members().filter(|(member, part)| !(member.is_awaited() && *part == Part::Learner))
}

/// A member's part, as far as the library knows it.
fn part(membership: &Membership, id: NodeId) -> Option<Part> {
    members(membership).find(|(member, _)| member.id == id).map(|(_, part)| part)
}

/// The library's form of a membership.
pub(crate) fn conf_state(membership: &Membership) -> ConfState {
    let ids = |ids: &mut dyn Iterator<Item = NodeId>| ids.map(NodeId::get).collect::<Vec<u64>>();
    let with = |wanted: Part| {
        let mut members = members(membership).filter(move |(_, part)| *part == wanted);
        ids(&mut members.by_ref().map(|(member, _)| member.id))
    };
    let mut state = ConfState::default();
    state.set_voters(ids(&mut membership.voters()));
    if membership.is_joint() {
        state.set_voters_outgoing(ids(&mut membership.old_voters()));
    }
    state.set_learners(with(Part::Learner));
    state.set_learners_next(with(Part::Demoted));
    state
}

/// Whether the library has this membership. It keeps no order.
pub(crate) fn agrees(mut found: ConfState, membership: &Membership) -> bool {
    let sort = |state: &mut ConfState| {
        state.mut_voters().sort_unstable();
        state.mut_voters_outgoing().sort_unstable();
        state.mut_learners().sort_unstable();
        state.mut_learners_next().sort_unstable();
    };
    sort(&mut found);
    // Ours is sorted: members come by id.
    found == conf_state(membership)
}

/// The change that leads the library from one membership to the next. Only the one that leaves a
/// joint membership is empty.
///
/// It is made from the two memberships rather than from the steps between them: whatever the steps
/// were, the library ends up with the membership that all nodes agree on.
pub(crate) fn conf_change(before: &Membership, after: &Membership) -> ConfChangeV2 {
    let mut change = ConfChangeV2::default();
    if before.is_joint() {
        return change;
    }
    let mut singles: Vec<ConfChangeSingle> = Vec::new();
    for (member, now) in members(after) {
        if part(before, member.id) == Some(now) {
            continue;
        }
        let kind = match now {
            Part::Voter | Part::Incoming => ConfChangeType::AddNode,
            Part::Learner | Part::Demoted => ConfChangeType::AddLearnerNode,
            Part::Leaving => ConfChangeType::RemoveNode,
        };
        singles.push(single(member.id.get(), kind));
    }
    for (member, _) in members(before).filter(|(member, _)| part(after, member.id).is_none()) {
        singles.push(single(member.id.get(), ConfChangeType::RemoveNode));
    }
    if singles.is_empty() {
        // An update of a name or an address, or of who is awaited. The library passes over node 0,
        // and takes a change without steps for the one that leaves a joint membership.
        singles.push(single(0, ConfChangeType::AddNode));
    }
    change.set_changes(singles.into());
    if after.is_joint() {
        change.set_transition(ConfChangeTransition::Explicit);
    }
    change
}

fn single(id: u64, kind: ConfChangeType) -> ConfChangeSingle {
    let mut single = ConfChangeSingle { node_id: id, ..ConfChangeSingle::default() };
    single.set_change_type(kind);
    single
}
