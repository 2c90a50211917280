//! Looking at the other members once a second: whether their states agree with this node's, and
//! whether the leader has room.

use remex_consensus::{Event, Marks};
use remex_model::NodeId;

use super::Driver;
use crate::checkpoints::Difference;
use crate::ending::{Damage, Damaged, Ending};

/// Ticks between two looks: about a second.
const WATCH_TICKS: u64 = 20;

impl Driver {
    /// A tick passed.
    pub(super) fn watch_others(&mut self) -> Result<(), Ending> {
        // Every time: a node that comes back with an old disk is to be noticed when it connects.
        let mut marks = Marks::default();
        self.core.note_marks(&mut marks);
        self.cluster.note_marks(&marks);
        self.watch_ticks += 1;
        if self.watch_ticks < WATCH_TICKS {
            return Ok(());
        }
        self.watch_ticks = 0;
        let disk = self.board.snapshot().disk;
        self.cluster.set_own(self.checkpoints.next_to_tell(), disk);
        let leader = self.core.leadership().leader;
        let mut no_space = disk.full;
        let mut with_room = None;
        let voters: Vec<NodeId> = self.core.membership().voters().collect();
        for peer in self.cluster.peers().values() {
            let Some(vitals) = peer.vitals() else { continue };
            no_space |= leader == Some(peer.id) && vitals.disk.full;
            if !vitals.disk.full && voters.contains(&peer.id) {
                with_room = Some(peer.id);
            }
            let Some(checkpoint) = vitals.checkpoint else { continue };
            if let Some(difference) = self.checkpoints.compare(peer.id, checkpoint, &voters) {
                self.meters.state_mismatches.add();
                self.differs(&difference)?;
            }
        }
        self.board.set_no_space(no_space);
        // A leader that cannot write cannot apply either: somebody else leads better.
        if let Some(to) = with_room.filter(|_| self.log.is_held_up()) {
            self.follow_up.push(Event::Transfer { to: Some(to) });
        }
        Ok(())
    }

    /// Equal entries have led to different states.
    fn differs(&self, difference: &Difference) -> Result<(), Ending> {
        match difference {
            Difference::Mine { index, mine, theirs } => {
                let detail = format!(
                    "the state of this node differs from that of a majority at entry {index}: its \
                     hash is {mine:016x}, theirs {theirs:016x}"
                );
                Err(Ending::Damaged(Damage { part: Damaged::Engine, detail }))
            }
            Difference::Theirs { index, member } => {
                let member = self.cluster.name(*member);
                tracing::error!(%member, %index, "the state of a member differs from this node's");
                Ok(())
            }
        }
    }
}
