//! Election safety: at most one leader in a term (Raft paper, figure 3 and §5.2).

use std::collections::BTreeMap;

use remex_model::{NodeId, Term};

use crate::violation::Check;

const NAME: &str = "election_safety";

/// Who led which term, and in which run of its process.
#[derive(Debug, Default)]
pub(crate) struct ElectionSafety(BTreeMap<Term, (NodeId, u64)>);

impl ElectionSafety {
    /// A node leads this term. Stricter than the paper: it must be one run of its process, too,
    /// because a leader remembers in memory alone which forwards it has taken. The only
    /// voter (`alone`) may lead a term again that it never wrote down: it tells nobody before.
    pub(crate) fn check(&mut self, node: NodeId, run: u64, term: Term, alone: bool) -> Check {
        let (other, other_run) = *self.0.entry(term).or_insert((node, run));
        if other != node {
            return Err((NAME, format!("nodes {other} and {node} both lead term {term}")));
        }
        if other_run != run && !alone {
            return Err((NAME, format!("node {node} leads term {term} again after a restart")));
        }
        Ok(())
    }
}
