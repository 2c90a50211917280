//! What a core starts from, read from log and state.

use remex_consensus::{Entry, HardState, Start};
use remex_engine::MemoryEngine;
use remex_log::Log;
use remex_log::memory_disk::MemoryDisk;
use remex_model::{Index, Membership, NodeId, Term};
use remex_state::State;

use super::effects::from_log_entry;
use super::{End, Node};
use crate::around::Around;
use crate::judge::Stamp;
use crate::plant::Plant;
use crate::violation::Stop;

impl Node {
    /// Reads everything that is in the log, and shows it to the judge, who knows what was synced.
    pub(super) fn read_log(
        &mut self,
        id: NodeId,
        log: &Log<MemoryDisk>,
        around: &mut Around,
    ) -> Result<Vec<Entry>, Stop> {
        let first = log.first_index();
        let read = match log.read(first, log.last_index() + 1, usize::MAX) {
            Ok(read) => read,
            Err(error) => {
                let rotten = error.is_damage() && self.media.log_rotten;
                return Err(self.start_failed(rotten.then_some(End::LogRotten), &error));
            }
        };
        let entries: Vec<Entry> = read.into_iter().map(from_log_entry).collect::<Result<_, _>>()?;
        if self.has_log {
            let stamps: Vec<Stamp> = entries.iter().map(Stamp::of).collect();
            around.judge.recovered(id, hard_state(log), Index(first), &stamps)?;
        }
        Ok(entries)
    }

    /// What the core starts from: the entries behind what is applied, and what log and state say.
    pub(super) fn core_start(
        &self,
        log: &Log<MemoryDisk>,
        state: &State<MemoryEngine>,
        mut entries: Vec<Entry>,
        around: &Around,
    ) -> Start {
        let applied = state.applied();
        let behind = entries.partition_point(|entry| entry.index <= applied);
        entries.drain(..behind);
        let mut membership = Membership::clone(&state.membership());
        if around.plant == Some(Plant::LearnerCounts) {
            let all = membership.members().map(|(member, _)| member.clone());
            membership = Membership::founded(all.collect::<Vec<_>>());
        }
        Start {
            hard_state: hard_state(log),
            membership,
            applied,
            first_index: Index(log.first_index()),
            terms: runs_of_terms(log),
            entries,
        }
    }
}

pub(super) fn hard_state(log: &Log<MemoryDisk>) -> HardState {
    let kept = log.hard_state();
    let vote = (kept.vote != 0).then_some(NodeId(kept.vote));
    HardState { term: Term(kept.term), vote, commit: Index(kept.commit) }
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
