//! The proposals of this node's clients, from the moment they come in until they are applied
//! here or their callers' time is up.
//!
//! # Telling lost from late
//!
//! A proposal is given to the leader of one term, T: appended here if this node leads, forwarded
//! otherwise; a leader takes a forward only while it leads the very term that the forward names,
//! and at most once ([`crate::intake`]). So the proposal can stand in the log only in an entry
//! of term T. Terms never fall along the log. When this node applies the first entry of a later
//! term, every entry of term T that will ever be committed has been applied before it: a
//! proposal of term T that has not come by then never will, and **can be proposed again**
//! without being applied twice. A leader that dies costs its clients time, not certainty.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use remex_model::{ProposalId, Proposed, Term};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// With no leader.
    Waiting,
    /// Given to the leader of this term, in this forward (`None`: appended here).
    Sent { term: Term, batch: Option<u64> },
}

#[derive(Debug)]
struct Pending {
    command: Bytes,
    expires: u64,
    state: State,
}

#[derive(Debug)]
struct Forwarded {
    term: Term,
    sent: u64,
    sequences: Vec<u64>,
}

/// A forward to send.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) batch: u64,
    pub(crate) term: Term,
    pub(crate) commands: Vec<Proposed>,
}

/// The proposals of this run that are not resolved.
#[derive(Debug)]
pub(crate) struct Proposals {
    session: u64,
    pending: BTreeMap<u64, Pending>,
    /// Sequences in state `Waiting`.
    waiting: BTreeSet<u64>,
    /// Sequence and forward of proposals that the leader did not take. They wait again from the
    /// next tick on, so that a leader that is busy handing over is not asked in a loop.
    refused: Vec<(u64, u64)>,
    /// Forwards with proposals that are not resolved.
    forwarded: BTreeMap<u64, Forwarded>,
    next_batch: u64,
    /// The highest term of an entry that was applied.
    applied_term: Term,
}

impl Proposals {
    pub(crate) fn new(session: u64) -> Self {
        Self {
            session,
            pending: BTreeMap::new(),
            waiting: BTreeSet::new(),
            refused: Vec::new(),
            forwarded: BTreeMap::new(),
            next_batch: 1,
            applied_term: Term(0),
        }
    }

    pub(crate) fn add(&mut self, sequence: u64, command: Bytes, expires: u64) {
        let pending = Pending { command, expires, state: State::Waiting };
        let before = self.pending.insert(sequence, pending);
        assert!(before.is_none(), "sequences are unique within a run");
        self.waiting.insert(sequence);
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes waiting proposals, up to about `bytes_max`, for this node to append itself.
    pub(crate) fn take_for_append(&mut self, term: Term, bytes_max: usize) -> Vec<Proposed> {
        self.take(State::Sent { term, batch: None }, bytes_max)
    }

    /// Takes waiting proposals, up to about `bytes_max`, into a forward to the leader of `term`.
    pub(crate) fn take_for_forward(&mut self, term: Term, now: u64, bytes_max: usize) -> Forward {
        let batch = self.next_batch;
        self.next_batch += 1;
        let commands = self.take(State::Sent { term, batch: Some(batch) }, bytes_max);
        let sequences = commands.iter().map(|proposed| proposed.id.sequence).collect();
        self.forwarded.insert(batch, Forwarded { term, sent: now, sequences });
        Forward { batch, term, commands }
    }

    fn take(&mut self, state: State, bytes_max: usize) -> Vec<Proposed> {
        let mut bytes = 0;
        let mut taken = Vec::new();
        while let Some(&sequence) = self.waiting.first() {
            let pending = self.pending.get_mut(&sequence).expect("waiting ones are pending");
            bytes += pending.command.len() + 20;
            if !taken.is_empty() && bytes > bytes_max {
                break;
            }
            self.waiting.pop_first();
            pending.state = state;
            let id = ProposalId { session: self.session, sequence };
            taken.push(Proposed { id, command: pending.command.clone() });
        }
        taken
    }

    /// Puts proposals back that were taken for an append that the log did not take.
    pub(crate) fn put_back(&mut self, proposals: &[Proposed]) {
        for proposed in proposals {
            self.wait_again(proposed.id.sequence);
        }
    }

    /// The leader will never take this forward.
    pub(crate) fn refused(&mut self, batch: u64) {
        let Some(forwarded) = self.forwarded.remove(&batch) else { return };
        for sequence in forwarded.sequences {
            self.refused.push((sequence, batch));
        }
    }

    /// Refused proposals wait again, unless they were given to a later leader meanwhile.
    fn release_refused(&mut self) {
        for (sequence, batch) in std::mem::take(&mut self.refused) {
            let state = self.pending.get(&sequence).map(|pending| pending.state);
            if matches!(state, Some(State::Sent { batch: Some(sent), .. }) if sent == batch) {
                self.wait_again(sequence);
            }
        }
    }

    fn wait_again(&mut self, sequence: u64) {
        if let Some(pending) = self.pending.get_mut(&sequence) {
            pending.state = State::Waiting;
            self.waiting.insert(sequence);
        }
    }

    /// An entry of `term` is about to be applied: whatever was given to a leader of an earlier
    /// term and has not come is lost, and waits again.
    pub(crate) fn entry_of_term(&mut self, term: Term) {
        if term <= self.applied_term {
            return;
        }
        self.applied_term = term;
        let lost: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| {
                matches!(pending.state, State::Sent { term: sent, .. } if sent < term)
            })
            .map(|(&sequence, _)| sequence)
            .collect();
        for sequence in lost {
            self.wait_again(sequence);
        }
        self.forwarded.retain(|_, forwarded| forwarded.term >= term);
    }

