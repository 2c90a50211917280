//! Log matching: if two logs hold an entry with the same index and term, they are identical up
//! to that entry (Raft paper, figure 3 and §5.3).

use std::collections::BTreeMap;

use remex_consensus::Entry;
use remex_model::{Index, NodeId, Term};

use super::shadow_log::{ShadowLog, Stamp};
use crate::violation::Check;

const NAME: &str = "log_matching";

/// Every entry ever written: what it was, and the term of the entry before it. Equal entries
/// with equal predecessors make, by induction, equal logs.
#[derive(Debug, Default)]
pub(crate) struct LogMatching(BTreeMap<(Index, Term), (Stamp, Term)>);

impl LogMatching {
    /// A node has added these entries to its log.
    pub(crate) fn check(&mut self, node: NodeId, log: &ShadowLog, entries: &[Entry]) -> Check {
        let Some(first) = entries.first() else { return Ok(()) };
        let before = Index(first.index.get() - 1);
        let mut previous = log.all.get(before).map_or(Term(0), |stamp| stamp.term);
        for (position, entry) in entries.iter().enumerate() {
            let (index, term) = (entry.index, entry.term);
            if index.get() != first.index.get() + position as u64 || term < previous {
                let detail = format!("node {node}: entry {index} of term {term} does not follow");
                return Err((NAME, detail));
            }
            let this = (Stamp::of(entry), previous);
            let known = *self.0.entry((index, term)).or_insert(this);
            if known != this {
                let detail = format!("node {node} has another entry {index} of term {term}");
                return Err((NAME, detail));
            }
            previous = term;
        }
        Ok(())
    }

    /// A node without peers has lost the entries behind `last`, which nobody else ever saw.
    pub(crate) fn forget_behind(&mut self, last: Index) {
        self.0.retain(|&(index, _), _| index <= last);
    }
}
