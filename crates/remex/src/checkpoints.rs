//! Comparing states: hashes at equal applied indexes, always on.
//!
//! Applying is deterministic, so all members have the same state hash at the same entry. Every node
//! notes its own at every [`EVERY`]th entry and tells the others the newest. A node that differs
//! from a majority of the voters has a wrong state and must not serve it. Where no majority agrees,
//! nobody knows who is right: that is said, and nobody stops.
//!
//! A majority agrees on what it says of the *same* entry. On a busy cluster the newest checkpoint of
//! each is at another one, so every second time a node tells its newest at a multiple of [`COARSE`]:
//! those change so seldom that all tell the same for a while.

use std::collections::{BTreeMap, VecDeque};

use remex_model::{Index, NodeId};

/// Entries between two checkpoints.
pub(crate) const EVERY: u64 = 64;

/// Entries between two checkpoints that are told on a busy cluster: some seconds at the highest rates.
const COARSE: u64 = EVERY * 256;

/// Checkpoints that a node remembers of itself: enough for a peer that is seconds behind.
const KEPT: usize = 4096;

/// Coarse ones that it remembers beyond those.
const COARSE_KEPT: usize = 64;

/// Checkpoints that it remembers of every other.
const THEIRS_KEPT: usize = 16;

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

/// This node's checkpoints and the last ones of the others.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    mine: VecDeque<Checkpoint>,
    coarse: VecDeque<Checkpoint>,
    /// Whether a coarse one is told next.
    tell_coarse: bool,
    theirs: BTreeMap<NodeId, VecDeque<Checkpoint>>,
    /// Members whose difference was reported.
    reported: BTreeMap<NodeId, Index>,
}

impl Checkpoints {
    /// Notes this node's state hash after the entry `index`, if that is a checkpoint.
    pub(crate) fn note(&mut self, index: Index, hash: impl FnOnce() -> u64) {
        if !index.get().is_multiple_of(EVERY) {
            return;
        }
        let checkpoint = (index, hash());
        keep(&mut self.mine, checkpoint, KEPT);
        if index.get().is_multiple_of(COARSE) {
            keep(&mut self.coarse, checkpoint, COARSE_KEPT);
        }
    }

    /// What the others are told next of this node: its newest checkpoint and its newest coarse one
    /// in turns.
    pub(crate) fn next_to_tell(&mut self) -> Option<Checkpoint> {
        self.tell_coarse = !self.tell_coarse;
        let coarse = self.coarse.back().filter(|_| !self.tell_coarse);
        coarse.or(self.mine.back()).copied()
    }

    fn at(&self, index: Index) -> Option<u64> {
        [&self.mine, &self.coarse].into_iter().find_map(|known| {
            let position = known.binary_search_by_key(&index, |&(index, _)| index).ok()?;
            Some(known[position].1)
        })
    }

    /// Takes a checkpoint in that a member told. Answers with the difference that it shows, once.
    pub(crate) fn compare(
        &mut self,
        member: NodeId,
        checkpoint: Checkpoint,
        voters: &[NodeId],
    ) -> Option<Difference> {
        let told = self.theirs.entry(member).or_default();
        if !told.contains(&checkpoint) {
            keep(told, checkpoint, THEIRS_KEPT);
        }
        let (index, theirs) = checkpoint;
        let mine = self.at(index)?;
        if mine == theirs {
            return None;
        }
        let agrees = |told: &VecDeque<Checkpoint>| told.contains(&checkpoint);
        let agree = voters.iter().filter(|voter| self.theirs.get(voter).is_some_and(agrees));
        if 2 * agree.count() > voters.len() {
            return Some(Difference::Mine { index, mine, theirs });
        }
        let first = self.reported.insert(member, index).is_none();
        first.then_some(Difference::Theirs { index, member })
    }
}

/// Adds one, and forgets the oldest of too many.
fn keep(known: &mut VecDeque<Checkpoint>, checkpoint: Checkpoint, max: usize) {
    if known.len() == max {
        known.pop_front();
    }
    known.push_back(checkpoint);
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
        for _ in 0..2 {
            let newest = (Index(EVERY * 3), 1000 + EVERY * 3);
            assert_eq!(checkpoints.next_to_tell(), Some(newest), "there is no coarse one yet");
        }
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

    /// Three nodes that apply `rate` entries between two words to each other, not at the same time.
    /// The third has gone wrong. Answers after how many words it knows.
    fn words_until_noticed(rate: u64) -> Option<u64> {
        let mut wrong = Checkpoints::default();
        let mut right = [Checkpoints::default(), Checkpoints::default()];
        let mut applied = 0;
        for word in 0..1000 {
            for speaker in 0..2 {
                // One speaks in the middle between two words of the other.
                for index in applied + 1..=applied + rate / 2 {
                    right[0].note(Index(index), || index);
                    right[1].note(Index(index), || index);
                    wrong.note(Index(index), || index + 1);
                }
                applied += rate / 2;
                let Some(told) = right[speaker].next_to_tell() else { continue };
                let member = VOTERS[speaker];
                if let Some(Difference::Mine { .. }) = wrong.compare(member, told, &VOTERS) {
                    return Some(word);
                }
            }
        }
        None
    }

    #[test]
    fn the_odd_one_out_is_found_on_a_busy_cluster_too() {
        for rate in [100, 1_000, 5_000, 20_000] {
            let words = words_until_noticed(rate).expect("it is noticed in the end");
            assert!(words * rate <= 3 * COARSE + 6 * rate, "{rate}: only after {words} words");
        }
    }
}