    /// A proposal is about to be applied.
    pub(crate) fn resolved(&mut self, id: ProposalId) {
        if id.session == self.session && self.pending.remove(&id.sequence).is_some() {
            self.waiting.remove(&id.sequence);
        }
    }

    /// A tick passed: refused proposals may be given to a leader again. Removes the proposals
    /// whose callers' time is up: sequence, and whether it may still be applied.
    pub(crate) fn tick(&mut self, now: u64) -> Vec<(u64, bool)> {
        self.release_refused();
        let expired: Vec<(u64, bool)> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.expires <= now)
            .map(|(&sequence, pending)| (sequence, pending.state != State::Waiting))
            .collect();
        for (sequence, _) in &expired {
            self.pending.remove(sequence);
            self.waiting.remove(sequence);
        }
        expired
    }

    /// Forwards to the leader of `term` that were sent `retry_ticks` ago and are not resolved:
    /// they go out again under the same number.
    pub(crate) fn retries(&mut self, term: Term, now: u64, retry_ticks: u64) -> Vec<Forward> {
        let (session, pending) = (self.session, &self.pending);
        let mut again = Vec::new();
        self.forwarded.retain(|&batch, forwarded| {
            if now < forwarded.sent + retry_ticks {
                return true;
            }
            let state = State::Sent { term: forwarded.term, batch: Some(batch) };
            let commands: Vec<Proposed> = forwarded
                .sequences
                .iter()
                .filter_map(|&sequence| {
                    let pending = pending.get(&sequence).filter(|found| found.state == state)?;
                    let id = ProposalId { session, sequence };
                    Some(Proposed { id, command: pending.command.clone() })
                })
                .collect();
            if commands.is_empty() {
                return false;
            }
            if forwarded.term == term {
                forwarded.sent = now;
                again.push(Forward { batch, term, commands });
            }
            true
        });
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sequences: &[u64]) -> Proposals {
        let mut proposals = Proposals::new(7);
        for &sequence in sequences {
            proposals.add(sequence, Bytes::from_static(b"x"), 100);
        }
        proposals
    }

    fn sequences(commands: &[Proposed]) -> Vec<u64> {
        commands.iter().map(|proposed| proposed.id.sequence).collect()
    }

    #[test]
    fn a_later_term_makes_lost_proposals_wait_again() {
        let mut proposals = with(&[1, 2, 3]);
        let taken = proposals.take_for_append(Term(4), usize::MAX);
        proposals.resolved(taken[0].id);
        proposals.entry_of_term(Term(4));
        assert!(!proposals.has_waiting());
        proposals.entry_of_term(Term(5));
        assert_eq!(sequences(&proposals.take_for_append(Term(5), usize::MAX)), [2, 3]);
    }

    #[test]
    fn proposals_given_to_the_new_leader_stay_with_it() {
        let mut proposals = with(&[1]);
        proposals.take_for_forward(Term(5), 0, usize::MAX);
        proposals.entry_of_term(Term(5));
        assert!(!proposals.has_waiting());
    }

    #[test]
    fn an_unanswered_forward_is_repeated_under_its_number() {
        let mut proposals = with(&[1, 2]);
        let first = proposals.take_for_forward(Term(1), 10, usize::MAX);
        assert!(proposals.retries(Term(1), 12, 3).is_empty());
        proposals.resolved(first.commands[0].id);
        let again = proposals.retries(Term(1), 13, 3);
        assert_eq!(again[0].batch, first.batch);
        assert_eq!(sequences(&again[0].commands), [2]);
        assert!(proposals.retries(Term(2), 20, 3).is_empty(), "another term, another leader");
        proposals.resolved(first.commands[1].id);
        assert!(proposals.retries(Term(1), 30, 3).is_empty());
        assert!(proposals.forwarded.is_empty());
    }

    #[test]
    fn an_expired_proposal_says_whether_it_was_sent() {
        let mut proposals = with(&[1]);
        proposals.take_for_forward(Term(1), 0, usize::MAX);
        proposals.add(2, Bytes::new(), 100);
        assert_eq!(proposals.tick(99), []);
        assert_eq!(proposals.tick(100), [(1, true), (2, false)]);
        assert!(!proposals.has_waiting());
    }

    #[test]
    fn a_refused_proposal_that_a_later_leader_got_stays_with_it() {
        let mut proposals = with(&[1]);
        let first = proposals.take_for_forward(Term(1), 0, usize::MAX);
        proposals.refused(first.batch);
        proposals.entry_of_term(Term(2));
        proposals.take_for_forward(Term(2), 0, usize::MAX);
        assert_eq!(proposals.tick(1), []);
        assert!(!proposals.has_waiting(), "given out twice, it could be applied twice");
    }

    #[test]
    fn a_refused_forward_waits_again_once() {
        let mut proposals = with(&[1]);
        let first = proposals.take_for_forward(Term(1), 0, usize::MAX);
        proposals.refused(first.batch);
        assert!(!proposals.has_waiting(), "not before the next tick");
        assert_eq!(proposals.tick(1), []);
        assert!(proposals.has_waiting());
        let second = proposals.take_for_forward(Term(1), 1, usize::MAX);
        proposals.refused(first.batch);
        assert_eq!(proposals.tick(2), []);
        assert!(!proposals.has_waiting(), "a late refusal of an old forward changes nothing");
        assert_ne!(first.batch, second.batch);
    }
}
