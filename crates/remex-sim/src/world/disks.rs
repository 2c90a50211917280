//! Faults of disks that cost what was synced. They strike only where an undamaged majority of the
//! voters is left: the last good copy is never touched.

use remex_model::NodeId;

use super::World;
use crate::node::{End, Life, Node, Running};

impl World {
    /// Whether the cluster can bear that the disk at a place no longer holds what it did; its self.
    ///
    /// The judge knows the voters and who of them is lost already. Beside that, no change may be
    /// under way: what is a majority could be another matter a moment later. A voter that would fall
    /// back to an earlier membership in a restart counts as one that is in the middle of a change.
    fn can_lose(&self, place: usize) -> Option<NodeId> {
        let judge = &self.around.judge;
        let membership = judge.memberships.latest();
        let id = self.around.selves.at(place).filter(|&id| membership.get(id).is_some())?;
        let damaged =
            |id: NodeId| judge.disks.is_lost(id) || self.home(id).is_none_or(Node::is_damaged);
        let settled =
            |id: NodeId| damaged(id) || self.home(id).is_some_and(|it| self.is_settled(it));
        let asked = |node: &Node| node.running().is_some_and(Running::is_asked_to_change);
        let fits = !damaged(id)
            && self.nodes[place].life == Life::Member
            && !membership.is_joint()
            && !judge.is_changing()
            && !self.nodes.iter().any(asked)
            && judge.disks.can_lose(id, membership, damaged)
            && membership.voters().all(settled);
        fits.then_some(id)
    }

    /// The machine on which a self lives, if it still does.
    fn home(&self, id: NodeId) -> Option<&Node> {
        let place = self.around.selves.place(id);
        (self.around.selves.at(place) == Some(id)).then(|| &self.nodes[place])
    }

    /// Whether the engine of a node holds the latest membership.
    fn is_settled(&self, node: &Node) -> bool {
        node.durable() >= self.around.judge.memberships.latest_index()
    }

    /// Whether a member is damaged, or gone and not replaced.
    pub(super) fn anything_is_lost(&self) -> bool {
        let judge = &self.around.judge;
        judge.disks.any_among(judge.memberships.latest()) || self.nodes.iter().any(Node::is_damaged)
    }

    /// Whether some node goes by an older disk and has not been told.
    pub(super) fn an_old_disk_is_used(&self) -> bool {
        let (selves, disks) = (&self.around.selves, &self.around.judge.disks);
        (0..self.nodes.len()).any(|place| selves.at(place).is_some_and(|id| disks.is_old(id)))
    }

    /// The disk is gone.
    pub(super) fn empty_disk(&mut self, place: usize) {
        if self.can_lose(place).is_some() {
            self.lose_disk(place);
        }
    }

    /// A disk is put back from a copy, if there is one that may be; otherwise one is copied.
    pub(super) fn old_disk(&mut self, place: usize) {
        let places = self.nodes.len();
        let others = (place..places).chain(0..place);
        if let Some((place, id)) =
            others.into_iter().find_map(|at| Some((at, self.can_go_back(at)?)))
        {
            self.crash(place, End::PowerCut);
            self.around.coverage.disks_put_back += 1;
            self.nodes[place].restore_copy();
            let run = self.nodes[place].runs() + 1;
            self.around.judge.disk_goes_back(id, run);
            return;
        }
        let Some(id) = self.around.selves.at(place) else { return };
        self.nodes[place].copy_disk(id, &self.around);
    }

    /// Whether the disk at a place may be put back from the copy that there is; its self.
    ///
    /// What is promised is that a node with an older disk is refused by a peer that has seen it
    /// with more, and the leader tells that to the others once a second. So the copy is put back
    /// only when every other member, whichever of its files it goes on from, knows enough; before
    /// that there is nothing that could notice it. Nor is there where it once was the only voter:
    /// then it need not ask anybody.
    fn can_go_back(&self, place: usize) -> Option<NodeId> {
        let id = self.can_lose(place)?;
        let (copied, began) = self.nodes[place].copied(id)?;
        let knows = |other: NodeId| {
            let home = self.home(other).filter(|_| other != id);
            home.is_none_or(|home| self.is_settled(home) && home.would_refuse(id, copied))
        };
        let memberships = &self.around.judge.memberships;
        let alone = memberships.is_alone(id, began, copied.1);
        let all_know = memberships.latest().members().all(|(member, _)| knows(member.id));
        (all_know && !alone).then_some(id)
    }

    /// Something on the disk changes by itself: in the log, which costs the node what it has
    /// promised, or in the engine, which another member can give it again.
    pub(super) fn rot(&mut self, place: usize) {
        let Some(id) = self.can_lose(place) else { return };
        if self.around.dice.chance(5_000) {
            self.around.coverage.rotten_engines += 1;
            self.nodes[place].rot_engine();
        } else if self.nodes[place].rot_log() {
            self.around.coverage.rotten_logs += 1;
            self.around.judge.disks.lose(id);
        }
    }

    /// A write of the log went to the wrong place, as the power fails.
    pub(super) fn misdirected_write(&mut self, place: usize) {
        let Some(id) = self.can_lose(place) else { return };
        self.crash(place, End::PowerCut);
        if self.nodes[place].misdirect() {
            self.around.coverage.misdirected_writes += 1;
            self.around.judge.disks.lose(id);
        }
    }
}
