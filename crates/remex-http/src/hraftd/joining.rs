//! What `/join` of hraftd does: the node becomes a member, and what was known of its id or its
//! address before goes.
//!
//! The leader looks at the node first, so a member that asks again changes nothing, one that lost
//! its disk takes its own place, and a running node that has another name than the request says is
//! an error: nobody is removed for a mistyped id. Nor for a mistyped address: a member that runs
//! makes room only for a node that answers. Only if the id or the address belong to a member
//! that is not the node in question is that member removed first, as hraftd does.

use std::time::Instant;

use remex_model::{Error, ErrorCode, MemberRequest, MemberRole, MemberStep, MemberView};

use super::convert::Newcomer;
use crate::layers;
use crate::surface::Shared;

/// A member that was heard of within so many milliseconds runs.
const RUNS_MS: u64 = 3_000;

/// Makes a node a member; waits up to `until` for it to vote.
pub(crate) async fn join(
    shared: &Shared,
    newcomer: &Newcomer,
    until: Instant,
) -> Result<(), Error> {
    match take_in(shared, newcomer, until).await {
        Ok(()) => {
            // A node of a new name runs where another one ran: that one is gone for good.
            let replaced = others(shared, |member| member.address_is_that_of(newcomer));
            remove(shared, &replaced).await.map(drop).map_err(|error| {
                let detail = format!("{} is a member now, but {}", newcomer.name, error.detail);
                Error { detail, ..error }
            })
        }
        Err(error) if error.code == ErrorCode::MemberExists => {
            let old = others(shared, |member| {
                member.name_is_that_of(newcomer) || member.address_is_that_of(newcomer)
            });
            if old.is_empty() {
                return Err(error);
            }
            let me = shared.admin.node().id;
            let runs = old.iter().find(|old| old.id != me && old.runs_elsewhere(newcomer));
            if let Some(old) = runs
                && !answers(shared, newcomer, until).await
            {
                let Newcomer { name, address } = newcomer;
                let old = &old.peer_address;
                let detail = format!("{name} runs at {old}, and no node answers at {address}");
                let hint = "check `addr`; start the node there first, or stop the other one";
                return Err(Error::new(ErrorCode::Conflict, detail).hint(hint).retry_after(1_000));
            }
            let names = remove(shared, &old).await?;
            take_in(shared, newcomer, until).await.map_err(|error| {
                let detail = format!("{names} was removed as asked, but then: {}", error.detail);
                Error { detail, ..error }
            })
        }
        Err(error) => Err(error),
    }
}

trait Likeness {
    fn name_is_that_of(&self, newcomer: &Newcomer) -> bool;
    fn address_is_that_of(&self, newcomer: &Newcomer) -> bool;
    fn runs_elsewhere(&self, newcomer: &Newcomer) -> bool;
}

impl Likeness for MemberView {
    /// Its name, but not its address.
    fn name_is_that_of(&self, newcomer: &Newcomer) -> bool {
        self.name == newcomer.name && self.peer_address != newcomer.address
    }

    /// Its address, but not its name.
    fn address_is_that_of(&self, newcomer: &Newcomer) -> bool {
        self.name != newcomer.name && self.peer_address == newcomer.address
    }

    /// Its name, at an address of its own at which it is well.
    fn runs_elsewhere(&self, newcomer: &Newcomer) -> bool {
        self.name_is_that_of(newcomer) && self.last_contact_ms.is_some_and(|ms| ms < RUNS_MS)
    }
}

async fn take_in(shared: &Shared, newcomer: &Newcomer, until: Instant) -> Result<(), Error> {
    let Newcomer { name, address } = newcomer.clone();
    layers::take_in(shared, address, Some(name), until).await.map(drop)
}

/// Whether a node runs at the newcomer's address.
async fn answers(shared: &Shared, newcomer: &Newcomer, deadline: Instant) -> bool {
    let Newcomer { name, address: peer_address } = newcomer.clone();
    // Not awaited, so that nothing but this is told by `NotReady`.
    let step =
        MemberStep::Add { peer_address, name: Some(name), role: MemberRole::Voter, awaited: false };
    let request = MemberRequest { step, force: false, deadline };
    let answer = layers::within(deadline, shared.admin.change_members(request)).await;
    !matches!(answer, Err(error) if error.code == ErrorCode::NotReady)
}

/// The members that are meant.
fn others(shared: &Shared, are_meant: impl Fn(&MemberView) -> bool) -> Vec<MemberView> {
    shared.admin.cluster().members.into_iter().filter(are_meant).collect()
}

/// Removes members, one after the other; answers with their names. Never this node: it would end
/// before it could say what came of the rest.
async fn remove(shared: &Shared, members: &[MemberView]) -> Result<String, Error> {
    let me = shared.admin.node().id;
    if let Some(member) = members.iter().find(|member| member.id == me) {
        let detail =
            format!("{} is the node that you ask, which does not remove itself", member.name);
        return Err(Error::new(ErrorCode::Conflict, detail)
            .hint("check `id` and `addr`, or send this to another member"));
    }
    let mut names: Vec<&str> = Vec::new();
    for member in members {
        let deadline = shared.change_deadline();
        let step = MemberStep::Remove(member.id.to_string());
        let request = MemberRequest { step, force: false, deadline };
        match layers::within(deadline, shared.admin.change_members(request)).await {
            Ok(_) => {}
            Err(error) if error.code == ErrorCode::MemberNotFound => {}
            Err(error) => {
                let mut detail = format!("{} could not be removed: {}", member.name, error.detail);
                if !names.is_empty() {
                    detail = format!("{} was removed as asked, but {detail}", names.join(" and "));
                }
                return Err(Error { detail, ..error });
            }
        }
        names.push(&member.name);
    }
    Ok(names.join(" and "))
}
