//! How a node comes into a cluster, once in its life: it founds one with others ([`found`]), asks
//! to be taken into one ([`join`]), or is invited.
//!
//! The [`Former`] holds who the node is, on disk and in memory, for as long as the process lives;
//! the parts that run once the node is in a cluster may be started anew several times meanwhile.
//! It also answers for the node: to founders, to those who invite, and to whoever looks.

mod found;
mod join;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use remex_model::{ClusterId, Error, ErrorCode, Incarnation, Member, NodeId, Revision};
use tokio::sync::watch;

use super::ask::{NoAnswer, ask};
use super::hello::{Hello, Position, Purpose};
use super::patience::Patience;
use super::question::{Question, Reply};
use crate::board::Board;
use crate::cluster::{Cluster, VERSION};
use crate::directory::Directory;
use crate::identity::{Identity, Phase};
use crate::inbox::{Inbox, Input};
use crate::{OpenError, random};

/// A cluster that this node belongs to, and who founded it; nobody if the node joined later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Founded {
    pub(crate) cluster: ClusterId,
    pub(crate) members: Vec<Member>,
}

/// The parts of a node that runs, as far as its peers have to do with them.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) board: Arc<Board>,
}

/// A node that was looked at.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) member: Member,
    pub(crate) phase: Phase,
    /// Whether it is all alone in a cluster that was never written to.
    pub(crate) pristine: bool,
}

impl Found {
    /// Whether the node can leave all that it has, to become a member of this cluster.
    pub(crate) fn has_nothing_to_lose(&self, cluster: ClusterId) -> bool {
        match self.phase {
            Phase::Fresh => true,
            Phase::Member { cluster: its, .. } => self.pristine && its != cluster,
            Phase::Promised { .. } | Phase::Removed { .. } | Phase::Returning { .. } => false,
        }
    }
}

/// Whether the node is all alone in a cluster that was never written to: nobody loses anything if
/// it is given up.
fn is_pristine(board: &Board) -> bool {
    board.membership().len() == 1 && board.revision() == Revision(1)
}

/// Who the node is, and how far it has come.
#[derive(Debug)]
pub(crate) struct Former {
    directory: Arc<Directory>,
    identity: Mutex<Identity>,
    peer_address: String,
    client_url: String,
    pub(crate) patience: Patience,
    /// Counts the phases that were entered.
    entered: watch::Sender<u64>,
    serving: ArcSwapOption<Serving>,
    invited: Mutex<Option<Invited>>,
}

/// An invitation that is to be followed once the parts have stopped.
#[derive(Debug)]
struct Invited {
    cluster: ClusterId,
    /// Says, once the parts have stopped, whether anything was written.
    board: Arc<Board>,
    /// Whether it was followed, once that is known. More than one may invite.
    followed: watch::Sender<Option<bool>>,
}

