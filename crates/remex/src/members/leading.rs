//! What the leader does about members that it is asked for: changes of who belongs, and handing
//! leadership over.

use std::time::{Duration, Instant};

use remex_consensus::Event;
use remex_model::{
    Error, ErrorCode, Member, MemberChange, MemberRole, MemberStep, NodeId, Part, Term,
};

use super::add::Wanted;
use super::decide::{no_member, resolve};
use super::propose::{Stop, propose, settled};
use super::{Changed, Steward, role};
use crate::inbox::Input;
use crate::peer::form::Serving;

/// How long one attempt to hand leadership over may take.
const HAND_OVER: Duration = Duration::from_secs(2);

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
