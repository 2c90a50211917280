//! The steward: changes who belongs to the cluster, on behalf of people and of nodes that want to
//! be taken in.
//!
//! Only the leader can change the membership. The [`Steward`] of any node takes a request, finds
//! the leader, asks it, and asks again when leadership moves meanwhile: every step can be taken
//! twice without harm, so a change that was interrupted (by the death of who asked, of the leader
//! or of the invited node) is finished by asking again. What needs nobody's request finishes by
//! itself: members that were added and not told are invited by whoever dials them
//! ([`crate::peer::link`]), learners are promoted by the leader's core, and members' new addresses
//! are taken over by [`Steward::tend`], which also takes members back that have lost their disks.
//!
//! What the leader does is in [`leading`] and [`add`], by way of [`propose`]; what it decides, without
//! touching anything, in [`decide`]. Members may be named before their nodes run: [`awaited`].

mod add;
mod awaited;
mod decide;
mod leading;
mod propose;
mod tend;

use std::sync::Arc;
use std::time::{Duration, Instant};

use remex_consensus::Role;
use remex_model::{
    Effect, Error, ErrorCode, Member, MemberRequest, MemberRole, MemberStep, NodeId, Part, Term,
};

use self::decide::{resolve, spare};
use self::propose::Stop;
use crate::peer::ask::{NoAnswer, ask};
use crate::peer::form::{Former, Serving};
use crate::peer::hello::Hello;
use crate::peer::question::{Question, Reply};

/// Pause before the next attempt when there is no leader to ask.
const PAUSE: Duration = Duration::from_millis(50);

/// How long after its deadline an answer is still waited for: it says more than a timeout.
const GRACE: Duration = Duration::from_millis(500);

/// The longest time that a node spends on another's question.
const TTL_MAX: Duration = Duration::from_secs(600);

/// The longest time that a node that wants to be taken in is let wait.
const JOIN_TTL: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Steward {
    former: Arc<Former>,
}

/// A member after a change; as it was, if it was removed.
pub(crate) type Changed = (Member, MemberRole);

/// Where a request can be carried out at the moment.
enum Place {
    /// On this node, which leads.
    Here,
    /// At this member, which leads.
    There(Box<Member>),
}

impl Steward {
    pub(crate) fn new(former: Arc<Former>) -> Self {
        Self { former }
    }

    pub(crate) fn former(&self) -> &Arc<Former> {
        &self.former
    }

    fn serving(&self) -> Result<Arc<Serving>, Error> {
        self.former.serving().ok_or_else(|| {
            Error::new(ErrorCode::NotReady, "this node is not part of a cluster, or is starting")
                .hint("ask a member of the cluster; see: remex status")
                .retry_after(1000)
        })
    }

    /// Changes the membership, and waits until the change has taken effect. Answers with the
    /// member; as it was, if it was removed.
    pub(crate) async fn change(&self, request: MemberRequest) -> Result<Changed, Error> {
        let MemberRequest { mut step, force, deadline } = request;
        // By id from now on, so that the same member is meant in every attempt; and if it is gone
        // in a later one, an earlier one was successful.
        let mut target = None;
        if let (Ok(serving), Some(name)) = (self.serving(), named(&mut step)) {
            target = resolve(&serving.board.membership(), name)
                .map(|(member, part)| (member.clone(), role(part)));
            if let Some((member, _)) = &target {
                *name = member.id.to_string();
            }
        }
        let mut unknown = false;
        loop {
            let serving = match self.serving() {
                Ok(serving) => serving,
                Err(error) if !unknown => return Err(error),
                // The parts are being started anew; what was asked for may have happened.
                Err(_) => {
                    pause(deadline, unknown).await?;
                    continue;
                }
            };
            let attempt = match place(&serving) {
                None => Err(Stop::Moved { unknown: false }),
                Some(Place::Here) => self.lead(&serving, step.clone(), force, deadline).await,
                Some(Place::There(leader)) => {
                    let ttl_ms = ttl_ms(deadline);
                    let question = Question::Change { step: step.clone(), force, ttl_ms };
                    match self.ask_leader(&leader, question, deadline).await? {
                        Ok(Reply::Changed { member, role }) => Ok((member, role)),
                        other => Err(stop(other)),
                    }
                }
            };
            match attempt {
                Ok(changed) => return Ok(changed),
                Err(Stop::Error(error)) => {
                    return match target {
                        Some(gone) if unknown && error.code == ErrorCode::MemberNotFound => {
                            Ok(gone)
                        }
                        _ => Err(error),
                    };
                }
                Err(Stop::Moved { unknown: now }) => unknown |= now,
            }
            pause(deadline, unknown).await?;
        }
    }

