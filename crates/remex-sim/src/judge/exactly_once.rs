//! No proposal is applied twice, and no value is written twice: a proposal that was sent again
//! to a later leader, or by its client under its request key, takes effect once (Raft paper §8;
//! `remex_consensus::proposals`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use remex_consensus::Entry;
use remex_model::{Batch, Command, Index, Outcome, ProposalId, Write};

use crate::violation::Check;

const NAME: &str = "exactly_once";

/// What was applied, on whichever node came first.
#[derive(Debug, Default)]
pub(crate) struct ExactlyOnce {
    proposals: BTreeMap<ProposalId, Index>,
    values: BTreeSet<Bytes>,
}

impl ExactlyOnce {
    pub(crate) fn check(&mut self, entry: &Entry, outcomes: &[(ProposalId, Outcome)]) -> Check {
        if entry.data.is_empty() {
            return Ok(());
        }
        let index = entry.index;
        let unreadable =
            |error: remex_model::DecodeError| (NAME, format!("entry {index}: {error}"));
        let batch = Batch::decode(entry.data.clone()).map_err(unreadable)?;
        if batch.commands.len() != outcomes.len() {
            let (commands, outcomes) = (batch.commands.len(), outcomes.len());
            let detail = format!("entry {index}: {commands} commands, {outcomes} outcomes");
            return Err((NAME, detail));
        }
        for (proposed, (id, outcome)) in batch.commands.into_iter().zip(outcomes) {
            if proposed.id != *id {
                return Err((NAME, format!("entry {index}: the outcomes are out of order")));
            }
            if let Some(before) = self.proposals.insert(*id, index) {
                let detail = format!("{id:?} was applied with entry {before} and entry {index}");
                return Err((NAME, detail));
            }
            let Outcome::Written(written) = outcome else { continue };
            if written.repeated {
                continue;
            }
            let command = Command::decode(proposed.command).map_err(unreadable)?;
            for write in command.writes {
                let Write::Put { value, .. } = write else { continue };
                let text = String::from_utf8_lossy(&value.bytes).into_owned();
                if !self.values.insert(value.bytes) {
                    return Err((NAME, format!("{text:?} was written twice, again at {index}")));
                }
            }
        }
        Ok(())
    }
}
