//! Making a node a member: one that is invited, one that asks, and one that is only expected to
//! appear at an address some day.

use std::time::Instant;

use remex_model::{Error, ErrorCode, Member, MemberChange, MemberRole, NodeId, Part};

use super::awaited::{check_address, expect};
use super::decide::{Entry, entry, invitable};
use super::propose::{Stop, propose};
use super::{Changed, Steward};
use crate::peer::ask::{self, Absent};
use crate::peer::form::{Found, Serving};

/// What somebody who adds a node wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Its peer address.
    pub(super) address: &'a str,
    /// The name that it must have, if that matters.
    pub(super) name: Option<&'a str>,
    /// What it is to become.
    pub(super) role: MemberRole,
    /// Whether it is awaited if no node answers there.
    pub(super) awaited: bool,
}

impl Steward {
    /// Invites the node at an address, or awaits it there.
    pub(super) async fn add(
        &self,
        serving: &Serving,
        wanted: &Wanted<'_>,
        deadline: Instant,
    ) -> Result<Changed, Stop> {
        let Wanted { address, name, role, awaited } = *wanted;
        if awaited {
            check_address(address)?;
        }
        match (self.former().look(address).await, name) {
            (Ok(found), _) => self.invite(serving, found, name, role, deadline).await,
            (Err(_), Some(name)) if awaited => expect(serving, address, name, role, deadline).await,
            (Err(_), None) if awaited => {
                let detail = format!("no node answers at {address}, and it was not given a name");
                let hint = "give the name that the node will have, or start the node first";
                Err(Error::new(ErrorCode::BadRequest, detail).hint(hint).into())
            }
            (Err(no_answer), _) => {
                let detail = format!("no node answers at {address}: {no_answer}");
                let hint = "check that it is the node's --peer-listen address, and that it runs";
                Err(Error::new(ErrorCode::NotReady, detail).hint(hint).retry_after(1000).into())
            }
        }
    }

    /// Invites a node that was looked at; one with a name that somebody wants only if it has that.
    pub(super) async fn invite(
        &self,
        serving: &Serving,
        found: Found,
        name: Option<&str>,
        role: MemberRole,
        deadline: Instant,
    ) -> Result<Changed, Stop> {
        let cluster = serving.cluster.id;
        let membership = serving.board.membership();
        let Found { member: found, phase, pristine } = found;
        invitable(&membership, cluster, &found, &phase, pristine, name)?;
        let limit = self.former().patience.invitation;
        let replaces = membership.named(&found.name).is_some();
        let member = Member { promote: role == MemberRole::Voter, ..found };
        let (member, added) = self.take_in(serving, member, deadline).await?;
        if !added {
            let part = membership.get(member.id).map_or(Part::Learner, |(_, part)| part);
            return Ok((member, super::role(part)));
        }
        match ask::invite(&serving.cluster.hello(), cluster, &member, limit).await {
            Ok(()) => {}
            // Unless it has taken the place of another: that one is gone already.
            Err(Absent::Denied(error)) if error.code == ErrorCode::Conflict && !replaces => {
                tracing::warn!(member = %member.name, reason = %error, "it does not come");
                let changes = vec![MemberChange::Remove(member.id)];
                propose(serving, changes, false, deadline).await?;
                return Err(error.into());
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(member = %member.name, %reason, "a new member is invited again later");
            }
        }
        Ok((member, MemberRole::Learner))
    }

    /// Makes a node a member, in the place of its old self if its name is taken by one that is
    /// gone, or of the member that stood for it until it appeared. Answers with the member, and
    /// whether it was none before.
    pub(super) async fn take_in(
        &self,
        serving: &Serving,
        member: Member,
        deadline: Instant,
    ) -> Result<(Member, bool), Stop> {
        let cluster = &serving.cluster;
        let membership = serving.board.membership();
        // One that connects a moment later is not gone.
        let alive = |id: NodeId| {
            id == cluster.me.id
                || !cluster.knows_who_is_alive()
                || cluster.peers().get(&id).is_some_and(|peer| cluster.was_heard(peer))
        };
        let id = member.id;
        let steps = match entry(&membership, cluster.id, member, alive)? {
            Entry::Already => Vec::new(),
            Entry::By(steps) => steps,
        };
        let added = !steps.is_empty();
        let mut membership = membership;
        for changes in steps {
            membership = propose(serving, changes, false, deadline).await?;
        }
        // It was heard of just now, and connects in a moment: another node of its name that asks
        // meanwhile would push it out otherwise, and nobody it knows could tell it.
        if let Some(peer) = cluster.peers().get(&id).filter(|_| added) {
            cluster.note_contact(peer);
        }
        match membership.get(id) {
            Some((member, _)) => Ok((member.clone(), added)),
            None => {
                let detail = "the node was removed while it was being added";
                Err(Error::new(ErrorCode::Conflict, detail).into())
            }
        }
    }
}
