//! Founding a cluster: nodes that were started with the same `--join` list and `--expect`
//! number find each other, and exactly one of them founds the cluster, in any start order.
//!
//! # Why no two clusters come of it
//!
//! The node with the lowest id among those that see each other asks every other for a promise, as
//! soon as they are as many as expected; a node promises itself to one founder at a time and keeps the
//! promise on disk; the cluster is founded only when every one of them has promised. A promise ends
//! only when its founder gives up, or is found to have forgotten it. So of two overlapping sets of
//! members only one can ever be complete. Members that miss the founder's word that it is done ask it.
//! All who are seen are asked, not only as many as are expected: whoever founds votes at once. If one
//! of more than are expected does not answer, the founder gives up and begins anew without it.
//!
//! A node that comes when the cluster is founded already, without being one of its founders, asks
//! to be taken in: it is a further one, or has lost its disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use remex_model::{ClusterId, ErrorCode, Member, NodeId};

use super::join::Asked;
use super::{Former, Found, Founded, deny};
use crate::identity::Phase;
use crate::peer::ask::{NoAnswer, ask};
use crate::peer::question::{Question, Reply};
use crate::{OpenError, random};

/// Pause between two looks round.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Nodes that were seen, and how far each had come, by id.
type Seen = BTreeMap<NodeId, (Member, Phase)>;

impl Former {
    /// Answers a founder.
    pub(super) fn answer_founder(&self, from: &Member, question: Question) -> Reply {
        let conflict = |text: String| deny(ErrorCode::Conflict, text);
        let mut identity = self.identity();
        let me = identity.id;
        let done = match (question, identity.phase.clone()) {
            (Question::Promise { cluster, members }, Phase::Fresh) => {
                if !members.iter().any(|member| member.id == me) {
                    return conflict("the list of members does not name this node".to_owned());
                }
                let phase = Phase::Promised { cluster, founder: from.id, members };
                self.enter(&mut identity, phase)
            }
            (Question::Promise { cluster, .. }, Phase::Promised { cluster: mine, founder, .. }) => {
                if mine == cluster && founder == from.id {
                    return Reply::Accepted;
                }
                return conflict(format!("promised to node {founder} already"));
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
                Phase::Member { cluster: mine, .. }
                | Phase::Removed { cluster: mine }
                | Phase::Returning { cluster: mine, .. },
            ) => {
                if mine == cluster {
                    return Reply::Accepted;
                }
                return conflict(format!("of cluster {mine} already"));
            }
            (Question::Release { .. }, _) => return Reply::Accepted,
            _ => return conflict("nothing was promised".to_owned()),
        };
        match done {
            Ok(()) => Reply::Accepted,
            Err(error) => deny(ErrorCode::Internal, error.to_string()),
        }
    }

    /// Looks round once and takes the next step on the way into a cluster.
    pub(super) async fn found_round(
        &self,
        addresses: &[String],
        expect: usize,
        asked: &mut Asked,
    ) -> Result<(), OpenError> {
        let seen = self.look_round(addresses).await;
        let me = self.me().id;
        let others = other_clusters(&seen, me);
        let fresh = seen.get(&me).is_some_and(|(_, phase)| *phase == Phase::Fresh);
        if fresh && founded_with(&seen, me).is_none() {
            if let Some(&only) = others.first().filter(|_| others.len() == 1) {
                // Asking them all again would only cost time: the first that is one leads on.
                let members = seen.values().filter(|(_, phase)| phase.cluster() == Some(only));
                let addresses: Vec<String> =
                    members.map(|(member, _)| member.peer_address.clone()).collect();
                return self.ask_round(addresses.iter(), Some(only), &Phase::Fresh, asked).await;
            }
            let text = describe(&seen, expect, &others);
            if text != asked.complaint {
                tracing::info!("{text}");
                asked.complaint = text;
            }
            if !others.is_empty() {
                return Ok(());
            }
        }
        self.advance(&seen, expect).await
    }

    /// Every node that answers at one of the addresses, this one among them.
    async fn look_round(&self, addresses: &[String]) -> Seen {
        let me = self.me();
        let mut seen = Seen::new();
        seen.insert(me.id, (me.clone(), self.phase()));
        for address in addresses.iter().filter(|address| **address != me.peer_address) {
            // A node that does not answer has not been started yet: look again later.
            if let Ok(Found { member, phase, .. }) = self.look(address).await
                && member.id != me.id
            {
                seen.insert(member.id, (member, phase));
            }
        }
        seen
    }

