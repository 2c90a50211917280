//! What a cluster is founded with: every founder's log begins behind the founding entry, and its
//! state is the one at that entry.

use remex_log::memory_disk::MemoryDisk;
use remex_log::{HardState, Log, LogError, Position};
use remex_model::{Incarnation, Index, Member, Membership, Term};

use crate::selves::Selves;

/// The entry that nobody ever wrote: what the founders agreed on.
pub(crate) const FOUNDING: (Index, Term) = (Index(1), Term(1));

/// The membership at the founding entry: whoever lives anywhere, as a voter.
pub(super) fn membership(selves: &Selves) -> Membership {
    let member = |id| Member {
        id,
        incarnation: Incarnation(id.get()),
        name: format!("n{}", selves.place(id)),
        peer_address: format!("n{}:1", selves.place(id)),
        client_url: String::new(),
        promote: false,
    };
    Membership::founded(selves.all().map(member))
}

/// Begins an empty log.
pub(super) fn begin(log: &mut Log<MemoryDisk>) -> Result<(), LogError> {
    let (index, term) = (FOUNDING.0.get(), FOUNDING.1.get());
    let hard_state = HardState { term, vote: 0, commit: index };
    log.start_after(Some(hard_state), Position { index, term })?;
    log.sync()
}
