//! Founding a cluster: nodes that were started with the same `--join` list and `--expect`
//! number find each other, and exactly one of them founds the cluster, in any start order.
//!
//! # Why no two clusters come of it
//!
//! The node with the lowest id among those that see each other asks every other for a promise;
//! a node promises itself to one founder at a time and keeps the promise on disk; the cluster is
//! founded only when every one of the expected members has promised. A promise ends only when
//! its founder gives up, or is found to have forgotten it. So of two overlapping sets of members
//! only one can ever be complete. Members that miss the founder's word that it is done ask it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use remex_model::{ClusterId, DecodeError, Decoder, Encoder, NodeId};
use tokio::net::TcpStream;

use super::frame;
use super::hello::{Answer, Hello, Purpose};
use crate::cluster::{Cluster, VERSION};
use crate::directory::Directory;
use crate::identity::{Identity, Member, Phase};
use crate::inbox::Inbox;
use crate::{OpenError, random};

/// Pause between two looks round.
const PAUSE: Duration = Duration::from_millis(100);

/// Longest time for one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// What one node asks another before there is a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who are you, and how far have you come?
    Look,
    /// Will you be part of the cluster that I want to found?
    Promise { cluster: ClusterId, members: Vec<Member> },
    /// I give up; you are free again.
    Release { cluster: ClusterId },
    /// All have promised: the cluster is founded.
    Founded { cluster: ClusterId, members: Vec<Member> },
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Who the node is, and how far it has come.
    Here { member: Member, phase: Phase },
    /// Yes.
    Accepted,
    /// No, and why.
    Denied(String),
}

impl Question {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        match self {
            Self::Look => encoder.u8(0),
            Self::Promise { cluster, members } => {
                encoder.u8(1);
                encoder.u64(cluster.get());
                Member::encode_all(members, &mut encoder);
            }
            Self::Release { cluster } => {
                encoder.u8(2);
                encoder.u64(cluster.get());
            }
            Self::Founded { cluster, members } => {
                encoder.u8(3);
                encoder.u64(cluster.get());
                Member::encode_all(members, &mut encoder);
            }
        }
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(payload);
        let question = match decoder.u8("question")? {
            0 => Self::Look,
            1 => Self::Promise {
                cluster: ClusterId(decoder.u64("cluster")?),
                members: Member::decode_all(&mut decoder)?,
            },
            2 => Self::Release { cluster: ClusterId(decoder.u64("cluster")?) },
            3 => Self::Founded {
                cluster: ClusterId(decoder.u64("cluster")?),
                members: Member::decode_all(&mut decoder)?,
            },
            other => {
                return Err(DecodeError::Unknown { field: "question", value: u64::from(other) });
            }
        };
        decoder.finish()?;
        Ok(question)
    }
}

impl Reply {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new(out);
        match self {
            Self::Here { member, phase } => {
                encoder.u8(0);
                member.encode(&mut encoder);
                phase.encode(&mut encoder);
            }
            Self::Accepted => encoder.u8(1),
            Self::Denied(reason) => {
                encoder.u8(2);
                encoder.bytes(reason.as_bytes());
            }
        }
    }

    fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(payload);
        let reply = match decoder.u8("reply")? {
            0 => Self::Here {
                member: Member::decode(&mut decoder)?,
                phase: Phase::decode(&mut decoder)?,
            },
            1 => Self::Accepted,
            2 => Self::Denied(decoder.text("reason")?),
            other => return Err(DecodeError::Unknown { field: "reply", value: u64::from(other) }),
        };
        decoder.finish()?;
        Ok(reply)
    }
}

/// A cluster that this node has become part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Founded {
    pub(crate) cluster: ClusterId,
    pub(crate) members: Vec<Member>,
}

/// This node's side of founding; also answers for it once it runs.
#[derive(Debug)]
pub(crate) struct Former {
    directory: Arc<Directory>,
    identity: Mutex<Identity>,
    me: Member,
    running: OnceLock<(Arc<Cluster>, Arc<Inbox>)>,
}

