//! Who waits for what: the clients of this node whose requests are under way.

use std::collections::HashMap;

use remex_model::{Effect, Error, ErrorCode, Outcome};

use crate::inbox::{ReadReply, WriteReply};

/// The requests under way, by sequence.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    next_sequence: u64,
    writes: HashMap<u64, WriteReply>,
    reads: HashMap<u64, ReadReply>,
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

    /// The driver stops: nobody will answer what is left. A write may have been proposed.
    #[expect(clippy::iter_over_hash_type, reason = "every one gets the same answer")]
    pub(crate) fn stop(&mut self) {
        for (_, reply) in self.reads.drain() {
            drop(reply.send(Err(stopped(Effect::None))));
        }
        for (_, reply) in self.writes.drain() {
            drop(reply.send(Err(stopped(Effect::Unknown))));
        }
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
