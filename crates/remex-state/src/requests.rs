//! Remembered request keys: what makes a retried write apply once.
//!
//! Every command that names itself is remembered with its outcome, a refusal as well as a success:
//! if a retry of a refused command were tried again, a client could be told "refused" and see its
//! write appear. The table forgets its oldest entries when it has too many, by number or by bytes.
//! What is remembered decides outcomes, so both limits must be the same on every node.
//!
//! A row of the table `requests`, by the running number of the entry:
//! `u8 version = 1, bytes request key, u64 fingerprint of the command, outcome`, and the outcome is
//!
//! ```text
//! u8 0 (refused), u64 revision, u32 condition, u8 exists, u64 mod revision or 0
//! u8 1 (written), u64 revision, u32 number of results, each:
//!     u8 0 (put), u64 create revision, u64 version
//!     u8 1 (deleted), u64 count
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use remex_model::{
    DecodeError, Decoder, Encoder, Outcome, Refusal, RequestKey, Revision, WriteResult, Written,
};

use crate::error::Fatal;
use crate::rows;

/// Memory that an entry takes beside its bytes.
const ENTRY_BYTES: usize = 160;

/// One remembered command.
#[derive(Debug)]
pub(crate) struct Remembered {
    key: Bytes,
    /// Tells a retry of the command from another one under the same key.
    fingerprint: u64,
    /// Encoded, without previous records.
    outcome: Bytes,
}

impl Remembered {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.key.len() + self.outcome.len()
    }

    /// Writes the value of its row.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        let mut encoder = Encoder::new(out);
        rows::put_version(&mut encoder);
        encoder.bytes(&self.key);
        encoder.u64(self.fingerprint);
        encoder.raw(&self.outcome);
    }

    /// Reads the value of its row.
    pub(crate) fn decode(row: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(row);
        rows::check_version(&mut decoder)?;
        let key = decoder.bytes("request key")?;
        let fingerprint = decoder.u64("fingerprint")?;
        let outcome = decoder.rest();
        decode_outcome(outcome.clone())?;
        Ok(Self { key, fingerprint, outcome })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Requests {
    keys_max: usize,
    bytes_max: usize,
    by_key: BTreeMap<Bytes, u64>,
    /// In the order in which they were applied; the front has the number `first`.
    entries: VecDeque<Arc<Remembered>>,
    first: u64,
    /// The first number that is in no buffer handed out yet.
    unwritten: u64,
    bytes: usize,
}

impl Requests {
    /// An empty table whose next entry has the number `first`.
    pub(crate) fn new(keys_max: usize, bytes_max: usize, first: u64) -> Self {
        Self {
            keys_max,
            bytes_max,
            by_key: BTreeMap::new(),
            entries: VecDeque::new(),
            first,
            unwritten: first,
            bytes: 0,
        }
    }

    /// Number of the oldest entry.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Number of the next entry.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The number of the command that had this key, and its outcome; no outcome if it was another
    /// command.
    pub(crate) fn find(
        &self,
        key: &RequestKey,
        fingerprint: u64,
    ) -> Option<(u64, Option<Outcome>)> {
        let number = *self.by_key.get(&key.0)?;
        let position = usize::try_from(number - self.first).expect("the table fits into memory");
        let entry = &self.entries[position];
        if entry.fingerprint != fingerprint {
            return Some((number, None));
        }
        let outcome = decode_outcome(entry.outcome.clone())
            .expect("outcomes are checked when they are read from the engine");
        Some((number, Some(outcome)))
    }

    /// Remembers a command that is not in the table.
    pub(crate) fn remember(&mut self, key: &RequestKey, fingerprint: u64, outcome: &Outcome) {
        // Copied: an entry outlives by far the log entry that carried its key.
        let key = Bytes::copy_from_slice(&key.0);
        let mut encoded = Vec::with_capacity(32);
        encode_outcome(outcome, &mut encoded);
        self.insert(Remembered { key, fingerprint, outcome: Bytes::from(encoded) });
        while self.entries.len() > self.keys_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.by_key.remove(&oldest.key);
            self.bytes -= oldest.bytes();
            self.first += 1;
        }
    }

    fn insert(&mut self, entry: Remembered) {
        self.bytes += entry.bytes();
        self.by_key.insert(entry.key.clone(), self.next());
        self.entries.push_back(Arc::new(entry));
    }

    /// The entries, with their numbers, that came since this was last called.
    pub(crate) fn take_unwritten(&mut self) -> Vec<(u64, Arc<Remembered>)> {
        let start = self.unwritten.max(self.first);
        self.unwritten = self.next();
        let skip = usize::try_from(start - self.first).expect("the table fits into memory");
        (start..).zip(self.entries.iter().skip(skip).cloned()).collect()
    }

    /// Takes back an entry from its row while the state is opened; rows come in order.
    pub(crate) fn restore(&mut self, row: Bytes) -> Result<(), Fatal> {
        let entry =
            Remembered::decode(row).map_err(|source| Fatal::Row { table: "requests", source })?;
        self.insert(entry);
        self.unwritten = self.next();
        Ok(())
    }
}

fn encode_outcome(outcome: &Outcome, out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(out);
    match outcome {
        Outcome::Refused(refusal) => {
            encoder.u8(0);
            encoder.u64(refusal.revision.get());
            encoder.count(refusal.condition);
            encoder.bool(refusal.current.is_some());
            encoder.u64(refusal.current.map_or(0, Revision::get));
        }
        // Answers to a key that is taken are not remembered themselves.
        Outcome::KeyReused { .. } => unreachable!("only commands that were carried out are kept"),
        Outcome::Written(written) => {
            encoder.u8(1);
            encoder.u64(written.revision.get());
            encoder.count(written.results.len());
            for result in &written.results {
                match result {
                    WriteResult::Put { create_revision, version, .. } => {
                        encoder.u8(0);
                        encoder.u64(create_revision.get());
                        encoder.u64(*version);
                    }
                    WriteResult::Deleted { count, .. } => {
                        encoder.u8(1);
                        encoder.u64(*count);
                    }
                }
            }
        }
    }
}

fn decode_outcome(input: Bytes) -> Result<Outcome, DecodeError> {
    let mut decoder = Decoder::new(input);
    let kind = decoder.u8("kind of outcome")?;
    let revision = Revision(decoder.u64("outcome revision")?);
    let outcome = match kind {
        0 => {
            let condition = decoder.u32("condition")? as usize;
            let exists = decoder.bool("exists")?;
            let current = Revision(decoder.u64("current revision")?);
            Outcome::Refused(Refusal { revision, condition, current: exists.then_some(current) })
        }
        1 => {
            let results = (0..decoder.count(9, "number of results")?)
                .map(|_| decode_result(&mut decoder))
                .collect::<Result<_, _>>()?;
            Outcome::Written(Written { revision, results, repeated: true })
        }
        other => {
            return Err(DecodeError::Unknown { field: "kind of outcome", value: other.into() });
        }
    };
    decoder.finish()?;
    Ok(outcome)
}

fn decode_result(decoder: &mut Decoder) -> Result<WriteResult, DecodeError> {
    match decoder.u8("kind of result")? {
        0 => Ok(WriteResult::Put {
            create_revision: Revision(decoder.u64("create revision")?),
            version: decoder.u64("version")?,
            previous: None,
        }),
        1 => Ok(WriteResult::Deleted { count: decoder.u64("count")?, previous: None }),
        other => Err(DecodeError::Unknown { field: "kind of result", value: other.into() }),
    }
}
