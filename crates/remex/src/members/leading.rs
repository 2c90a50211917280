//! What the leader does about members: proposes changes, hands leadership over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remex_consensus::{ChangeRefusal, Event};
use remex_model::{
    Error, ErrorCode, Member, MemberChange, MemberRole, MemberStep, Membership, NodeId, Part, Term,
};
use tokio::sync::oneshot;

use super::add::Wanted;
use super::decide::{check_reachable, no_member, refused, resolve};
use super::{Changed, Steward, role};
use crate::inbox::{ChangeError, Input};
use crate::peer::form::Serving;

/// How long a change waits for another one that is under way, or for a leader that has just begun:
/// most are over in milliseconds.
const IN_PROGRESS_WAIT: Duration = Duration::from_secs(2);

/// Pause between two attempts to propose.
const PAUSE: Duration = Duration::from_millis(20);

/// How long one attempt to hand leadership over may take.
const HAND_OVER: Duration = Duration::from_secs(2);

/// Why the leader did not finish a request.
#[derive(Debug)]
pub(super) enum Stop {
    /// For good.
    Error(Error),
    /// It does not lead any more. A change may have been proposed (`unknown`), or certainly not.
    Moved { unknown: bool },
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Steward {
    /// Carries a change out, on the leader.
    pub(super) async fn lead(
        &self,
        serving: &Serving,
        step: MemberStep,
        force: bool,
        deadline: Instant,
    ) -> Result<Changed, Stop> {
        match step {
            MemberStep::Add { peer_address, name, role, awaited } => {
                let (address, name) = (&*peer_address, name.as_deref());
                self.add(serving, &Wanted { address, name, role, awaited }, deadline).await
            }
            MemberStep::Remove(name) => {
                let (member, part) = find(serving, &name)?;
                self.leave_lead(serving, member.id, part, deadline).await?;
                let changes = vec![MemberChange::Remove(member.id)];
                propose(serving, changes, force, deadline).await?;
                settled(serving, deadline, |membership| membership.get(member.id).is_none())
                    .await?;
                Ok((member, role(part)))
            }
            MemberStep::Demote(name) => {
                let (member, part) = find(serving, &name)?;
                let member = Member { promote: false, ..member };
                if part.votes() {
                    self.leave_lead(serving, member.id, part, deadline).await?;
                    let changes = vec![MemberChange::Demote(member.id)];
                    propose(serving, changes, force, deadline).await?;
                } else if serving.board.membership().get(member.id).is_some_and(|(m, _)| m.promote)
                {
                    let changes = vec![MemberChange::Update(member.clone())];
                    propose(serving, changes, force, deadline).await?;
                }
                settled(serving, deadline, |membership| {
                    membership.get(member.id).is_none_or(|(_, part)| part == Part::Learner)
                })
                .await?;
                Ok((member, MemberRole::Learner))
            }
            MemberStep::Promote(name) => self.promote(serving, &name, force, deadline).await,
        }
    }

    /// Makes a learner one that the leader promotes by itself, and waits until it has.
    async fn promote(
        &self,
        serving: &Serving,
        name: &str,
        force: bool,
        deadline: Instant,
    ) -> Result<Changed, Stop> {
        let (member, part) = find(serving, name)?;
        if !part.votes() && !member.promote {
            let changes = vec![MemberChange::Update(Member { promote: true, ..member.clone() })];
            propose(serving, changes, force, deadline).await?;
        }
        let member = Member { promote: true, ..member };
        if member.is_awaited() {
            // It will be a voter; when, nobody knows.
            return Ok((member, MemberRole::Learner));
        }
        let done = settled(serving, deadline, |membership| {
            membership.get(member.id).is_none_or(|(_, part)| part == Part::Voter)
        });
        let membership = done.await.map_err(|stop| match stop {
            Stop::Error(error) if error.code == ErrorCode::Timeout => {
                let detail = format!("{} has not caught up yet", member.name);
                let hint = "it becomes a voter by itself as soon as it has; see: remex status";
                let error = Error::new(ErrorCode::Timeout, detail).hint(hint).effect_unknown();
                Stop::Error(error)
            }
            other => other,
        })?;
        match membership.get(member.id) {
            Some(_) => Ok((member, MemberRole::Voter)),
            None => Err(no_member(&membership, &member.name).into()),
        }
    }

    /// Hands leadership over before this node loses its vote; then somebody else leads on.
    async fn leave_lead(
        &self,
        serving: &Serving,
        id: NodeId,
        part: Part,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let me = serving.cluster.me.id;
        let others = serving.board.membership().voters().any(|voter| voter != me);
        if id != me || !part.votes() || !others {
            return Ok(());
        }
        tracing::info!("hands leadership over, to be removed or demoted");
        self.hand_over(serving, None, deadline).await?;
        Err(Stop::Moved { unknown: false })
    }

    /// Hands leadership over, and waits until another leads.
    pub(super) async fn hand_over(
        &self,
        serving: &Serving,
        to: Option<&str>,
        deadline: Instant,
    ) -> Result<(NodeId, Term), Stop> {
        let me = serving.cluster.me.id;
        let to = match to {
            None => None,
            Some(name) => {
                let (member, part) = find(serving, name)?;
                if !part.votes() {
                    let detail = format!("{} is a learner: it cannot lead", member.name);
                    let hint = format!("promote it first: remex cluster promote {}", member.name);
                    return Err(Error::new(ErrorCode::Conflict, detail).hint(hint).into());
                }
                Some(member.id)
            }
        };
        let leadership = serving.board.snapshot().leadership;
        if to == Some(me) {
            return Ok((me, leadership.term));
        }
        if !serving.board.membership().voters().any(|voter| voter != me) {
            let detail = "there is no other voter that could lead";
            let hint = "add or promote another member first";
            return Err(Error::new(ErrorCode::Conflict, detail).hint(hint).into());
        }
        let mut watching = serving.board.watch_leadership();
        while Instant::now() < deadline {
            serving.inbox.push(Input::Core(Event::Transfer { to }));
            let moved = watching.wait_for(|now| now.leader.is_some_and(|leader| leader != me));
            let until = deadline.min(Instant::now() + HAND_OVER);
            match tokio::time::timeout_at(until.into(), moved).await {
                Ok(Ok(now)) => {
                    let (leader, term) = (now.leader.unwrap_or(me), now.term);
                    if to.is_none_or(|to| to == leader) {
                        return Ok((leader, term));
                    }
                    return Err(Stop::Moved { unknown: false });
                }
                Ok(Err(_closed)) => break,
                Err(_elapsed) => {}
            }
        }
        let detail = match to {
            Some(to) => format!("{} has not taken over in time", serving.cluster.name(to)),
            None => "no other member took over in time".to_owned(),
        };
        Err(Error::new(ErrorCode::Timeout, detail)
            .hint("see whether it is reachable and not far behind: remex status")
            .retry_after(1000)
            .into())
    }
}

fn find(serving: &Serving, name: &str) -> Result<(Member, Part), Error> {
    let membership = serving.board.membership();
    match resolve(&membership, name) {
        Some((member, part)) => Ok((member.clone(), part)),
        None => Err(no_member(&membership, name)),
    }
}

/// Proposes a change and waits until it is applied. Answers with the membership that it led to.
pub(super) async fn propose(
    serving: &Serving,
    changes: Vec<MemberChange>,
    force: bool,
    deadline: Instant,
) -> Result<Arc<Membership>, Stop> {
    let patience = deadline.min(Instant::now() + IN_PROGRESS_WAIT);
    if !force {
        let cluster = &serving.cluster;
        let peers = cluster.peers();
        let reachable = |id: NodeId| {
            id == cluster.me.id || peers.get(&id).is_some_and(|peer| cluster.is_alive(peer))
        };
        check_reachable(&serving.board.membership(), &changes, reachable)
            .map_err(|refusal| refused(&refusal))?;
    }
    loop {
        let (reply, replied) = oneshot::channel();
        serving.inbox.push(Input::Change { changes: changes.clone(), force, reply });
        let refusal = match tokio::time::timeout_at(deadline.into(), replied).await {
            Ok(Ok(Ok(membership))) => return Ok(membership),
            Ok(Ok(Err(ChangeError::Refused(refusal)))) => refusal,
            Ok(Ok(Err(ChangeError::Lost)) | Err(_)) => return Err(Stop::Moved { unknown: true }),
            Err(_elapsed) => return Err(unconfirmed().into()),
        };
        match refusal {
            ChangeRefusal::NotLeader | ChangeRefusal::IsLeader => {
                return Err(Stop::Moved { unknown: false });
            }
            // A leader that has just begun has not heard of everyone yet.
            ChangeRefusal::InProgress
            | ChangeRefusal::Busy
            | ChangeRefusal::WouldLoseQuorum { .. }
                if Instant::now() < patience =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            refusal => return Err(refused(&refusal).into()),
        }
    }
}

/// Waits until the membership is as wanted and no change is under way any more.
async fn settled(
    serving: &Serving,
    deadline: Instant,
    wanted: impl Fn(&Membership) -> bool,
) -> Result<Arc<Membership>, Stop> {
    let mut memberships = serving.board.watch_membership();
    let waiting = memberships.wait_for(|now| !now.is_joint() && wanted(now));
    match tokio::time::timeout_at(deadline.into(), waiting).await {
        Ok(Ok(membership)) => Ok(Arc::clone(&membership)),
        // The board lives as long as the node.
        Ok(Err(_)) | Err(_) => Err(unconfirmed().into()),
    }
}

fn unconfirmed() -> Error {
    Error::new(ErrorCode::Timeout, "the deadline passed before the change was known to be over")
        .hint("it may still take effect; see: remex cluster members")
        .effect_unknown()
        .retry_after(1000)
}
