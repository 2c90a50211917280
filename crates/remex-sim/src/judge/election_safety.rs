//! Election safety: at most one leader in a term (Raft paper, figure 3 and §5.2).

use std::collections::BTreeMap;

use remex_consensus::HardState;
use remex_model::{NodeId, Term};

use crate::violation::Check;

const NAME: &str = "election_safety";

/// Who led which term, and in which run of its process.
#[derive(Debug, Default)]
pub(crate) struct ElectionSafety(BTreeMap<Term, (NodeId, u64)>);

impl ElectionSafety {
    /// A node leads this term. Stricter than the paper: it must be one run of its process, too,
    /// because a leader remembers in memory alone which forwards it has taken.
    ///
    /// A leader that has not synced its vote for itself (`synced` says what each has) does not
    /// count once it has crashed: it was the only voter, which need not ask anybody, and it tells
    /// nobody before (`promises_are_synced`).
    pub(crate) fn check(
        &mut self,
        (node, run): (NodeId, u64),
        term: Term,
        synced: impl Fn(NodeId) -> HardState,
    ) -> Check {
        let (other, other_run) = *self.0.entry(term).or_insert((node, run));
        if (other, other_run) == (node, run) {
            return Ok(());
        }
        let kept = synced(other);
        if kept.term < term || (kept.term == term && kept.vote != Some(other)) {
            self.0.insert(term, (node, run));
            return Ok(());
        }
        match other == node {
            true => Err((NAME, format!("node {node} leads term {term} again after a restart"))),
            false => Err((NAME, format!("nodes {other} and {node} both lead term {term}"))),
        }
    }
}
