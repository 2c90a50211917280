//! Who waits for what: the clients of this node whose requests are under way.

use std::collections::HashMap;
use std::sync::Arc;

use remex_model::{Effect, Error, ErrorCode, Membership, Outcome};

use crate::inbox::{ChangeError, ChangeReply, ReadReply, WriteReply};

/// The requests under way, by sequence.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    next_sequence: u64,
    writes: HashMap<u64, WriteReply>,
    reads: HashMap<u64, ReadReply>,
    changes: HashMap<u64, ChangeReply>,
}

impl Replies {
    fn sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    pub(crate) fn expect_write(&mut self, reply: WriteReply) -> u64 {
        let sequence = self.sequence();
        self.writes.insert(sequence, reply);
        sequence
    }

    pub(crate) fn expect_read(&mut self, reply: ReadReply) -> u64 {
        let sequence = self.sequence();
        self.reads.insert(sequence, reply);
        sequence
    }

    pub(crate) fn expect_change(&mut self, reply: ChangeReply) -> u64 {
        let sequence = self.sequence();
        self.changes.insert(sequence, reply);
        sequence
    }

    /// A change of the membership was applied, or refused.
    pub(crate) fn changed(&mut self, sequence: u64, outcome: Result<Arc<Membership>, ChangeError>) {
        if let Some(reply) = self.changes.remove(&sequence) {
            drop(reply.send(outcome));
        }
    }

    /// This node leads no more: what became of its changes will show in the membership.
    #[expect(clippy::iter_over_hash_type, reason = "every one gets the same answer")]
    pub(crate) fn changes_lost(&mut self) {
        for (_, reply) in self.changes.drain() {
            drop(reply.send(Err(ChangeError::Lost)));
        }
    }

    /// Requests that wait for their outcome.
    pub(crate) fn pending(&self) -> u64 {
        (self.writes.len() + self.reads.len()) as u64
    }

    /// A write was applied.
    pub(crate) fn written(&mut self, sequence: u64, outcome: Outcome) {
        if let Some(reply) = self.writes.remove(&sequence) {
            // The client may have gone away; the outcome stands all the same.
            drop(reply.send(Ok(outcome)));
        }
    }

    pub(crate) fn write_failed(&mut self, sequence: u64, error: Error) {
        if let Some(reply) = self.writes.remove(&sequence) {
            drop(reply.send(Err(error)));
        }
    }

    pub(crate) fn reads_ready(&mut self, sequences: Vec<u64>) {
        for sequence in sequences {
            if let Some(reply) = self.reads.remove(&sequence) {
                drop(reply.send(Ok(())));
            }
        }
    }

    pub(crate) fn read_failed(&mut self, sequence: u64, error: Error) {
        if let Some(reply) = self.reads.remove(&sequence) {
            drop(reply.send(Err(error)));
        }
    }

    /// The driver stops: whoever waits finds that nobody answers any more.
    pub(crate) fn stop(&mut self) {
        self.changes_lost();
        self.reads.clear();
        self.writes.clear();
    }
}

/// The error for a request that a stopping node did not finish.
pub(crate) fn stopped(effect: Effect) -> Error {
    let mut error = Error::new(ErrorCode::Draining, "this node stopped before the request ended")
        .hint("ask another node of the cluster")
        .retry_after(1000);
    error.effect = effect;
    error
}
