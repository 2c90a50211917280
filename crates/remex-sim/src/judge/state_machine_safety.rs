//! State machine safety: no two nodes apply different entries at one index (Raft paper, figure 3
//! and §5.4.3), only committed entries are applied, and what was applied makes the same state.

use remex_model::{Index, NodeId};

use super::ledger::Ledger;
use super::shadow_log::Stamp;
use crate::node::FOUNDING;
use crate::violation::{Broken, Check};

const NAME: &str = "state_machine_safety";

/// The hash of the state at every index behind the founding one, as the first node that came there
/// had it.
#[derive(Debug, Default)]
pub(crate) struct StateMachineSafety(Vec<u64>);

/// A node is about to apply an entry.
pub(crate) fn check_entry(node: NodeId, ledger: &Ledger, index: Index, stamp: Stamp) -> Check {
    match ledger.get(index) {
        Some(committed) if committed == stamp => Ok(()),
        Some(_) => Err((NAME, format!("node {node} applies another entry {index}"))),
        None => Err((NAME, format!("node {node} applies entry {index}, which is not committed"))),
    }
}

impl StateMachineSafety {
    /// The last entry that any node has applied.
    pub(crate) fn last(&self) -> Index {
        Index(FOUNDING.0.get() + self.0.len() as u64)
    }

    /// A node has applied everything up to this entry. True if it is the first that has.
    pub(crate) fn check_state(
        &mut self,
        node: NodeId,
        index: Index,
        hash: u64,
    ) -> Result<bool, Broken> {
        let behind = index.get().saturating_sub(FOUNDING.0.get() + 1);
        let known = usize::try_from(behind).ok().and_then(|at| self.0.get(at));
        match known {
            None if behind == self.0.len() as u64 => {
                self.0.push(hash);
                Ok(true)
            }
            None => Err((NAME, format!("node {node} applied entry {index} before its time"))),
            Some(&first) if first == hash => Ok(false),
            Some(_) => Err((NAME, format!("node {node} has another state at entry {index}"))),
        }
    }
}
