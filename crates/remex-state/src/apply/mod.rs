//! Applying the log: a pure function of the state and the entry.
//!
//! One entry is one batch of commands, one command is one revision. As in etcd, a put always
//! takes a revision, even of an equal value, and a delete that hits nothing takes none. All writes
//! of a command share its revision. etcd refuses two writes of one key in a transaction; here they
//! are carried out in order: each put raises the version, the last one is what the revision shows,
//! and the change log names the key once.

mod condition;
mod membership;
mod write;

use bytes::Bytes;
use remex_engine::Engine;
use remex_model::{
    Batch, Command, Index, Key, Outcome, ProposalId, Record, Revision, Term, Written,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Fatal;
use crate::state::State;

pub use membership::AppliedMembership;

/// What applying one entry came to.
#[derive(Debug)]
pub struct Applied {
    /// The outcome of each command, in order, with who waits for it.
    pub outcomes: Vec<(ProposalId, Outcome)>,
    /// Every change, in order of revisions.
    pub changes: Vec<Change>,
    /// The store's revision afterwards.
    pub revision: Revision,
}

/// One key that one revision changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision.
    pub revision: Revision,
    /// The key. It and the record share memory with the whole entry that carried them: whoever
    /// keeps changes for long should copy them.
    pub key: Key,
    /// Its new record; `None` if it was deleted.
    pub record: Option<Record>,
}

impl<E: Engine> State<E> {
    /// Applies one committed entry: an encoded [`Batch`], or nothing, which is Raft's own entry.
    /// Touches memory only, but for reading records that this entry supersedes. After an error the
    /// state must not be used any more.
    ///
    /// # Errors
    /// If the entry is not the next one or cannot be understood, or if the engine fails.
    pub fn apply(&mut self, index: Index, term: Term, payload: Bytes) -> Result<Applied, Fatal> {
        self.check_next(index)?;
        let mut applied =
            Applied { outcomes: Vec::new(), changes: Vec::new(), revision: self.meta.revision };
        self.poisoned = true;
        if !payload.is_empty() {
            let entry = |source| Fatal::Entry { index, source };
            let batch = Batch::decode(payload.clone()).map_err(entry)?;
            self.active.hold_entry(&payload);
            // Leaders' clocks differ, but the store's time never goes back.
            self.meta.time_ms = self.meta.time_ms.max(batch.time_ms);
            applied.outcomes.reserve(batch.commands.len());
            applied.changes.reserve(batch.commands.len());
            for proposed in batch.commands {
                let bytes = proposed.command;
                let command = Command::decode(bytes.clone()).map_err(entry)?;
                let outcome = self.command(command, &bytes, &mut applied.changes)?;
                applied.outcomes.push((proposed.id, outcome));
            }
            let (revision, time_ms) = (self.meta.revision, self.meta.time_ms);
            self.meta.history.advance(revision, time_ms, &self.options.retention);
        }
        self.meta.applied = index;
        self.meta.term = term;
        self.poisoned = false;
        applied.revision = self.meta.revision;
        Ok(applied)
    }

    /// Checks that an entry is the next one, and that the one before it was applied whole.
    fn check_next(&self, index: Index) -> Result<(), Fatal> {
        if self.poisoned {
            return Err(Fatal::Poisoned);
        }
        if index != self.meta.applied.next() {
            return Err(Fatal::Gap { applied: self.meta.applied, got: index });
        }
        Ok(())
    }

    /// Carries out a command, whose encoded form is `bytes`, unless it was before.
    fn command(
        &mut self,
        command: Command,
        bytes: &[u8],
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Fatal> {
        let Command { request_key, conditions, writes } = command;
        let named = request_key.map(|key| (key, xxh3_64(bytes)));
        if let Some((number, outcome)) =
            named.as_ref().and_then(|(key, fingerprint)| self.requests.find(key, *fingerprint))
        {
            self.meta.digest.repeat(number);
            return Ok(outcome.unwrap_or(Outcome::KeyReused { revision: self.meta.revision }));
        }
        let (refusal, known) = self.check(&conditions)?;
        let outcome = match refusal {
            Some(refusal) => {
                self.meta.digest.refusal(&refusal);
                Outcome::Refused(refusal)
            }
            None => {
                let revision = self.meta.revision.next();
                let mut transaction = write::Transaction::new(self, revision, known, changes);
                let results = transaction.run(writes)?;
                if transaction.finish() {
                    self.meta.revision = revision;
                }
                Outcome::Written(Written { revision: self.meta.revision, results, repeated: false })
            }
        };
        if let Some((key, fingerprint)) = &named {
            self.requests.remember(key, *fingerprint, &outcome);
        }
        Ok(outcome)
    }
}
