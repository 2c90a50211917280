//! Who belongs to the cluster.

use std::time::Instant;

use remex_model::{Error, ErrorCode, MemberRequest, MemberRole, MemberStep, MemberView};

use super::Store;
use crate::Fatal;

impl Store {
    /// Takes the node at a peer address into this store's cluster, and waits until it has all the
    /// data and votes. Works on any member. The node must wait to be taken in ([`super::Builder::wait`]),
    /// or be alone in a cluster that was never written to, which it then gives up. Taking in a member
    /// again changes nothing.
    ///
    /// # Errors
    /// [`ErrorCode::NotReady`] if no node answers there; [`ErrorCode::MemberExists`] for a name that
    /// a living member has; [`ErrorCode::Conflict`] for a node with data of its own;
    /// [`ErrorCode::Timeout`] if it has not caught up in time: it becomes a voter by itself later.
    pub async fn join(&self, peer_address: impl Into<String>) -> Result<MemberView, Error> {
        let deadline = self.members_deadline();
        let add = MemberStep::Add {
            peer_address: peer_address.into(),
            name: None,
            role: MemberRole::Voter,
            awaited: false,
        };
        let added = self.change(add, deadline).await?;
        self.change(MemberStep::Promote(added.id.to_string()), deadline).await
    }

    /// This node leaves its cluster for good and is closed, for all clones of the handle. If it leads,
    /// it hands leadership over first. Its directory then belongs to nobody: to take part again, it
    /// must be emptied.
    ///
    /// # Errors
    /// [`ErrorCode::WouldLoseQuorum`] if it is the last voter, or if those that remain have no
    /// majority that can be reached; [`ErrorCode::Timeout`] if that could not be settled in time. The
    /// store is closed only if it has left.
    pub async fn leave(&self) -> Result<(), Error> {
        let deadline = self.members_deadline();
        let me = self.shared.admin.node().id.to_string();
        let removed = async {
            match self.failed().await {
                Fatal::Removed(_) => Ok(()),
                Fatal::Failed(reason) => Err(Error::new(ErrorCode::NotReady, reason)),
            }
        };
        tokio::pin!(removed);
        tokio::select! {
            // What the leader answers may be lost when it cuts this node off.
            removed = &mut removed => removed?,
            changed = self.change(MemberStep::Remove(me), deadline) => {
                changed?;
                // It notices by itself, and writes that down.
                match tokio::time::timeout_at(deadline.into(), removed).await {
                    Ok(removed) => removed?,
                    Err(_elapsed) => {
                        tracing::warn!("this node has left its cluster, but did not notice in time");
                    }
                }
            }
        }
        match self.close().await {
            Ok(()) | Err(Fatal::Removed(_)) => Ok(()),
            Err(Fatal::Failed(reason)) => Err(Error::new(ErrorCode::Internal, reason)),
        }
    }

    /// Removes a member, by name or id, for good: one that is gone, or one that is not wanted any
    /// more, which then stops. Works on any member.
    ///
    /// # Errors
    /// [`ErrorCode::MemberNotFound`]; [`ErrorCode::WouldLoseQuorum`] if those that remain have no
    /// majority that can be reached; [`ErrorCode::ChangeInProgress`]; [`ErrorCode::Timeout`].
    pub async fn remove(&self, member: impl Into<String>) -> Result<MemberView, Error> {
        self.change(MemberStep::Remove(member.into()), self.members_deadline()).await
    }

    async fn change(&self, step: MemberStep, deadline: Instant) -> Result<MemberView, Error> {
        let request = MemberRequest { step, force: false, deadline };
        self.shared.admin.change_members(request).await
    }
}