impl Former {
    pub(crate) fn new(
        directory: Arc<Directory>,
        identity: Identity,
        peer_address: String,
        client_url: String,
        patience: Patience,
    ) -> Self {
        Self {
            directory,
            identity: Mutex::new(identity),
            peer_address,
            client_url,
            patience,
            entered: watch::Sender::new(0),
            serving: ArcSwapOption::empty(),
            invited: Mutex::new(None),
        }
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This node as it describes itself.
    pub(crate) fn me(&self) -> Member {
        self.member(&self.identity())
    }

    fn member(&self, identity: &Identity) -> Member {
        Member {
            id: identity.id,
            incarnation: identity.incarnation,
            name: identity.name.clone(),
            peer_address: self.peer_address.clone(),
            client_url: self.client_url.clone(),
            promote: true,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.identity().phase.clone()
    }

    /// The node's parts run: from now on peers may connect.
    pub(crate) fn set_running(&self, cluster: Arc<Cluster>, inbox: Arc<Inbox>, board: Arc<Board>) {
        self.serving.store(Some(Arc::new(Serving { cluster, inbox, board })));
    }

    /// The node's parts stop: the connections of its peers end.
    pub(crate) fn clear_running(&self) {
        if let Some(before) = self.serving.swap(None) {
            before.cluster.close();
        }
    }

    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.load_full()
    }

    /// What this node says of itself to whoever asks.
    pub(crate) fn hello(&self) -> Hello {
        let purpose = Purpose::Ask;
        if let Some(serving) = self.serving() {
            return Hello { purpose, ..serving.cluster.hello() };
        }
        let identity = self.identity();
        Hello {
            purpose,
            cluster: identity.phase.cluster(),
            node: self.member(&identity),
            session: 0,
            position: Position::default(),
            version: VERSION.to_owned(),
        }
    }

    /// Looks who is at a peer address.
    pub(crate) async fn look(&self, address: &str) -> Result<Found, NoAnswer> {
        let limit = self.patience.question;
        match ask(&self.hello(), address, None, &Question::Look, limit).await?.1 {
            Reply::Here { member, phase, pristine } => Ok(Found { member, phase, pristine }),
            _ => {
                let source = io::Error::other("it does not say who it is");
                Err(NoAnswer { asked: true, source })
            }
        }
    }

    pub(crate) fn has_log(&self) -> bool {
        self.identity().has_log
    }

    /// Notes, durably, that the log exists.
    pub(crate) fn note_log(&self) -> Result<(), OpenError> {
        let mut identity = self.identity();
        if identity.has_log {
            return Ok(());
        }
        let next = Identity { has_log: true, ..identity.clone() };
        self.write(&mut identity, next)
    }

    /// The cluster that this node belongs to.
    pub(crate) fn founded(&self) -> Option<Founded> {
        match &self.identity().phase {
            Phase::Member { cluster, founders } => {
                Some(Founded { cluster: *cluster, members: founders.clone() })
            }
            Phase::Fresh
            | Phase::Promised { .. }
            | Phase::Removed { .. }
            | Phase::Returning { .. } => None,
        }
    }

    /// Puts an identity on disk and takes it on.
    fn write(&self, identity: &mut Identity, next: Identity) -> Result<(), OpenError> {
        self.directory.write_identity(&next)?;
        *identity = next;
        self.entered.send_modify(|entered| *entered += 1);
        Ok(())
    }

    fn enter(&self, identity: &mut Identity, phase: Phase) -> Result<(), OpenError> {
        let next = Identity { phase, ..identity.clone() };
        self.write(identity, next)
    }

    /// Enters a phase if the node is still in the one that the decision was made in. Another
    /// node's question may have been answered meanwhile.
    fn change(&self, from: &Phase, to: Phase) -> Result<bool, OpenError> {
        let mut identity = self.identity();
        if identity.phase != *from {
            return Ok(false);
        }
        self.enter(&mut identity, to).map(|()| true)
    }

    /// The cluster that this node is a member of.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.identity().phase.cluster()
    }

    /// Founds a cluster of this node alone.
    pub(crate) fn found_alone(&self) -> Result<Founded, OpenError> {
        let cluster = ClusterId(random::identity()?);
        let members = vec![self.me()];
        let mut identity = self.identity();
        self.enter(&mut identity, Phase::Member { cluster, founders: members.clone() })?;
        Ok(Founded { cluster, members })
    }

    /// Notes, durably, that the node is a member of its cluster no more.
    pub(crate) fn remove(&self) -> Result<(), OpenError> {
        let mut identity = self.identity();
        let Some(cluster) = identity.phase.cluster() else { return Ok(()) };
        self.enter(&mut identity, Phase::Removed { cluster })
    }

    /// The node has lost what it promised to its cluster: it takes a new id, so that nothing of
    /// the old is held against it, and is going to ask the members at these peer addresses to be
    /// taken in again. Its log and engine mean nothing any more.
    pub(crate) fn lose(&self, cluster: ClusterId, addresses: Vec<String>) -> Result<(), OpenError> {
        let (id, incarnation) = (NodeId(random::identity()?), Incarnation(random::identity()?));
        let mut identity = self.identity();
        let name = identity.name.clone();
        let phase = Phase::Returning { cluster, addresses };
        self.write(&mut identity, Identity { id, incarnation, name, has_log: false, phase })
    }

    /// Follows the invitation for which the parts were stopped, if nothing was written until then;
    /// the log and engine that are there mean nothing any more after that.
    fn follow_invitation(&self) -> Result<(), OpenError> {
        let Some(Invited { cluster, board, followed }) = self.invited().take() else {
            return Ok(());
        };
        let follows = is_pristine(&board);
        if follows {
            let mut identity = self.identity();
            let phase = Phase::Member { cluster, founders: Vec::new() };
            let next = Identity { has_log: false, phase, ..identity.clone() };
            self.write(&mut identity, next)?;
        }
        followed.send_replace(Some(follows));
        Ok(())
    }

    fn invited(&self) -> MutexGuard<'_, Option<Invited>> {
        self.invited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers another node's question about founding, or its invitation.
    pub(crate) async fn answer(&self, from: &Hello, question: Question) -> Reply {
        match question {
            Question::Look => Reply::Here {
                member: self.me(),
                phase: self.phase(),
                pristine: self.serving().is_some_and(|serving| is_pristine(&serving.board)),
            },
            Question::Invite { cluster } => self.answer_invitation(from, cluster).await,
            Question::Promise { .. } | Question::Release { .. } | Question::Founded { .. } => {
                self.answer_founder(&from.node, question)
            }
            Question::Join { .. }
            | Question::Change { .. }
            | Question::Transfer { .. }
            | Question::Spare => deny(ErrorCode::NotReady, "this node does not lead a cluster"),
        }
    }

