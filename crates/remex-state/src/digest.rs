//! The rolling hash of everything that was applied.

use bytes::Bytes;
use remex_model::{Encoder, Membership, Record, Refusal, Revision};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A hash over all changes and refusals since the first, in their order: equal on all nodes at
/// the same applied index, and different with near certainty if any node ever applied anything
/// else. It covers what the changes came to (revisions, versions), not only what was asked, so it
/// also notices a node that read a wrong record. Not meant to withstand forgery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u64);

impl Digest {
    pub(crate) fn put(&mut self, key: &Bytes, record: &Record) {
        self.numbers([
            1,
            key.len() as u64,
            record.create_revision.get(),
            record.mod_revision.get(),
            record.version,
            record.lease,
            record.time_ms,
            u64::from(record.value.json),
        ]);
        self.bytes(key);
        self.bytes(&record.value.bytes);
    }

    pub(crate) fn delete(&mut self, key: &Bytes, revision: Revision, version: u64) {
        self.numbers([2, key.len() as u64, revision.get(), version, 0, 0, 0, 0]);
        self.bytes(key);
    }

    pub(crate) fn refusal(&mut self, refusal: &Refusal) {
        let current = refusal.current.map_or(0, Revision::get);
        self.numbers([3, refusal.revision.get(), refusal.condition as u64, current, 0, 0, 0, 0]);
    }

    pub(crate) fn repeat(&mut self, sequence: u64) {
        self.numbers([4, sequence, 0, 0, 0, 0, 0, 0]);
    }

    /// The membership that a change has led to, or that the cluster was founded with.
    pub(crate) fn membership(&mut self, membership: &Membership) {
        let mut encoded = Vec::new();
        membership.encode(&mut Encoder::new(&mut encoded));
        self.numbers([5, encoded.len() as u64, 0, 0, 0, 0, 0, 0]);
        self.bytes(&encoded);
    }

    /// A change of the membership that did not fit.
    pub(crate) fn misfit(&mut self, sequence: u64) {
        self.numbers([6, sequence, 0, 0, 0, 0, 0, 0]);
    }

    fn numbers(&mut self, numbers: [u64; 8]) {
        let mut bytes = [0; 64];
        for (slot, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        self.bytes(&bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }
}
