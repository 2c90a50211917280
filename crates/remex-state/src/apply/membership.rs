//! Entries that change who belongs to the cluster.

use std::sync::Arc;

use bytes::Bytes;
use remex_engine::Engine;
use remex_model::{Index, Membership, MembershipChange, MembershipError, ProposalId, Term};

use crate::error::Fatal;
use crate::state::State;

/// What applying a change of the membership came to: the same on every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMembership {
    /// Who waits for it.
    pub id: ProposalId,
    /// The membership from this entry on.
    pub membership: Arc<Membership>,
    /// Whether the change took place. If it did not fit, the membership is as before.
    pub accepted: Result<(), MembershipError>,
}

impl<E: Engine> State<E> {
    /// Applies one committed entry that holds an encoded [`MembershipChange`]. Touches memory only.
    ///
    /// # Errors
    /// If the entry is not the next one or cannot be understood; nothing is applied then.
    pub fn apply_membership(
        &mut self,
        index: Index,
        term: Term,
        payload: Bytes,
    ) -> Result<AppliedMembership, Fatal> {
        self.check_next(index)?;
        let MembershipChange { id, changes } =
            MembershipChange::decode(payload).map_err(|source| Fatal::Entry { index, source })?;
        let meta = &mut self.meta;
        let accepted = meta.membership.after(&changes).map(|membership| {
            meta.digest.membership(&membership);
            meta.membership = Arc::new(membership);
        });
        if accepted.is_err() {
            meta.digest.misfit(id.sequence);
        }
        (meta.applied, meta.term) = (index, term);
        Ok(AppliedMembership { id, membership: Arc::clone(&meta.membership), accepted })
    }
}
