//! What the leader does about members that nobody asks it for: it takes over what they say of
//! themselves, takes those in that come back without their disks, and looks out for those that are
//! awaited.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remex_model::{Member, MemberChange, MemberRole, Membership};

use super::Steward;
use super::awaited::Complaints;
use super::decide::check_texts;
use super::propose::{Stop, TTL, propose};
use crate::peer::form::Serving;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// A member that has been silent for this long is looked for at its address: it may run there without
/// its disk. Longer than a restart takes: a node that is started with the wrong data directory by
/// mistake can be stopped before it takes the other's place.
const GONE_MS: u64 = 10_000;

impl Steward {
    /// Looks after the members, for as long as the node lives.
    pub(crate) async fn tend(self: Arc<Self>) {
        let (mut complaint, mut complaints) = (String::new(), Complaints::new());
        loop {
            tokio::time::sleep(PAUSE).await;
            let Some(serving) = self.former().serving() else { continue };
            let membership = serving.board.membership();
            let leads = serving.cluster.leader() == Some(serving.cluster.me.id);
            if !leads || membership.is_joint() {
                continue;
            }
            let done = match outdated(&serving, &membership) {
                Some(member) => take_over(&serving, member).await,
                None => self.take_back(&serving, &membership).await,
            };
            if let Err(Stop::Error(error)) = done {
                let text = error.to_string();
                if text != complaint {
                    tracing::warn!(reason = %text, "cannot take over what a member says of itself");
                    complaint = text;
                }
            }
            if self.look_out(&serving, &mut complaints).await.is_err() {
                tracing::debug!("another node looks out for who is awaited from now on");
            }
        }
    }

    /// Takes a node in that runs at the address, and under the name, of a member that is gone, and
    /// has nothing to lose: it is that member without its disk. A founder that was started alone is
    /// started alone again, and cannot know whom to ask.
    async fn take_back(&self, serving: &Serving, membership: &Membership) -> Result<(), Stop> {
        let cluster = &serving.cluster;
        let peers = cluster.peers();
        for (member, part) in membership.members() {
            let silent = |since: Option<u64>| since.is_none_or(|since| since > GONE_MS);
            let gone = peers
                .get(&member.id)
                .is_some_and(|peer| !peer.is_connected() && silent(cluster.since_contact_ms(peer)));
            if !gone || !cluster.knows_who_is_alive() {
                continue;
            }
            let address = &member.peer_address;
            let Ok(found) = self.former().look(address).await else { continue };
            let is_it = found.member.name == member.name && found.member.id != member.id;
            if is_it && found.has_nothing_to_lose(cluster.id) {
                tracing::warn!(
                    member = %member.name, %address,
                    "a member has come back without its disk; it takes the place of its old self"
                );
                let role = match part.votes() || member.promote {
                    true => MemberRole::Voter,
                    false => MemberRole::Learner,
                };
                let deadline = Instant::now() + TTL;
                self.invite(serving, found, Some(&member.name), role, deadline).await?;
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Takes over a member's new name or addresses: they may change with every start.
async fn take_over(serving: &Serving, member: Member) -> Result<(), Stop> {
    check_texts(&member)?;
    let name = member.name.clone();
    propose(serving, vec![MemberChange::Update(member)], false, Instant::now() + TTL).await?;
    tracing::info!(member = %name, "took over its new name or addresses");
    Ok(())
}

/// A member whose name or addresses are not those in the membership, as it describes itself.
fn outdated(serving: &Serving, membership: &Membership) -> Option<Member> {
    let cluster = &serving.cluster;
    membership.members().find_map(|(member, _)| {
        let said = if member.id == cluster.me.id {
            cluster.me.clone()
        } else {
            let peer = cluster.peers().get(&member.id).cloned()?;
            if !peer.is_connected() {
                return None;
            }
            peer.known().member
        };
        let said = Member { promote: member.promote, ..said };
        (said.incarnation == member.incarnation && said != *member).then_some(said)
    })
}
