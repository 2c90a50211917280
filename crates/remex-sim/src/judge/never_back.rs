//! Term, commit index, applied index and revision of a node never go back while it runs (Raft
//! paper, figure 2: "increases monotonically"; revisions: etcd's guarantee).

use remex_model::{Index, NodeId};

use super::Standing;
use crate::selves::ByNode;
use crate::violation::Check;

/// How far each node was at its last turn in this run.
#[derive(Debug)]
pub(crate) struct NeverBack(ByNode<Standing>);

impl NeverBack {
    pub(crate) fn new(nodes: usize) -> Self {
        Self(ByNode::new(nodes, Standing::default))
    }

    pub(crate) fn check(&mut self, node: NodeId, now: Standing) -> Check {
        let before = std::mem::replace(&mut self.0[node], now);
        let back = now.term < before.term
            || now.commit < before.commit
            || now.applied < before.applied
            || now.revision < before.revision;
        let ahead = now.applied > now.commit;
        match (back, ahead) {
            (false, false) => Ok(()),
            (true, _) => {
                Err(("never_back", format!("node {node} went from {before:?} to {now:?}")))
            }
            (false, true) => Err(("never_back", format!("node {node} applied too much: {now:?}"))),
        }
    }

    /// How far a node had applied the log at its last turn.
    pub(crate) fn applied(&self, node: NodeId) -> Index {
        self.0[node].applied
    }

    pub(crate) fn push(&mut self) {
        self.0.push(Standing::default());
    }

    pub(crate) fn restarted(&mut self, node: NodeId, applied: Index) {
        self.0[node] = Standing { applied, ..Standing::default() };
    }
}