    /// Hands leadership to a voter, named by name or id, or to whichever is furthest ahead, and
    /// waits until it leads.
    pub(crate) async fn transfer(
        &self,
        to: Option<String>,
        deadline: Instant,
    ) -> Result<(NodeId, Term), Error> {
        loop {
            let serving = self.serving()?;
            let attempt = match place(&serving) {
                None => Err(Stop::Moved { unknown: false }),
                Some(Place::Here) => self.hand_over(&serving, to.as_deref(), deadline).await,
                Some(Place::There(leader)) => {
                    let question = Question::Transfer { to: to.clone(), ttl_ms: ttl_ms(deadline) };
                    match self.ask_leader(&leader, question, deadline).await? {
                        Ok(Reply::Leads { leader, term }) => Ok((leader, term)),
                        other => Err(stop(other)),
                    }
                }
            };
            match attempt {
                Ok(done) => return Ok(done),
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Moved { .. }) => pause(deadline, false).await?,
            }
        }
    }

    /// Asks the leader, and nobody else that may run at its address by now: a stranger's refusal
    /// says nothing. The outer error is final.
    async fn ask_leader(
        &self,
        leader: &Member,
        question: Question,
        deadline: Instant,
    ) -> Result<Result<Reply, NoAnswer>, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late(false));
        }
        let hello = self.former.hello();
        let address = &leader.peer_address;
        let answer = ask(&hello, address, Some(leader), &question, left + GRACE).await;
        Ok(answer.map(|(_, reply)| reply))
    }

    /// Answers another node's question.
    pub(crate) async fn answer(&self, from: &Hello, question: Question) -> Reply {
        let answered = match question {
            Question::Join { member, cluster } => self.answer_join(member, cluster).await,
            Question::Change { step, force, ttl_ms } => {
                let deadline = deadline(ttl_ms);
                self.answer_member(from, |serving| async move {
                    let (member, role) = self.lead(&serving, step, force, deadline).await?;
                    Ok(Reply::Changed { member, role })
                })
                .await
            }
            Question::Transfer { to, ttl_ms } => {
                let deadline = deadline(ttl_ms);
                self.answer_member(from, |serving| async move {
                    let done = self.hand_over(&serving, to.as_deref(), deadline).await;
                    let (leader, term) = done?;
                    Ok(Reply::Leads { leader, term })
                })
                .await
            }
            Question::Spare => self.answer_spare(from),
            question => return self.former.answer(from, question).await,
        };
        match answered {
            Ok(reply) => reply,
            Err(Stop::Error(error)) => Reply::Denied(error),
            Err(Stop::Moved { unknown }) => {
                // Whoever asks looks for the leader itself: one hop, never two.
                let mut error = Error::new(ErrorCode::NoLeader, "leadership has moved");
                error = error.retry_after(100);
                Reply::Denied(if unknown { error.effect_unknown() } else { error })
            }
        }
    }

    /// Carries out a member's request, if this node leads.
    async fn answer_member<Done: Future<Output = Result<Reply, Stop>>>(
        &self,
        from: &Hello,
        carry_out: impl FnOnce(Arc<Serving>) -> Done,
    ) -> Result<Reply, Stop> {
        let serving = self.serving()?;
        let membership = serving.board.membership();
        let known = membership.get(from.node.id).map(|(member, _)| member.incarnation);
        if from.cluster != Some(serving.cluster.id) || known != Some(from.node.incarnation) {
            let text = format!("{from} is not a member of cluster {}", serving.cluster.id);
            return Err(Error::new(ErrorCode::Conflict, text).into());
        }
        match place(&serving) {
            Some(Place::Here) => carry_out(serving).await,
            Some(Place::There(_)) | None => Err(Stop::Moved { unknown: false }),
        }
    }

    /// A node wants to be taken in.
    async fn answer_join(
        &self,
        member: Member,
        cluster: Option<remex_model::ClusterId>,
    ) -> Result<Reply, Stop> {
        let serving = self.serving().map_err(|error| Stop::Error(Error { hint: None, ..error }))?;
        let mine = serving.cluster.id;
        if let Some(other) = cluster.filter(|cluster| *cluster != mine) {
            let text = format!("this node belongs to cluster {mine}, not to {other}");
            return Err(Error::new(ErrorCode::Conflict, text).into());
        }
        match place(&serving) {
            Some(Place::Here) => {
                self.take_in(&serving, member, Instant::now() + JOIN_TTL).await?;
                Ok(Reply::TakenIn { cluster: mine })
            }
            Some(Place::There(leader)) => Ok(Reply::Elsewhere { address: leader.peer_address }),
            None => {
                let text = format!("cluster {mine} has no leader at the moment");
                Err(Error::new(ErrorCode::NotReady, text).retry_after(1000).into())
            }
        }
    }

    /// A member whose disk has lost what it promised asks whether it can be spared.
    fn answer_spare(&self, from: &Hello) -> Result<Reply, Stop> {
        let serving = self.serving()?;
        let mine = serving.cluster.id;
        if from.cluster != Some(mine) {
            let text = format!("{from} is not of cluster {mine}");
            return Err(Error::new(ErrorCode::Conflict, text).into());
        }
        match place(&serving) {
            Some(Place::Here) => {
                let progress = serving.board.snapshot().progress;
                let active = |id| progress.iter().any(|member| member.id == id && member.active);
                spare(&serving.board.membership(), &from.node, active)?;
                Ok(Reply::Accepted)
            }
            Some(Place::There(leader)) => Ok(Reply::Elsewhere { address: leader.peer_address }),
            None => {
                let text = format!("cluster {mine} has no leader at the moment");
                Err(Error::new(ErrorCode::NotReady, text).retry_after(1000).into())
            }
        }
    }
}

