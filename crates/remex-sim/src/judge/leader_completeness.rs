//! Leader completeness: an entry committed in a term is in the logs of the leaders of all later
//! terms (Raft paper, figure 3 and §5.4).

use remex_model::{Index, NodeId, Term};

use super::ledger::Ledger;
use super::shadow_log::ShadowLog;
use crate::violation::Check;

/// A node leads this term.
pub(crate) fn check(node: NodeId, log: &ShadowLog, term: Term, ledger: &Ledger) -> Check {
    let last = ledger.last_before(term);
    // By log matching, having the last one is having all of them.
    if last == Index(0) || log.all.get(last) == ledger.get(last) {
        return Ok(());
    }
    let ends = log.all.last();
    let detail = format!(
        "node {node} leads term {term} without committed entry {last}; its log ends at {ends}"
    );
    Err(("leader_completeness", detail))
}
