//! A node applies only what its own disk holds: the state machine's runs may then reach the
//! engine at any moment without getting ahead of the log (`remex_consensus::StartError`).

use remex_model::{Index, NodeId};

use super::shadow_log::{ShadowLog, Stamp};
use crate::violation::Check;

/// A node is about to apply an entry.
pub(crate) fn check(node: NodeId, log: &ShadowLog, index: Index, stamp: Stamp) -> Check {
    if log.synced.get(index) == Some(stamp) {
        return Ok(());
    }
    Err(("applied_is_synced", format!("node {node} applies entry {index} before it is synced")))
}
