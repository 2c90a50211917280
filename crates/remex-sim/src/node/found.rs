//! What a cluster is founded with: every founder's log begins behind the founding entry, and its
//! state is the one at that entry.

use remex_log::memory_disk::MemoryDisk;
use remex_log::{HardState, Log, LogError, Position};
use remex_model::{Index, Membership, NodeId, Term};

use crate::selves::Selves;

/// The entry that nobody ever wrote: what the founders agreed on.
pub(crate) const FOUNDING: (Index, Term) = (Index(1), Term(1));

/// The membership at the founding entry.
pub(crate) fn founding(selves: &Selves, founders: usize) -> Membership {
    let founders = (1..).map(NodeId).take(founders);
    Membership::founded(founders.map(|id| selves.member(id, false)))
}

/// The hard state of a log that begins anew behind an entry. Votes stay.
pub(super) fn hard_state_behind(known: HardState, index: Index, term: Term) -> HardState {
    let mut hard_state = HardState { commit: index.get(), ..known };
    if term.get() > known.term {
        (hard_state.term, hard_state.vote) = (term.get(), 0);
    }
    hard_state
}

/// Empties a log: the effect of everything up to this entry is durable elsewhere.
pub(super) fn begin_behind(
    log: &mut Log<MemoryDisk>,
    index: Index,
    term: Term,
) -> Result<(), LogError> {
    let hard_state = hard_state_behind(log.hard_state(), index, term);
    let position = Position { index: index.get(), term: term.get() };
    log.start_after(Some(hard_state), position)?;
    log.sync()
}
