//! What a core starts from, read from log and state.

use remex_consensus::{Entry, HardState, Start};
use remex_engine::MemoryEngine;
use remex_log::Log;
use remex_log::memory_disk::MemoryDisk;
use remex_model::{Index, Membership, NodeId, Term};
use remex_state::State;

use super::Node;
use super::effects::from_log_entry;
use crate::around::Around;
use crate::judge::Stamp;
use crate::violation::Stop;

impl Node {
    /// Reads what there is, and shows it to the judge, who knows what was synced.
    pub(super) fn read_start(
        &self,
        log: &Log<MemoryDisk>,
        state: &State<MemoryEngine>,
        around: &mut Around,
    ) -> Result<Start, Stop> {
        let applied = state.durable();
        let (first, last) = (log.first_index(), log.last_index());
        if applied.get() + 1 < first || last < applied.get() {
            let detail = format!(
                "node {}: the log holds entries {first} to {last}, the state has applied {applied}",
                self.position
            );
            return Err(Stop::Broken(("log", detail)));
        }
        let kept = log.hard_state();
        let vote = (kept.vote != 0).then_some(NodeId(kept.vote));
        let hard_state = HardState { term: Term(kept.term), vote, commit: Index(kept.commit) };
        let mut entries = self.read_entries(log, first)?;
        let stamps: Vec<Stamp> = entries.iter().map(Stamp::of).collect();
        around.judge.recovered(self.id, hard_state, Index(first), &stamps)?;
        let behind = entries.partition_point(|entry| entry.index <= applied);
        entries.drain(..behind);
        let first_index = Index(first);
        let membership = Membership::clone(&state.membership());
        let terms = runs_of_terms(log);
        Ok(Start { hard_state, membership, applied, first_index, terms, entries })
    }

    fn read_entries(&self, log: &Log<MemoryDisk>, from: u64) -> Result<Vec<Entry>, Stop> {
        let read = log.read(from, log.last_index() + 1, usize::MAX);
        let read = read.map_err(|error| ("log", format!("node {}: {error}", self.position)))?;
        read.into_iter().map(from_log_entry).collect()
    }
}

/// First index and term of every run of entries with one term. The first run begins with the
/// entry before the first, if there was one.
fn runs_of_terms(log: &Log<MemoryDisk>) -> Vec<(Index, Term)> {
    let mut runs: Vec<(Index, Term)> = Vec::new();
    for index in (log.first_index() - 1).max(1)..=log.last_index() {
        let term = Term(log.term(index).expect("the log knows the terms of what it holds"));
        if runs.last().is_none_or(|&(_, last)| last != term) {
            runs.push((Index(index), term));
        }
    }
    runs
}
