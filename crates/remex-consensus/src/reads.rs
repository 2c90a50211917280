//! Linearizable reads without a clock (Raft §8, ReadIndex).
//!
//! The leader notes its commit index and confirms with one round of heartbeats that it still
//! leads; whoever waited when the round began may then read any state that has that entry
//! applied. One round is on its way at a time, and everything that arrives meanwhile — reads of
//! the leader's clients and requests of followers for theirs — shares the next. A follower has
//! one request on its way at a time, too. Every round and request has a number of its own, so
//! that an old answer confirms nothing.

use std::collections::BTreeMap;

use remex_model::{Index, NodeId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not part of any round.
    Waiting,
    /// Part of the leader's round or the follower's request that is on its way.
    Asked,
    /// Confirmed: may be answered once this entry is applied.
    Confirmed(Index),
}

#[derive(Debug)]
struct Pending {
    expires: u64,
    state: State,
}

/// A follower that waits for a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) peer: NodeId,
    pub(crate) session: u64,
    pub(crate) context: u64,
}

/// What is on its way for reads.
#[derive(Debug)]
struct Asked {
    context: u64,
    since: u64,
    sequences: Vec<u64>,
    remotes: Vec<Remote>,
}

/// The reads of this node's clients, and the followers' requests while it leads.
#[derive(Debug)]
pub(crate) struct Reads {
    pending: BTreeMap<u64, Pending>,
    /// Sequences in state `Waiting`.
    waiting: Vec<u64>,
    /// Followers that wait for the next round.
    remotes: Vec<Remote>,
    asked: Option<Asked>,
    /// Sequences in state `Confirmed`, by entry.
    confirmed: BTreeMap<Index, Vec<u64>>,
    next_context: u64,
}

impl Reads {
    pub(crate) fn new() -> Self {
        Self {
            pending: BTreeMap::new(),
            waiting: Vec::new(),
            remotes: Vec::new(),
            asked: None,
            confirmed: BTreeMap::new(),
            next_context: 1,
        }
    }

    pub(crate) fn add(&mut self, sequence: u64, expires: u64) {
        let before = self.pending.insert(sequence, Pending { expires, state: State::Waiting });
        assert!(before.is_none(), "sequences are unique within a run");
        self.waiting.push(sequence);
    }

    /// A follower asks. Repeated requests are answered like new ones.
    pub(crate) fn add_remote(&mut self, remote: Remote) {
        if !self.remotes.contains(&remote) {
            self.remotes.push(remote);
        }
    }

    /// Starts a round (or, on a follower, a request) for everything that waits: its context, or
    /// nothing if one is on its way already or nothing waits.
    pub(crate) fn begin(&mut self, now: u64) -> Option<u64> {
        if self.asked.is_some() || (self.waiting.is_empty() && self.remotes.is_empty()) {
            return None;
        }
        let context = self.next_context;
        self.next_context += 1;
        let mut sequences = std::mem::take(&mut self.waiting);
        sequences.retain(|sequence| match self.pending.get_mut(sequence) {
            Some(pending) => {
                pending.state = State::Asked;
                true
            }
            None => false,
        });
        let remotes = std::mem::take(&mut self.remotes);
        self.asked = Some(Asked { context, since: now, sequences, remotes });
        Some(context)
    }

    /// The round or request was answered: its reads may be answered once `index` is applied.
    /// Returns the followers to tell.
    pub(crate) fn confirm(&mut self, context: u64, index: Index) -> Vec<Remote> {
        let Some(asked) = self.asked.take_if(|asked| asked.context == context) else {
            return Vec::new();
        };
        for &sequence in &asked.sequences {
            if let Some(pending) = self.pending.get_mut(&sequence) {
                pending.state = State::Confirmed(index);
                self.confirmed.entry(index).or_default().push(sequence);
            }
        }
        asked.remotes
    }