    /// Another node says that this one is a member of its cluster.
    async fn answer_invitation(&self, from: &Hello, cluster: ClusterId) -> Reply {
        if from.cluster != Some(cluster) {
            let text = format!("{from} invites into a cluster that is not its own");
            return deny(ErrorCode::Conflict, text);
        }
        let serving = match self.decide_invitation(cluster) {
            Decision::Reply(reply) => return reply,
            Decision::GiveUp(serving) => serving,
        };
        let followed = {
            let mut invited = self.invited();
            match &*invited {
                Some(before) if before.cluster == cluster => before.followed.subscribe(),
                Some(before) => {
                    let text = format!("the node was invited into cluster {}", before.cluster);
                    return deny(ErrorCode::Conflict, text);
                }
                None => {
                    tracing::info!(%cluster, by = %from.node.name, "gives up its own cluster");
                    let (followed, outcome) = watch::channel(None);
                    let board = Arc::clone(&serving.board);
                    *invited = Some(Invited { cluster, board, followed });
                    serving.inbox.push(Input::Invited);
                    outcome
                }
            }
        };
        match tokio::time::timeout(self.patience.invitation, outcome(followed)).await {
            Ok(Some(true)) => Reply::Accepted,
            Ok(Some(false)) => match self.decide_invitation(cluster) {
                Decision::Reply(reply) => reply,
                Decision::GiveUp(_) => deny(ErrorCode::NotReady, "the node does not stop"),
            },
            Ok(None) | Err(_) => deny(ErrorCode::NotReady, "the node does not stop in time"),
        }
    }

    /// What an invitation means for a node in this phase; takes it on where that is all.
    fn decide_invitation(&self, cluster: ClusterId) -> Decision {
        let serving = self.serving();
        let mut identity = self.identity();
        let name = identity.name.clone();
        let founders = match identity.phase.clone() {
            Phase::Member { cluster: mine, .. } if mine == cluster => {
                return Decision::Reply(Reply::Accepted);
            }
            Phase::Member { cluster: mine, .. } => {
                return match serving {
                    None => Decision::Reply(deny(ErrorCode::NotReady, "the node is starting")),
                    Some(serving) if is_pristine(&serving.board) => Decision::GiveUp(serving),
                    Some(_) => Decision::Reply(Reply::Denied(holds_data(&name, mine, cluster))),
                };
            }
            Phase::Removed { cluster: mine } => {
                return Decision::Reply(Reply::Denied(was_removed(&name, mine)));
            }
            // The founder's word that the cluster is founded was missed.
            Phase::Promised { cluster: promised, members, .. } if promised == cluster => members,
            Phase::Returning { cluster: mine, .. } if mine == cluster => Vec::new(),
            Phase::Fresh => Vec::new(),
            Phase::Promised { cluster: other, .. } | Phase::Returning { cluster: other, .. } => {
                let text = format!("{name} is about to become a member of cluster {other}");
                return Decision::Reply(deny(ErrorCode::Conflict, text));
            }
        };
        match self.enter(&mut identity, Phase::Member { cluster, founders }) {
            Ok(()) => Decision::Reply(Reply::Accepted),
            Err(error) => Decision::Reply(deny(ErrorCode::Internal, error.to_string())),
        }
    }
}

/// Whether an invitation was followed, once that is known.
async fn outcome(mut followed: watch::Receiver<Option<bool>>) -> Option<bool> {
    followed.wait_for(Option::is_some).await.ok().and_then(|followed| *followed)
}

/// What comes of an invitation.
#[derive(Debug)]
enum Decision {
    Reply(Reply),
    /// The node has to give up its own cluster first.
    GiveUp(Arc<Serving>),
}

pub(crate) fn deny(code: ErrorCode, detail: impl Into<String>) -> Reply {
    Reply::Denied(Error::new(code, detail))
}

/// Why a node that holds data of a cluster cannot be taken into another.
pub(crate) fn holds_data(name: &str, its: ClusterId, other: ClusterId) -> Error {
    let detail = format!(
        "{name} belongs to cluster {its} and holds its data, so it cannot become a member of \
         cluster {other}"
    );
    Error::new(ErrorCode::Conflict, detail).hint(format!(
        "if nobody needs the data of cluster {its}, stop {name} and start it with an empty \
         --data-dir and --wait; otherwise save it first: remex snapshot save FILE"
    ))
}

/// Why a node that was removed cannot come back.
pub(crate) fn was_removed(name: &str, from: ClusterId) -> Error {
    let detail = format!("{name} was removed from cluster {from}, for ever");
    Error::new(ErrorCode::Conflict, detail)
        .hint(format!("stop {name} and start it with an empty --data-dir and --wait"))
}

#[cfg(test)]
mod tests;
