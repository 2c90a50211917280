//! Who comes, who goes, and who decides about that: the operator, and nodes that ask to be taken in.

use remex_model::{Member, MemberChange, NodeId, Part};

use super::World;
use crate::around::Happening;
use crate::node::{End, Life};
use crate::plant::Plant;

/// Mean pause between two times that a node asks to be taken in, in microseconds.
const ASK_US: u64 = 300_000;

impl World {
    /// Somebody wants the membership changed, and asks a node that believes to lead, or now and
    /// then any other.
    pub(super) fn change_members(&mut self) {
        // An operator sees that a member is gone for good, and waits until it is replaced.
        if self.anything_is_lost() {
            return;
        }
        let around = &mut self.around;
        if around.dice.chance(3_000) && self.add_machine() {
            return;
        }
        let Some(place) = self.whom_to_ask() else { return };
        let around = &mut self.around;
        let leader = self.nodes[place].running_mut().expect("it was just looked at");
        let membership = leader.core().membership().clone();
        let members: Vec<(&Member, Part)> = membership.members().collect();
        if members.is_empty() {
            return;
        }
        let (member, part) = members[around.dice.below(members.len())];
        let change = match around.dice.below(10) {
            0..5 => MemberChange::Remove(member.id),
            5..7 => MemberChange::Demote(member.id),
            _ => MemberChange::Update(Member { promote: part == Part::Learner, ..member.clone() }),
        };
        let force = around.dice.chance(2_000);
        if !force && member.id == leader.id() && around.dice.chance(7_000) {
            // Leadership goes first; the change is asked for another time.
            leader.put(remex_consensus::Event::Transfer { to: None }, around);
            return;
        }
        around.coverage.changes_asked += 1;
        around.trace.line(around.now_us, || format!("n{place} is asked for {change:?}"));
        leader.change(vec![change], force, around);
    }

    /// A machine on which nobody lives is to become a member. False if there is none.
    fn add_machine(&mut self) -> bool {
        let apart: Vec<usize> =
            (0..self.nodes.len()).filter(|&node| self.nodes[node].life == Life::Apart).collect();
        if apart.is_empty() {
            return false;
        }
        let place = apart[self.around.dice.below(apart.len())];
        let promote = self.around.dice.chance(8_000);
        self.settle(place, promote);
        true
    }

    /// A new self lives at a place, with nothing on its disk, and asks to be taken in.
    fn settle(&mut self, place: usize, promote: bool) {
        let around = &mut self.around;
        let id = around.selves.settle(place);
        around.judge.born();
        self.nodes[place].lose_disk(Life::Asking { promote });
        around.trace.line(around.now_us, || format!("n{place} is node {id} from now on"));
        let pause = around.dice.around(ASK_US);
        around.after(pause, Happening::Ask { node: place });
    }

    /// A node whose disk has lost what it promised comes back as somebody new.
    pub(super) fn renew(&mut self, place: usize) {
        let around = &mut self.around;
        around.coverage.new_selves += 1;
        if let Some(old) = around.selves.at(place) {
            around.judge.gone(old);
        }
        self.settle(place, true);
    }

    /// Nobody lives at a place any more: its self was removed.
    pub(super) fn vacate(&mut self, place: usize) {
        let around = &mut self.around;
        if let Some(id) = around.selves.at(place) {
            around.judge.gone(id);
        }
        around.selves.leave(place);
        self.nodes[place].lose_disk(Life::Apart);
    }

    /// A disk is lost, with whatever was on it.
    pub(super) fn lose_disk(&mut self, place: usize) {
        self.crash(place, End::PowerCut);
        self.around.coverage.disks_lost += 1;
        if self.around.plant == Some(Plant::WipedKeepsId) {
            self.nodes[place].lose_disk(Life::Member);
            return;
        }
        self.renew(place);
    }

    /// Some node that believes to lead, or rarely another one.
    fn whom_to_ask(&mut self) -> Option<usize> {
        let any = self.around.dice.chance(500);
        let fits = |&place: &usize| {
            self.nodes[place].running().is_some_and(|running| any || running.leads())
        };
        let places: Vec<usize> = (0..self.nodes.len()).filter(fits).collect();
        (!places.is_empty()).then(|| places[self.around.dice.below(places.len())])
    }

    /// A node asks to be taken in, and does so again until it is.
    pub(super) fn ask(&mut self, node: usize) {
        let Life::Asking { promote } = self.nodes[node].life else { return };
        let Some(id) = self.around.selves.at(node) else { return };
        let pause = self.around.dice.around(ASK_US);
        self.around.after(pause, Happening::Ask { node });
        // Nobody new comes in who could not know yet what an older disk has lost: see `disks.rs`.
        if self.an_old_disk_is_used() {
            return;
        }
        let Some(place) = self.whom_to_ask() else { return };
        let around = &mut self.around;
        if around.network.is_cut(around.now_us, node, place)
            || around.network.is_cut(around.now_us, place, node)
        {
            return;
        }
        let leader = self.nodes[place].running_mut().expect("it was just looked at");
        let membership = leader.core().membership().clone();
        if membership.get(id).is_some() {
            let delay = around.network.round_trip();
            around.after(delay, Happening::TakenIn { node, id });
            return;
        }
        if membership.was_removed(id) {
            self.vacate(node);
            return;
        }
        let member = around.selves.member(id, promote);
        let add = MemberChange::Add(member.clone());
        let changes = match membership.named(&member.name) {
            None => vec![add],
            Some((old, _)) if is_active(leader.core().progress(), old.id) => return,
            Some((old, Part::Learner)) => vec![MemberChange::Remove(old.id)],
            Some((old, _)) => vec![MemberChange::Remove(old.id), add],
        };
        around.coverage.changes_asked += 1;
        around.trace.line(around.now_us, || format!("n{node} asks n{place}: {changes:?}"));
        leader.change(changes, false, around);
    }

    /// A node is told that it is a member now: it starts.
    pub(super) fn taken_in(&mut self, node: usize, id: NodeId) {
        let asking = matches!(self.nodes[node].life, Life::Asking { .. });
        if asking && self.around.selves.at(node) == Some(id) {
            self.around.coverage.taken_in += 1;
            self.nodes[node].life = Life::Member;
            self.around.after(1, Happening::Restart { node });
        }
    }
}

fn is_active(progress: Vec<remex_consensus::Progress>, id: NodeId) -> bool {
    progress.into_iter().any(|member| member.id == id && member.active)
}
