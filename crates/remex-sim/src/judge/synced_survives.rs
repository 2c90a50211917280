//! What was synced survives a crash, and what was not is lost from the end only: the contract of
//! the log (`remex_log::Log::append`, `Log::sync`).

use remex_consensus::HardState;
use remex_model::{Index, NodeId};

use super::shadow_log::{ShadowLog, Stamp, Stamps};
use crate::violation::Check;

const NAME: &str = "synced_survives";

/// A node comes up with these entries from `first` on, and this hard state. They must be what
/// was synced, or that with some of the later writes, oldest first; of the last of these the
/// hard state and the cut may be there without the entries, or with some of them.
///
/// The commit index is part of that: whoever has an entry knows after a crash, too, what came with
/// it as committed, and joint consensus rests on it (`remex_consensus`, `core/membership.rs`).
pub(crate) fn check(
    node: NodeId,
    log: &ShadowLog,
    hard_state: HardState,
    first: Index,
    stamps: &[Stamp],
) -> Check {
    let mut recovered = log.synced.clone();
    if first > recovered.last().next() {
        let last = recovered.last();
        return Err((NAME, format!("node {node} kept nothing before {first}, synced to {last}")));
    }
    recovered.replace_from(first, stamps);
    let commit_max = recovered.last();
    let fits = |state: &HardState| {
        (state.term, state.vote) == (hard_state.term, hard_state.vote)
            && state.commit.min(commit_max) <= hard_state.commit
    };
    let mut entries = log.synced.clone();
    let mut state = log.synced_hard_state;
    if entries == recovered && fits(&state) {
        return Ok(());
    }
    for change in &log.pending {
        state = change.hard_state.unwrap_or(state);
        let fits = fits(&state);
        if fits && entries == recovered {
            return Ok(());
        }
        if change.stamps.is_empty() {
            continue;
        }
        entries.truncate(Index(change.first.get() - 1));
        if fits && is_torn(&entries, &change.stamps, &recovered) {
            return Ok(());
        }
        entries.replace_from(change.first, &change.stamps);
    }
    let detail = format!(
        "node {node} came up with entries {first} to {} and {hard_state:?}; synced were entries \
         up to {} and {:?}, {} writes were under way",
        recovered.last(),
        log.synced.last(),
        log.synced_hard_state,
        log.pending.len()
    );
    Err((NAME, detail))
}

/// Whether `recovered` is `before` with the first few of `stamps`, or all, behind it.
fn is_torn(before: &Stamps, stamps: &[Stamp], recovered: &Stamps) -> bool {
    let Some(kept) = recovered.last().get().checked_sub(before.last().get()) else { return false };
    let Ok(kept) = usize::try_from(kept) else { return false };
    let Some(kept) = stamps.get(..kept) else { return false };
    let mut expected = before.clone();
    expected.replace_from(before.last().next(), kept);
    expected == *recovered
}
