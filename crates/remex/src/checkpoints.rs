//! Comparing states: hashes at equal applied indexes, always on.
//!
//! Applying is deterministic, so all members have the same state hash at the same entry. Every node
//! notes its own at every [`EVERY`]th entry and tells the others the newest. A node that differs
//! from a majority of the voters has a wrong state and must not serve it. Where no majority agrees,
//! nobody knows who is right: that is said, and nobody stops.

use std::collections::{BTreeMap, VecDeque};

use remex_model::{Index, NodeId};

/// Entries between two checkpoints.
pub(crate) const EVERY: u64 = 64;

/// Checkpoints that a node remembers of itself: enough for a peer that is seconds behind.
const KEPT: usize = 4096;

/// State hash at an applied index.
pub(crate) type Checkpoint = (Index, u64);

/// A difference between states that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// A majority agrees on another state than this node's.
    Mine { index: Index, mine: u64, theirs: u64 },
    /// A member's state differs from this node's, and the majority is not against this node.
    Theirs { index: Index, member: NodeId },
}

/// This node's checkpoints and the newest ones of the others.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    mine: VecDeque<Checkpoint>,
    theirs: BTreeMap<NodeId, Checkpoint>,
    /// Members whose difference was reported.
    reported: BTreeMap<NodeId, Index>,
}

impl Checkpoints {
    /// Notes this node's state hash after the entry `index`, if that is a checkpoint.
    pub(crate) fn note(&mut self, index: Index, hash: impl FnOnce() -> u64) {
        if !index.get().is_multiple_of(EVERY) {
            return;
        }
        if self.mine.len() == KEPT {
            self.mine.pop_front();
        }
        self.mine.push_back((index, hash()));
    }

    /// The newest of this node.
    pub(crate) fn newest(&self) -> Option<Checkpoint> {
        self.mine.back().copied()
    }

    fn at(&self, index: Index) -> Option<u64> {
        let position = self.mine.binary_search_by_key(&index, |&(index, _)| index).ok()?;
        Some(self.mine[position].1)
    }

    /// Takes a member's newest checkpoint in. Answers with the difference that it shows, once.
    pub(crate) fn compare(
        &mut self,
        member: NodeId,
        checkpoint: Checkpoint,
        voters: &[NodeId],
    ) -> Option<Difference> {
        self.theirs.insert(member, checkpoint);
        let (index, theirs) = checkpoint;
        let mine = self.at(index)?;
        if mine == theirs {
            return None;
        }
        let agree = voters.iter().filter(|voter| self.theirs.get(voter) == Some(&checkpoint));
        if 2 * agree.count() > voters.len() {
            return Some(Difference::Mine { index, mine, theirs });
        }
        let first = self.reported.insert(member, index).is_none();
        first.then_some(Difference::Theirs { index, member })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

    fn noted() -> Checkpoints {
        let mut checkpoints = Checkpoints::default();
        for index in 1..=EVERY * 3 {
            checkpoints.note(Index(index), || 1000 + index);
        }
        checkpoints
    }

    #[test]
    fn equal_states_are_silent() {
        let mut checkpoints = noted();
        assert_eq!(checkpoints.newest(), Some((Index(EVERY * 3), 1000 + EVERY * 3)));
        let earlier = (Index(EVERY * 2), 1000 + EVERY * 2);
        assert_eq!(checkpoints.compare(NodeId(2), earlier, &VOTERS), None);
        let ahead = (Index(EVERY * 9), 5);
        assert_eq!(checkpoints.compare(NodeId(2), ahead, &VOTERS), None, "not known here yet");
    }

    #[test]
    fn the_odd_one_out_is_found() {
        let mut checkpoints = noted();
        let other = (Index(EVERY), 7);
        let theirs = Difference::Theirs { index: Index(EVERY), member: NodeId(2) };
        assert_eq!(checkpoints.compare(NodeId(2), other, &VOTERS), Some(theirs));
        assert_eq!(checkpoints.compare(NodeId(2), other, &VOTERS), None, "said once");
        let mine = Difference::Mine { index: Index(EVERY), mine: 1000 + EVERY, theirs: 7 };
        assert_eq!(checkpoints.compare(NodeId(3), other, &VOTERS), Some(mine));
    }
}
