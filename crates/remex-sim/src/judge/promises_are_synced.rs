//! A node promises only what it has synced: its term, its vote, the entries that it acknowledges
//! (Raft paper, figure 2: "updated on stable storage before responding to RPCs").
//!
//! What follows from a broken promise, two leaders in a term or a committed entry that is lost,
//! needs a crash at the right moment and then the wrong messages. The promise itself is broken
//! every time.

use remex_consensus::Promise;
use remex_model::{Index, NodeId, Term};

use super::shadow_log::{Change, ShadowLog};
use crate::violation::Check;

const NAME: &str = "promises_are_synced";

/// A node sends a message with this promise.
pub(crate) fn check(node: NodeId, log: &ShadowLog, promise: Promise) -> Check {
    let synced = log.synced_hard_state;
    let kept = match promise {
        Promise::Nothing => true,
        Promise::Term { term } => synced.term >= term,
        Promise::Vote { term, candidate } => {
            synced.term > term || (synced.term == term && synced.vote == Some(candidate))
        }
        Promise::Entries { term, last } => {
            // A node that has moved on to a later term may have replaced them since.
            synced.term > term || (synced.term == term && holds(log, term, last))
        }
    };
    if kept {
        return Ok(());
    }
    let last = log.synced_last();
    Err((NAME, format!("node {node} sends {promise:?}, synced are {synced:?}, entries to {last}")))
}

/// Whether the entries up to `last` are synced as the leader of `term` has them: the disk reaches
/// that far, and no write of that term that begins at or before `last` is under way. Writes of
/// later terms may be: an acknowledgement that waited for a slow sync is still true.
fn holds(log: &ShadowLog, term: Term, last: Index) -> bool {
    let of_later_term = |change: &Change| change.hard_state.is_some_and(|state| state.term > term);
    let mut of_this_term = log.pending.iter().take_while(|change| !of_later_term(change));
    last <= log.synced_last()
        && !of_this_term.any(|change| !change.stamps.is_empty() && change.first <= last)
}