    /// Takes the next step that what was seen allows.
    pub(super) async fn advance(&self, seen: &Seen, expect: usize) -> Result<(), OpenError> {
        let me = self.me().id;
        if let Some(founded) = founded_with(seen, me) {
            let phase = Phase::Member { cluster: founded.cluster, founders: founded.members };
            let mut identity = self.identity();
            return match identity.phase {
                Phase::Fresh | Phase::Promised { .. } => self.enter(&mut identity, phase),
                Phase::Member { .. } | Phase::Removed { .. } | Phase::Returning { .. } => Ok(()),
            };
        }
        // What was seen of a founder may be older than what was promised since: it proves
        // something only for the phase that this node was in when it looked.
        let Some((_, phase)) = seen.get(&me) else { return Ok(()) };
        match phase.clone() {
            Phase::Member { .. } | Phase::Removed { .. } | Phase::Returning { .. } => Ok(()),
            Phase::Promised { cluster, founder, members } if founder == me => {
                self.ask_promises(cluster, members, expect).await
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
                    .collect();
                if free.len() < expect || free.first().is_none_or(|first| first.id != me) {
                    return Ok(());
                }
                let cluster = ClusterId(random::identity()?);
                let promise = Phase::Promised { cluster, founder: me, members: free.clone() };
                match self.change(&Phase::Fresh, promise)? {
                    true => self.ask_promises(cluster, free, expect).await,
                    false => Ok(()),
                }
            }
        }
    }

    /// As founder: asks everyone for a promise; founds the cluster if all give it, gives up if
    /// one refuses, and tries again later if one does not answer that cannot be done without.
    async fn ask_promises(
        &self,
        cluster: ClusterId,
        members: Vec<Member>,
        expect: usize,
    ) -> Result<(), OpenError> {
        let me = self.me().id;
        let promised = Phase::Promised { cluster, founder: me, members: members.clone() };
        let others = || members.iter().filter(|member| member.id != me);
        for member in others() {
            let question = Question::Promise { cluster, members: members.clone() };
            let reason = match self.ask_member(member, question).await {
                Ok(Reply::Accepted) => continue,
                Ok(Reply::Denied(error)) => error.detail,
                Err(no_answer) if members.len() > expect => no_answer.to_string(),
                Ok(_) | Err(_) => return Ok(()),
            };
            tracing::info!(member = %member.name, %reason, "founding given up");
            for member in others() {
                // Whoever does not hear it finds out by asking.
                drop(self.ask_member(member, Question::Release { cluster }).await);
            }
            return self.change(&promised, Phase::Fresh).map(|_| ());
        }
        let phase = Phase::Member { cluster, founders: members.clone() };
        if !self.change(&promised, phase)? {
            return Ok(());
        }
        tracing::info!(%cluster, members = members.len(), "founded a cluster");
        for member in others() {
            let question = Question::Founded { cluster, members: members.clone() };
            // Whoever does not hear it finds out by asking.
            drop(self.ask_member(member, question).await);
        }
        Ok(())
    }

    /// Asks a member, and makes sure that it is that member who answers.
    async fn ask_member(&self, member: &Member, question: Question) -> Result<Reply, NoAnswer> {
        let (address, limit) = (&member.peer_address, self.patience.question);
        Ok(ask(&self.hello(), address, Some(member), &question, limit).await?.1)
    }
}

/// A cluster that one of the nodes founded with this one.
fn founded_with(seen: &Seen, me: NodeId) -> Option<Founded> {
    seen.values().find_map(|(_, phase)| match phase {
        Phase::Member { cluster, founders } if founders.iter().any(|member| member.id == me) => {
            Some(Founded { cluster: *cluster, members: founders.clone() })
        }
        Phase::Member { .. }
        | Phase::Fresh
        | Phase::Promised { .. }
        | Phase::Removed { .. }
        | Phase::Returning { .. } => None,
    })
}

/// The clusters that nodes of the list belong to, without this one.
fn other_clusters(seen: &Seen, me: NodeId) -> Vec<ClusterId> {
    let others = seen.iter().filter(|(id, _)| **id != me);
    let clusters: BTreeSet<_> = others.filter_map(|(_, (_, phase))| phase.cluster()).collect();
    clusters.into_iter().collect()
}

/// How far looking round has come, for people.
fn describe(seen: &Seen, expect: usize, others: &[ClusterId]) -> String {
    if others.len() > 1 {
        let ids: Vec<String> = others.iter().map(ClusterId::to_string).collect();
        return format!(
            "the nodes of the --join list belong to different clusters ({}): list only those of \
             the cluster that this node is to join",
            ids.join(", ")
        );
    }
    let names: Vec<&str> = seen.values().map(|(member, _)| member.name.as_str()).collect();
    format!("sees {} ({} of {expect} expected)", names.join(", "), names.len().min(expect))
}

/// Whether the founder was seen and no longer means to found this cluster.
fn forgotten(seen: &Seen, founder: NodeId, cluster: ClusterId) -> bool {
    match seen.get(&founder) {
        None => false,
        Some((_, Phase::Fresh)) => true,
        Some((
            _,
            Phase::Promised { cluster: other, .. }
            | Phase::Member { cluster: other, .. }
            | Phase::Removed { cluster: other }
            | Phase::Returning { cluster: other, .. },
        )) => *other != cluster,
    }
}
