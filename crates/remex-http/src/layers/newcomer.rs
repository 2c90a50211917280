//! Taking a node into the cluster, for dialects whose users go on with it at once.

use std::time::Instant;

use remex_model::{Error, MemberRequest, MemberRole, MemberStep, MemberView};

use super::within;
use crate::surface::Shared;

/// Takes the node at a peer address in as a voter. One that has a `name` and does not run yet is
/// awaited there. One that runs is waited for until it votes, but only up to `until`: the imitated
/// systems count a new node at once, so the next request of their users may be one to it.
pub(crate) async fn take_in(
    shared: &Shared,
    peer_address: String,
    name: Option<String>,
    until: Instant,
) -> Result<MemberView, Error> {
    let deadline = shared.change_deadline();
    let awaited = name.is_some();
    let step = MemberStep::Add { peer_address, name, role: MemberRole::Voter, awaited };
    let request = MemberRequest { step, force: false, deadline };
    let member = within(deadline, shared.admin.change_members(request)).await?;
    if member.role == MemberRole::Voter {
        return Ok(member);
    }
    let step = MemberStep::Promote(member.id.to_string());
    let request = MemberRequest { step, force: false, deadline: until };
    match within(until, shared.admin.change_members(request)).await {
        Ok(member) => Ok(member),
        Err(error) => {
            // It is in, which is all that was promised, and will vote as soon as it can.
            tracing::debug!(member = %member.name, %error, "a new member does not vote yet");
            Ok(member)
        }
    }
}