    /// Whether reads wait that are not part of a round.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.remotes.is_empty()
    }

    /// Takes the reads that may be answered with `applied` applied.
    pub(crate) fn take_ready(&mut self, applied: Index) -> Vec<u64> {
        let mut ready = Vec::new();
        while let Some(entry) = self.confirmed.first_entry() {
            if *entry.key() > applied {
                break;
            }
            ready.extend(
                entry
                    .remove()
                    .into_iter()
                    .filter(|sequence| self.pending.remove(sequence).is_some()),
            );
        }
        ready
    }

    /// The request that is on its way, if it was sent `retry_ticks` ago or more: it goes out again
    /// under its number. A new number would turn the answer to the first away, and a follower
    /// whose leader answers more slowly than it repeats itself would never read again.
    pub(crate) fn retry(&mut self, now: u64, retry_ticks: u64) -> Option<u64> {
        let asked = self.asked.as_mut().filter(|asked| now >= asked.since + retry_ticks)?;
        asked.since = now;
        Some(asked.context)
    }

    /// The leader changed: what was asked is asked again.
    pub(crate) fn ask_again(&mut self) {
        if let Some(asked) = self.asked.take() {
            for sequence in asked.sequences {
                if let Some(pending) = self.pending.get_mut(&sequence) {
                    pending.state = State::Waiting;
                    self.waiting.push(sequence);
                }
            }
        }
    }

    /// This node no longer leads: followers will ask whoever does.
    pub(crate) fn drop_remotes(&mut self) {
        self.remotes.clear();
        if let Some(asked) = &mut self.asked {
            asked.remotes.clear();
        }
    }

    /// Removes the reads whose callers' time is up.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<u64> {
        let expired: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.expires <= now)
            .map(|(&sequence, _)| sequence)
            .collect();
        for sequence in &expired {
            self.pending.remove(sequence);
        }
        if !expired.is_empty() {
            self.waiting.retain(|sequence| self.pending.contains_key(sequence));
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_arrive_during_a_round_share_the_next() {
        let mut reads = Reads::new();
        reads.add(1, 100);
        let first = reads.begin(0).unwrap();
        reads.add(2, 100);
        assert_eq!(reads.begin(0), None);
        assert!(reads.confirm(first, Index(5)).is_empty());
        assert_eq!(reads.take_ready(Index(4)), []);
        assert_eq!(reads.take_ready(Index(5)), [1]);
        let second = reads.begin(0).unwrap();
        reads.confirm(first, Index(9));
        assert_eq!(reads.take_ready(Index(9)), [], "an old answer confirms nothing");
        reads.confirm(second, Index(6));
        assert_eq!(reads.take_ready(Index(9)), [2]);
    }

    #[test]
    fn an_answer_that_takes_longer_than_a_retry_still_confirms() {
        let mut reads = Reads::new();
        reads.add(1, 100);
        let first = reads.begin(0).unwrap();
        assert_eq!(reads.retry(2, 3), None);
        assert_eq!(reads.retry(3, 3), Some(first));
        assert_eq!(reads.retry(4, 3), None);
        reads.confirm(first, Index(1));
        assert_eq!(reads.take_ready(Index(1)), [1]);
        assert_eq!(reads.retry(9, 3), None, "nothing is on its way");
    }

    #[test]
    fn under_a_new_leader_reads_are_asked_again_under_a_new_number() {
        let mut reads = Reads::new();
        reads.add(1, 100);
        let first = reads.begin(0).unwrap();
        reads.ask_again();
        let second = reads.begin(1).unwrap();
        assert_ne!(first, second);
        reads.confirm(second, Index(1));
        assert_eq!(reads.take_ready(Index(1)), [1]);
    }

    #[test]
    fn an_expired_read_is_never_answered() {
        let mut reads = Reads::new();
        reads.add(1, 10);
        let round = reads.begin(0).unwrap();
        assert_eq!(reads.expire(10), [1]);
        reads.confirm(round, Index(1));
        assert_eq!(reads.take_ready(Index(1)), []);
    }
}