impl Former {
    pub(crate) fn new(directory: Arc<Directory>, identity: Identity, me: Member) -> Self {
        Self { directory, identity: Mutex::new(identity), me, running: OnceLock::new() }
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the node runs: from now on peers may connect.
    pub(crate) fn set_running(&self, cluster: Arc<Cluster>, inbox: Arc<Inbox>) {
        let first = self.running.set((cluster, inbox)).is_ok();
        debug_assert!(first, "a node starts once");
    }

    pub(crate) fn running(&self) -> Option<(Arc<Cluster>, Arc<Inbox>)> {
        self.running.get().cloned()
    }

    pub(crate) fn hello(&self) -> Hello {
        let cluster = match self.identity().phase {
            Phase::Member { cluster, .. } => Some(cluster),
            Phase::Fresh | Phase::Promised { .. } => None,
        };
        let version = VERSION.to_owned();
        let node = self.me.clone();
        Hello { purpose: Purpose::Form, cluster, node, session: 0, version }
    }

    pub(crate) fn has_log(&self) -> bool {
        self.identity().has_log
    }

    /// Notes, durably, that the log exists.
    pub(crate) fn note_log(&self) -> Result<(), OpenError> {
        let mut identity = self.identity();
        if !identity.has_log {
            let next = Identity { has_log: true, ..identity.clone() };
            self.directory.write_identity(&next)?;
            *identity = next;
        }
        Ok(())
    }

    /// The cluster that this node belongs to.
    pub(crate) fn founded(&self) -> Option<Founded> {
        match &self.identity().phase {
            Phase::Member { cluster, founders } => {
                Some(Founded { cluster: *cluster, members: founders.clone() })
            }
            Phase::Fresh | Phase::Promised { .. } => None,
        }
    }

    /// Writes a new phase to disk and takes it on.
    fn enter(&self, identity: &mut Identity, phase: Phase) -> Result<(), OpenError> {
        let next = Identity { phase, ..identity.clone() };
        self.directory.write_identity(&next)?;
        *identity = next;
        Ok(())
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

    /// Founds a cluster of this node alone.
    pub(crate) fn found_alone(&self) -> Result<Founded, OpenError> {
        let cluster = ClusterId(random::identity()?);
        let members = vec![self.me.clone()];
        let phase = Phase::Member { cluster, founders: members.clone() };
        self.enter(&mut self.identity(), phase)?;
        Ok(Founded { cluster, members })
    }

    /// Answers another node's question.
    pub(crate) fn answer(&self, from: &Member, question: Question) -> Reply {
        let mut identity = self.identity();
        let done = match (question, identity.phase.clone()) {
            (Question::Look, phase) => {
                return Reply::Here { member: self.me.clone(), phase };
            }
            (Question::Promise { cluster, members }, Phase::Fresh) => {
                if !members.iter().any(|member| member.id == self.me.id) {
                    return Reply::Denied("the list of members does not name this node".to_owned());
                }
                let phase = Phase::Promised { cluster, founder: from.id, members };
                self.enter(&mut identity, phase)
            }
            (Question::Promise { cluster, .. }, Phase::Promised { cluster: mine, founder, .. }) => {
                if mine == cluster && founder == from.id {
                    return Reply::Accepted;
                }
                return Reply::Denied(format!("promised to node {founder} already"));
            }
            (Question::Release { cluster }, Phase::Promised { cluster: mine, founder, .. })
                if mine == cluster && founder == from.id =>
            {
                self.enter(&mut identity, Phase::Fresh)
            }
            (
                Question::Founded { cluster, members },
                Phase::Promised { cluster: mine, founder, .. },
            ) if mine == cluster && founder == from.id => {
                self.enter(&mut identity, Phase::Member { cluster, founders: members })
            }
            (
                Question::Founded { cluster, .. } | Question::Promise { cluster, .. },
                Phase::Member { cluster: mine, .. },
            ) => {
                if mine == cluster {
                    return Reply::Accepted;
                }
                return Reply::Denied(format!("member of cluster {mine} already"));
            }
            (Question::Release { .. }, _) => return Reply::Accepted,
            (Question::Founded { .. }, _) => {
                return Reply::Denied("nothing was promised".to_owned());
            }
        };
        match done {
            Ok(()) => Reply::Accepted,
            Err(error) => Reply::Denied(error.to_string()),
        }
    }

    /// Looks round until this node is part of a cluster.
    pub(crate) async fn form(
        &self,
        addresses: &[String],
        expect: usize,
    ) -> Result<Founded, OpenError> {
        let mut seen_before = 0;
        loop {
            if let Some(founded) = self.founded() {
                return Ok(founded);
            }
            let seen = self.look_round(addresses).await;
            if seen.len() != seen_before {
                tracing::info!(found = seen.len(), expected = expect, "looking for members");
                seen_before = seen.len();
                warn_of_strangers(&seen, self.me.id);
            }
            self.advance(&seen, expect).await?;
            if self.founded().is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Every node that answers at one of the addresses, this one among them, by id.
    async fn look_round(&self, addresses: &[String]) -> BTreeMap<NodeId, (Member, Phase)> {
        let mut seen = BTreeMap::new();
        seen.insert(self.me.id, (self.me.clone(), self.identity().phase.clone()));
        for address in addresses.iter().filter(|address| **address != self.me.peer_address) {
            // A node that does not answer has not been started yet: look again later.
            if let Ok(Reply::Here { member, phase }) = self.ask(address, None, Question::Look).await
                && member.id != self.me.id
            {
                seen.insert(member.id, (member, phase));
            }
        }
        seen
    }

    /// Takes the next step that what was seen allows.
    async fn advance(
        &self,
        seen: &BTreeMap<NodeId, (Member, Phase)>,
        expect: usize,
    ) -> Result<(), OpenError> {
        if let Some(founded) = founded_with(seen, self.me.id) {
            let phase = Phase::Member { cluster: founded.cluster, founders: founded.members };
            let mut identity = self.identity();
            return match identity.phase {
                Phase::Member { .. } => Ok(()),
                Phase::Fresh | Phase::Promised { .. } => self.enter(&mut identity, phase),
            };
        }
        // What was seen of a founder may be older than what was promised since: it proves
        // something only for the phase that this node was in when it looked.
        let Some((_, phase)) = seen.get(&self.me.id) else { return Ok(()) };
        match phase.clone() {
            Phase::Member { .. } => Ok(()),
            Phase::Promised { cluster, founder, members } if founder == self.me.id => {
                self.ask_promises(cluster, members).await
            }
            Phase::Promised { cluster, founder, .. } => {
                if forgotten(seen, founder, cluster) {
                    self.change(phase, Phase::Fresh)?;
                }
                Ok(())
            }
            Phase::Fresh => {
                let free: Vec<Member> = seen
                    .values()
                    .filter(|(_, phase)| *phase == Phase::Fresh)
                    .map(|(member, _)| member.clone())
                    .take(expect)
                    .collect();
                if free.len() < expect || free.first().is_none_or(|first| first.id != self.me.id) {
                    return Ok(());
                }
                let cluster = ClusterId(random::identity()?);
                let founder = self.me.id;
                let promise = Phase::Promised { cluster, founder, members: free.clone() };
                match self.change(&Phase::Fresh, promise)? {
                    true => self.ask_promises(cluster, free).await,
                    false => Ok(()),
                }
            }
        }
    }

    /// As founder: asks everyone for a promise; founds the cluster if all give it, gives up if
    /// one refuses, and tries again later if one does not answer.
    async fn ask_promises(
        &self,
        cluster: ClusterId,
        members: Vec<Member>,
    ) -> Result<(), OpenError> {
        let others = || members.iter().filter(|member| member.id != self.me.id);
        for member in others() {
            let question = Question::Promise { cluster, members: members.clone() };
            match self.ask_member(member, question).await {
                Ok(Reply::Accepted) => {}
                Ok(Reply::Denied(reason)) => {
                    tracing::info!(member = %member.name, %reason, "founding given up");
                    for member in others() {
                        // Whoever does not hear it finds out by asking.
                        drop(self.ask_member(member, Question::Release { cluster }).await);
                    }
                    return self.enter(&mut self.identity(), Phase::Fresh);
                }
                Ok(Reply::Here { .. }) | Err(_) => return Ok(()),
            }
        }
        let phase = Phase::Member { cluster, founders: members.clone() };
        self.enter(&mut self.identity(), phase)?;
        tracing::info!(%cluster, members = members.len(), "founded a cluster");
        for member in others() {
            let question = Question::Founded { cluster, members: members.clone() };
            // Whoever does not hear it finds out by asking.
            drop(self.ask_member(member, question).await);
        }
        Ok(())
    }

    /// Asks a member, and makes sure that it is that member who answers.
    async fn ask_member(&self, member: &Member, question: Question) -> io::Result<Reply> {
        self.ask(&member.peer_address, Some(member), question).await
    }

    async fn ask(
        &self,
        address: &str,
        expected: Option<&Member>,
        question: Question,
    ) -> io::Result<Reply> {
        let asked = tokio::time::timeout(QUESTION_TIMEOUT, async {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let hello = self.hello();
            frame::write(&mut stream, |out| hello.encode(out)).await?;
            let mut buffer = BytesMut::new();
            let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
            let them = match Answer::decode(payload).map_err(io::Error::other)? {
                Answer::Welcome(them) => them.node,
                Answer::Refused(reason) => return Err(io::Error::other(reason)),
            };
            let same =
                |member: &Member| (member.id, member.incarnation) == (them.id, them.incarnation);
            if !expected.is_none_or(same) {
                return Err(io::Error::other("another node answers at the member's address"));
            }
            frame::write(&mut stream, |out| question.encode(out)).await?;
            let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
            Reply::decode(payload).map_err(io::Error::other)
        });
        asked.await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// A cluster that one of the nodes belongs to and that names this node as a member.
fn founded_with(seen: &BTreeMap<NodeId, (Member, Phase)>, me: NodeId) -> Option<Founded> {
    seen.values().find_map(|(_, phase)| match phase {
        Phase::Member { cluster, founders } if founders.iter().any(|member| member.id == me) => {
            Some(Founded { cluster: *cluster, members: founders.clone() })
        }
        Phase::Member { .. } | Phase::Fresh | Phase::Promised { .. } => None,
    })
}

/// Says so when a node of the list belongs to a cluster that this node is not a member of.
fn warn_of_strangers(seen: &BTreeMap<NodeId, (Member, Phase)>, me: NodeId) {
    for (member, phase) in seen.values() {
        if let Phase::Member { cluster, founders } = phase
            && founders.iter().all(|founder| founder.id != me)
        {
            tracing::warn!(
                member = %member.name, address = %member.peer_address, %cluster,
                "a node of the --join list belongs to a cluster already that this node is not a \
                 member of: joining a running cluster is not possible yet; if a new one is to be \
                 founded, that node needs an empty --data-dir"
            );
        }
    }
}

/// Whether the founder was seen and no longer means to found this cluster.
fn forgotten(
    seen: &BTreeMap<NodeId, (Member, Phase)>,
    founder: NodeId,
    cluster: ClusterId,
) -> bool {
    match seen.get(&founder) {
        None => false,
        Some((_, Phase::Fresh)) => true,
        Some((
            _,
            Phase::Promised { cluster: other, .. } | Phase::Member { cluster: other, .. },
        )) => *other != cluster,
    }
}
