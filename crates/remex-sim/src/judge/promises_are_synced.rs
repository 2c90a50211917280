//! A node promises only what it has synced: its term, its vote, the entries that it acknowledges
//! (Raft paper, figure 2: "updated on stable storage before responding to RPCs").
//!
//! What follows from a broken promise, two leaders in a term or a committed entry that is lost,
//! needs a crash at the right moment and then the wrong messages. The promise itself is broken
//! every time.

use remex_consensus::Promise;
use remex_model::{Index, Term};

use super::shadow_log::ShadowLog;
use crate::violation::Check;

const NAME: &str = "promises_are_synced";

/// A node sends a message with this promise.
pub(crate) fn check(node: usize, log: &ShadowLog, promise: Promise) -> Check {
    let synced = log.synced_hard_state;
    let kept = match promise {
        Promise::Nothing => true,
        Promise::Term { term } => synced.term >= term,
        Promise::Vote { term, candidate } => {
            synced.term > term || (synced.term == term && synced.vote == Some(candidate))
        }
        Promise::Entries { term, last } => {
            // A node that has moved on to a later term may have replaced them since.
            synced.term > term || (synced.term == term && holds(log, last))
        }
    };
    if kept {
        return Ok(());
    }
    let last = log.synced_last();
    Err((NAME, format!("node {node} sends {promise:?}, synced are {synced:?}, entries to {last}")))
}

/// Whether the entries up to `last` are synced, and are those that the core has. An entry that is
/// to be replaced does not count.
fn holds(log: &ShadowLog, last: Index) -> bool {
    last == Index(0)
        || log.synced.get(last).is_some_and(|stamp| {
            stamp.term > Term(0) && (log.all.get(last) == Some(stamp) || log.all.last() < last)
        })
}
