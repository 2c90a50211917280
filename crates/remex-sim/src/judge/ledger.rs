//! The judge's own account of what is committed.

use remex_model::{Index, NodeId, Term};

use super::shadow_log::{ShadowLog, Stamp, Stamps};
use crate::violation::Check;

/// Every entry that some node ever took for committed.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    committed: Stamps,
}

impl Ledger {
    pub(crate) fn last(&self) -> Index {
        self.committed.last()
    }

    pub(crate) fn get(&self, index: Index) -> Option<Stamp> {
        self.committed.get(index)
    }

    pub(crate) fn stamps(&self) -> &Stamps {
        &self.committed
    }

    /// The last committed entry of a term before this one; terms never fall along the log.
    pub(crate) fn last_before(&self, term: Term) -> Index {
        self.committed.last_before(term)
    }

    /// A node takes its log for committed up to `commit`: entries that are committed already
    /// must be those that it has, others become so if `newly` agrees.
    pub(crate) fn extend(
        &mut self,
        node: NodeId,
        log: &ShadowLog,
        commit: Index,
        newly: impl Fn(Index, Stamp) -> Check,
    ) -> Check {
        if commit <= self.last() {
            return Ok(());
        }
        // By log matching, agreement on the last entry is agreement on all before it.
        let last = self.last();
        if last > Index(0) && log.all.get(last) != self.get(last) {
            let detail = format!("node {node} commits up to {commit} on another entry {last}");
            return Err(("leader_completeness", detail));
        }
        while self.last() < commit {
            let index = self.last().next();
            let Some(stamp) = log.all.get(index) else {
                let detail = format!("node {node} commits entry {index}, which it does not have");
                return Err(("quorum_durability", detail));
            };
            newly(index, stamp)?;
            self.committed.replace_from(index, &[stamp]);
        }
        Ok(())
    }
}
