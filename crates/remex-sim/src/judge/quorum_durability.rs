//! What is committed is synced on a quorum, at that moment and ever after (Raft paper, figure 2:
//! "respond after persisting"; thesis §10.2.1 for the leader that writes in parallel).

use remex_model::{Index, NodeId};

use super::ledger::Ledger;
use super::shadow_log::{ShadowLog, Stamp};
use crate::selves::ByNode;
use crate::violation::Check;

const NAME: &str = "quorum_durability";

/// An entry is committed now.
pub(crate) fn check_commit(index: Index, stamp: Stamp, logs: &ByNode<ShadowLog>) -> Check {
    let synced = logs.iter().filter(|log| log.synced.get(index) == Some(stamp)).count();
    if synced * 2 > logs.len() {
        return Ok(());
    }
    let nodes = logs.len();
    Err((NAME, format!("entry {index} is committed, but synced on {synced} of {nodes} nodes")))
}

/// Writes are about to be synced: none may take a committed entry away.
pub(crate) fn check_sync(node: NodeId, log: &ShadowLog, writes: usize, ledger: &Ledger) -> Check {
    for change in log.pending.iter().take(writes).filter(|change| !change.stamps.is_empty()) {
        let first = change.first;
        let committed = ledger.get(first);
        if committed.is_some()
            && committed == log.synced.get(first)
            && committed != change.stamps.first().copied()
        {
            return Err((NAME, format!("node {node} replaces committed entry {first}")));
        }
    }
    Ok(())
}
