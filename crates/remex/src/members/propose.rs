//! Proposing one change of the membership, on the leader, and waiting until it has taken effect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remex_consensus::ChangeRefusal;
use remex_model::{Error, ErrorCode, MemberChange, Membership, NodeId};
use tokio::sync::oneshot;

use super::decide::{check_reachable, refused};
use crate::inbox::{ChangeError, Input};
use crate::peer::form::Serving;

/// Longest time for a change that nobody has asked for.
pub(super) const TTL: Duration = Duration::from_secs(5);

/// How long a change waits for another one that is under way, or for a leader that has just begun:
/// most are over in milliseconds.
const IN_PROGRESS_WAIT: Duration = Duration::from_secs(2);

/// Pause between two attempts to propose.
const PAUSE: Duration = Duration::from_millis(20);

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
pub(super) async fn settled(
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
