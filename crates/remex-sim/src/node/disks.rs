//! Disks that are lost, put back from a copy, or damaged; and what a node does that finds out.

use remex_consensus::Marks;
use remex_log::Log;
use remex_model::{Index, NodeId, Term};

use super::{Life, Media, Node};
use crate::around::Around;

/// A copy of everything on a machine's disk.
#[derive(Debug)]
pub(super) struct Copy {
    of: NodeId,
    /// The last entry whose effect its engine holds.
    durable: Index,
    /// Term and last entry of its log.
    end: (Term, Index),
    media: Media,
    remembered: [Marks; 2],
}

impl Node {
    /// Copies the disk as it is, for later, unless there is a copy of what this self has. Nor if its
    /// engine is damaged or a snapshot waits to be installed: whoever begins with another's state has
    /// as much as it once had before it meets anybody, but not its votes.
    pub(crate) fn copy_disk(&mut self, of: NodeId, around: &Around) {
        let damaged = self.media.engine_rotten || self.media.log_rotten;
        let changing = damaged || self.media.pending.is_some();
        if !self.has_log || changing || self.copy.as_ref().is_some_and(|copy| copy.of == of) {
            return;
        }
        let (media, options) = (self.media.copy(), self.log_options(of, around));
        let Ok((log, _)) = Log::open(media.disk.fork(), options) else { return };
        let end = (Term(log.hard_state().term), Index(log.last_index()));
        let durable = self.durable();
        self.copy = Some(Copy { of, durable, end, media, remembered: self.remembered.clone() });
    }

    /// Term and last entry of the copy of this self's disk, if there is one, and which entry's
    /// effect is the last in its engine.
    pub(crate) fn copied(&self, id: NodeId) -> Option<((Term, Index), Index)> {
        let copy = self.copy.as_ref().filter(|copy| copy.of == id)?;
        Some((copy.end, copy.durable))
    }

    /// Puts the copy in the place of the disk; the process does not run.
    pub(crate) fn restore_copy(&mut self) {
        let Some(copy) = self.copy.take() else { return };
        (self.media, self.remembered) = (copy.media, copy.remembered);
        self.media.disk.set_full(self.disk_full);
        self.durable_before = Index(0);
    }

    /// Whether this node would still refuse a disk with this on it, whichever of its own runs and
    /// files it goes on from.
    pub(crate) fn would_refuse(&self, id: NodeId, (term, last_index): (Term, Index)) -> bool {
        let refuses = |marks: &Marks| marks.check(id, term, last_index).is_err();
        self.remembered.iter().all(refuses)
            && self.running.as_ref().is_none_or(|running| refuses(running.marks()))
    }

    /// Everything on the disk is lost; whoever comes up here next is somebody new.
    pub(crate) fn lose_disk(&mut self, life: Life) {
        self.media = Media::empty(&mut self.dice);
        self.media.disk.set_full(self.disk_full);
        (self.life, self.has_log, self.copy) = (life, false, None);
        self.remembered = Default::default();
        (self.applied_before, self.durable_before) = (Index(0), Index(0));
    }

    /// Whether its engine is damaged, known or not.
    pub(crate) fn is_damaged(&self) -> bool {
        self.media.engine_rotten || matches!(self.life, Life::Repairing { .. })
    }

    /// The log rots. False if it has nothing that may.
    pub(crate) fn rot_log(&mut self) -> bool {
        let rotten = self.media.rot_log(&mut self.dice);
        if let Some(running) = &mut self.running {
            running.log_rotten |= rotten;
        }
        rotten
    }

    /// The engine rots.
    pub(crate) fn rot_engine(&mut self) {
        self.media.engine_rotten = true;
        if let Some(running) = &mut self.running {
            running.engine_rotten = true;
        }
    }

    /// A block of the log stands where another one belongs. False if it has none.
    pub(crate) fn misdirect(&mut self) -> bool {
        self.media.misdirect(&mut self.dice)
    }

    /// The engine is found damaged: which entry must a state hold that the log can go on from?
    /// `None` if the log is damaged as well.
    pub(crate) fn begin_repair(&mut self, id: NodeId, around: &Around) -> Option<()> {
        let options = self.log_options(id, around);
        let (log, _) = Log::open(self.media.disk.fork(), options).ok()?;
        let at_least = Index(log.first_index() - 1);
        self.life = Life::Repairing { at_least, from: None };
        self.runs += 1;
        Some(())
    }
}
