//! What is committed is synced on a quorum, at that moment and ever after (Raft paper, figure 2:
//! "respond after persisting"; thesis §10.2.1 for the leader that writes in parallel).

use remex_model::{Index, NodeId};

use super::ledger::Ledger;
use super::memberships::{Memberships, majority};
use super::shadow_log::{ShadowLog, Stamp};
use crate::selves::ByNode;
use crate::violation::Check;

const NAME: &str = "quorum_durability";

/// An entry is committed now, by a node that has applied everything up to `since`. The membership
/// by which a leader counts is the one that it has applied.
pub(crate) fn check_commit(
    index: Index,
    stamp: Stamp,
    logs: &ByNode<ShadowLog>,
    memberships: &Memberships,
    since: Index,
) -> Check {
    let synced = |node: NodeId| logs[node].has_synced(index, stamp);
    if memberships.between(since, index).any(|membership| majority(membership, synced)) {
        return Ok(());
    }
    let on: Vec<u64> = (1..=logs.len() as u64).filter(|&id| synced(NodeId(id))).collect();
    let (voters, old): (Vec<_>, Vec<_>) = {
        let latest = memberships.latest();
        (latest.voters().collect(), latest.old_voters().collect())
    };
    let detail = format!(
        "entry {index} is committed, but synced on nodes {on:?} alone; {voters:?} vote, {old:?} \
         voted"
    );
    Err((NAME, detail))
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