/// The name in a step that is about a member.
fn named(step: &mut MemberStep) -> Option<&mut String> {
    match step {
        MemberStep::Add { .. } => None,
        MemberStep::Remove(name) | MemberStep::Promote(name) | MemberStep::Demote(name) => {
            Some(name)
        }
    }
}

/// Where the leader is, as far as this node knows.
fn place(serving: &Serving) -> Option<Place> {
    let leadership = serving.board.snapshot().leadership;
    if leadership.role == Role::Leader {
        return Some(Place::Here);
    }
    let leader = leadership.leader?;
    let peer = serving.cluster.peers().get(&leader).cloned()?;
    Some(Place::There(Box::new(peer.known().member)))
}

/// What an answer that is not the wanted one means.
fn stop(answer: Result<Reply, NoAnswer>) -> Stop {
    match answer {
        Ok(Reply::Denied(error)) if error.code == ErrorCode::NoLeader => {
            Stop::Moved { unknown: error.effect == Effect::Unknown }
        }
        Ok(Reply::Denied(error)) => Stop::Error(error),
        Ok(other) => {
            let text = format!("the leader answered with {other:?}");
            Stop::Error(Error::new(ErrorCode::Internal, text).effect_unknown())
        }
        Err(no_answer) => {
            tracing::debug!(reason = %no_answer, "the leader does not answer");
            Stop::Moved { unknown: no_answer.asked }
        }
    }
}

/// A member's role, as it will be once a change that is under way is over.
fn role(part: Part) -> MemberRole {
    if part.votes() { MemberRole::Voter } else { MemberRole::Learner }
}

fn ttl_ms(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now());
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
}

fn deadline(ttl_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ttl_ms).min(TTL_MAX)
}

/// Waits a moment before the next attempt.
async fn pause(deadline: Instant, unknown: bool) -> Result<(), Error> {
    if Instant::now() + PAUSE >= deadline {
        return Err(late(unknown));
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// The error for a change that found no leader in time.
fn late(unknown: bool) -> Error {
    if unknown {
        return Error::new(
            ErrorCode::Timeout,
            "the deadline passed before the change was confirmed",
        )
        .hint("it may still take effect; see: remex cluster members")
        .effect_unknown()
        .retry_after(1000);
    }
    Error::new(ErrorCode::NoLeader, "the cluster has no leader that answers")
        .hint("an election may be under way; run: remex status")
        .retry_after(1000)
}
