//! Who may speak with this node. The rules are the same for who dials it and for whom it dials.

use std::sync::Arc;

use super::hello::{Hello, Refusal, RefusalCode};
use crate::cluster::{Cluster, Peer};

impl Cluster {
    /// The peer that `them` speaks for, if it may exchange messages with this node; otherwise why
    /// not, naming both sides.
    pub(crate) fn admit(&self, them: &Hello) -> Result<Arc<Peer>, Refusal> {
        let me = self.hello();
        if them.cluster != Some(self.id) {
            return Err(Refusal::new(
                RefusalCode::OtherCluster,
                format!(
                    "different clusters: this is {me}, you are {them}; give each its own --join \
                     list, or an empty --data-dir to the one that should change sides"
                ),
            ));
        }
        if them.node.id == self.me.id {
            return Err(self.myself(them));
        }
        if self.membership().was_removed(them.node.id) {
            return Err(Refusal::new(
                RefusalCode::Removed,
                format!("{them} was removed from the cluster of {me}"),
            ));
        }
        let peer = self.peers().get(&them.node.id).cloned();
        if peer.is_none() && self.leader().is_some() {
            return Err(Refusal::new(
                RefusalCode::NotAMember,
                format!("{them} is not a member of the cluster of {me}"),
            ));
        }
        self.check_disk(&me, them, peer.as_deref())?;
        // Nobody leads as far as this node knows: it may have missed that `them` was added.
        let peer = peer.unwrap_or_else(|| self.add_provisional(&them.node));
        self.check_single(&peer, them)?;
        Ok(peer)
    }

    /// Why a node of this node's own id is refused.
    fn myself(&self, them: &Hello) -> Refusal {
        if them.session == self.session {
            let reason = format!("{} has reached itself at this address", self.me.name);
            return Refusal::new(RefusalCode::Other, reason);
        }
        Refusal::new(RefusalCode::Clone, self.two_of_one(them, &self.me.name))
    }

    fn two_of_one(&self, them: &Hello, reached: &str) -> String {
        let first = match self.peers().get(&them.node.id) {
            Some(peer) => peer.known().member.peer_address,
            None => self.me.peer_address.clone(),
        };
        format!(
            "{} is connected to {reached} already from another process, at {first}; you are at \
             {}: two nodes run from copies of one data directory. Stop one of them and give it an \
             empty --data-dir",
            them.node.name, them.node.peer_address
        )
    }

    /// Checks that the disk behind `them` is the one that the peer had, and holds all that it held.
    fn check_disk(&self, me: &Hello, them: &Hello, peer: Option<&Peer>) -> Result<(), Refusal> {
        let (membership, id) = (self.membership(), them.node.id);
        let known = membership.get(id).map(|(member, _)| member.incarnation);
        let known = known.or_else(|| peer.map(|peer| peer.known().member.incarnation));
        if let Some(known) = known.filter(|known| *known != them.node.incarnation) {
            return Err(Refusal::new(
                RefusalCode::Other,
                format!(
                    "{them} has another data directory (incarnation {}) than the one that {me} \
                     knows (incarnation {known})",
                    them.node.incarnation
                ),
            ));
        }
        let found = them.position;
        match self.marks().check(id, found.term, found.last_index) {
            Ok(()) => Ok(()),
            Err(rolled_back) => Err(Refusal::new(
                RefusalCode::RolledBack(rolled_back.mark.into()),
                format!("{rolled_back} ({me} says so of {them})"),
            )),
        }
    }

    /// Checks that `them` is the only process that speaks for the peer. Two that were started from
    /// copies of one disk would vote twice and acknowledge what only one has: whoever is connected
    /// first stays, the other is refused as long as the first is heard of; and if two nodes hear
    /// different ones, the leader's stays.
    fn check_single(&self, peer: &Peer, them: &Hello) -> Result<(), Refusal> {
        let mine = peer.session().is_some_and(|session| session != them.session);
        let reached = if mine && self.was_heard(peer) {
            self.me.name.clone()
        } else if let Some(other) = self.rival(peer.id, them.session) {
            self.name(other)
        } else {
            return Ok(());
        };
        Err(Refusal::new(RefusalCode::Clone, self.two_of_one(them, &reached)))
    }
}

#[cfg(test)]
mod tests {
    use remex_consensus::Marks;
    use remex_model::{
        ClusterId, Decoder, Encoder, Incarnation, Index, Member, MemberChange, Membership, NodeId,
        Term,
    };

    use super::*;
    use crate::cluster::Side;
    use crate::peer::hello::{Position, Purpose};
    use crate::peer::vitals::Vitals;

    fn member(id: u64) -> Member {
        Member {
            id: NodeId(id),
            incarnation: Incarnation(id + 100),
            name: format!("n{id}"),
            peer_address: format!("127.0.0.1:{id}"),
            client_url: String::new(),
            promote: false,
        }
    }

    fn members(ids: &[u64]) -> Membership {
        Membership::founded(ids.iter().map(|&id| member(id)))
    }

    /// The node 1 of a cluster of three.
    fn cluster(marks: Marks) -> Cluster {
        let cluster = Cluster::new(ClusterId(9), member(1), 1000, Position::default(), marks);
        cluster.update(&members(&[1, 2, 3]));
        cluster.set_turn(Some(NodeId(1)), Position::default());
        cluster
    }

    fn hello(id: u64) -> Hello {
        Hello {
            purpose: Purpose::Replicate,
            cluster: Some(ClusterId(9)),
            node: member(id),
            session: 1000 * id,
            position: Position { term: Term(4), last_index: Index(50) },
            version: "0.1.0".to_owned(),
        }
    }

    fn refused(cluster: &Cluster, them: &Hello) -> Refusal {
        let refusal = cluster.admit(them).map(|peer| peer.id).unwrap_err();
        assert!(refusal.reason.contains("n1"), "names this side: {refusal}");
        assert!(refusal.reason.contains(&them.node.name), "names the other: {refusal}");
        refusal
    }

    /// A peer of this node that is connected, in this run.
    fn connect(cluster: &Cluster, id: u64, session: u64) -> Arc<Peer> {
        let peer = cluster.admit(&Hello { session, ..hello(id) }).unwrap();
        peer.connect(Side::Inbound, session);
        cluster.note_contact(&peer);
        peer
    }

    #[test]
    fn a_member_is_admitted_and_strangers_are_not() {
        let cluster = cluster(Marks::default());
        assert_eq!(cluster.admit(&hello(2)).unwrap().id, NodeId(2));
        let other = Hello { cluster: Some(ClusterId(8)), ..hello(2) };
        assert_eq!(refused(&cluster, &other).code, RefusalCode::OtherCluster);
        let none = Hello { cluster: None, ..hello(2) };
        assert_eq!(refused(&cluster, &none).code, RefusalCode::OtherCluster);
        assert_eq!(refused(&cluster, &hello(4)).code, RefusalCode::NotAMember);
        let mut copied = hello(2);
        copied.node.incarnation = Incarnation(5);
        let refusal = refused(&cluster, &copied);
        assert_eq!(refusal.code, RefusalCode::Other);
        assert!(refusal.reason.contains("incarnation"), "{refusal}");
    }

    #[test]
    fn who_may_have_missed_changes_listens_to_whoever_knows_the_cluster() {
        let cluster = cluster(Marks::default());
        cluster.set_turn(None, Position::default());
        let fourth = cluster.admit(&hello(4)).unwrap();
        assert!(fourth.is_provisional() && cluster.peers().len() == 3);
        assert!(cluster.admit(&Hello { cluster: Some(ClusterId(8)), ..hello(5) }).is_err());
        cluster.admit(&hello(5)).unwrap();

        // A leader is known now: only it stays until the membership says more.
        cluster.set_turn(Some(NodeId(4)), Position::default());
        cluster.drop_provisional();
        assert_eq!(cluster.peers().keys().map(|id| id.get()).collect::<Vec<_>>(), [2, 3, 4]);
        cluster.update(&members(&[1, 4, 6]));
        assert_eq!(cluster.peers().keys().map(|id| id.get()).collect::<Vec<_>>(), [4, 6]);
        assert!(!fourth.is_provisional());
        assert!(Arc::ptr_eq(&fourth, &cluster.peers()[&NodeId(4)]));
    }

    #[test]
    fn a_node_that_has_joined_listens_to_the_first_that_knows_its_cluster() {
        let cluster =
            Cluster::new(ClusterId(9), member(1), 1, Position::default(), Marks::default());
        assert!(cluster.admit(&hello(2)).unwrap().is_provisional());
        assert!(cluster.admit(&Hello { cluster: Some(ClusterId(8)), ..hello(3) }).is_err());
    }

    #[test]
    fn an_awaited_member_is_no_peer_until_its_node_is_one() {
        let cluster = cluster(Marks::default());
        let mut membership = members(&[1, 2, 3]);
        let awaited = Member { incarnation: Incarnation(0), name: "n4".to_owned(), ..member(40) };
        membership.apply(&[MemberChange::Add(awaited.clone())]).unwrap();
        cluster.update(&membership);
        assert_eq!(cluster.peers().keys().map(|id| id.get()).collect::<Vec<_>>(), [2, 3]);
        // Nobody can speak for it.
        let impostor = Hello { node: awaited, ..hello(4) };
        assert_eq!(refused(&cluster, &impostor).code, RefusalCode::NotAMember);
        membership.apply(&[MemberChange::Add(member(4))]).unwrap();
        cluster.update(&membership);
        assert_eq!(cluster.admit(&hello(4)).unwrap().id, NodeId(4));
    }

    #[test]
    fn a_removed_member_is_told_so() {
        let cluster = cluster(Marks::default());
        let mut membership = members(&[1, 2, 3]);
        membership.apply(&[MemberChange::Remove(NodeId(3))]).unwrap();
        cluster.update(&membership);
        assert!(cluster.admit(&hello(3)).is_ok(), "it still counts until the change is over");
        membership.apply(&[]).unwrap();
        cluster.update(&membership);
        assert_eq!(refused(&cluster, &hello(3)).code, RefusalCode::Removed);
        cluster.set_turn(None, Position::default());
        assert_eq!(refused(&cluster, &hello(3)).code, RefusalCode::Removed, "also without leader");
    }

    #[test]
    fn a_disk_that_went_back_in_time_is_refused_with_what_is_missing() {
        let mut out = vec![1];
        let mut encoder = Encoder::new(&mut out);
        encoder.count(1);
        for number in [2, 4, 50] {
            encoder.u64(number);
        }
        let marks = Marks::decode(&mut Decoder::new(out.into())).unwrap();
        let cluster = cluster(marks);
        assert!(cluster.admit(&hello(2)).is_ok());
        let mark = Position { term: Term(4), last_index: Index(50) };
        for (term, last_index) in [(4, 49), (3, 50), (3, 900), (0, 0)] {
            let position = Position { term: Term(term), last_index: Index(last_index) };
            let refusal = refused(&cluster, &Hello { position, ..hello(2) });
            assert_eq!(refusal.code, RefusalCode::RolledBack(mark));
        }
        let position = Position { term: Term(5), last_index: Index(51) };
        assert!(cluster.admit(&Hello { position, ..hello(2) }).is_ok());
    }

    #[test]
    fn of_two_processes_of_one_node_the_first_stays() {
        let cluster = cluster(Marks::default());
        let peer = connect(&cluster, 2, 5);
        let copy = Hello { session: 6, ..hello(2) };
        assert_eq!(refused(&cluster, &copy).code, RefusalCode::Clone);
        assert!(cluster.admit(&Hello { session: 5, ..hello(2) }).is_ok(), "it connects again");
        let again = peer.connect(Side::Inbound, 5);
        peer.disconnect(Side::Inbound, &again);
        assert!(cluster.admit(&copy).is_ok(), "the first is gone");
        // A node that is reached at another's address is itself or its copy.
        assert_eq!(refused(&cluster, &Hello { session: 7, ..hello(1) }).code, RefusalCode::Clone);
        assert_eq!(refused(&cluster, &hello(1)).code, RefusalCode::Other);
    }

    #[test]
    fn of_two_processes_of_one_node_the_leaders_stays_everywhere() {
        let cluster = cluster(Marks::default());
        cluster.set_turn(Some(NodeId(3)), Position::default());
        let second = connect(&cluster, 2, 5);
        let leader = connect(&cluster, 3, 3000);
        let vitals = |leads, session| Vitals {
            leads,
            sessions: vec![(NodeId(2), session)],
            ..Vitals::default()
        };
        cluster.receive_vitals(&leader, vitals(true, 5));
        assert_eq!(cluster.rival(NodeId(2), 5), None);
        cluster.receive_vitals(&leader, vitals(true, 4));
        assert_eq!(cluster.rival(NodeId(2), 5), Some(NodeId(3)));
        drop(second);
        let refusal = cluster.admit(&Hello { session: 5, ..hello(2) }).map(|_| ()).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Clone);
        assert!(refusal.reason.contains("n3"), "names the node that hears the other: {refusal}");

        // Without a leader all keep the same one of the two.
        cluster.receive_vitals(&leader, vitals(false, 4));
        assert_eq!(cluster.rival(NodeId(2), 5), None);
        cluster.receive_vitals(&leader, vitals(false, 6));
        assert_eq!(cluster.rival(NodeId(2), 5), Some(NodeId(3)));
        // A leader believes itself.
        cluster.set_turn(Some(NodeId(1)), Position::default());
        assert_eq!(cluster.rival(NodeId(2), 5), None);
    }

    #[tokio::test]
    async fn connections_are_cut_when_the_leader_hears_another_process_or_the_member_goes() {
        let cluster = cluster(Marks::default());
        cluster.set_turn(Some(NodeId(3)), Position::default());
        let leader = connect(&cluster, 3, 3000);
        let peer = cluster.admit(&hello(2)).unwrap();
        let cut = peer.connect(Side::Inbound, 2000);
        let sessions = vec![(NodeId(2), 2001)];
        cluster.receive_vitals(&leader, Vitals { leads: true, sessions, ..Vitals::default() });
        cut.notified().await;
        let cut = peer.connect(Side::Outbound, 2000);
        cluster.update(&members(&[1, 3]));
        cut.notified().await;
    }

    #[test]
    fn vitals_name_who_is_connected_and_answer_the_stamp() {
        let cluster = cluster(Marks::default());
        let peer = connect(&cluster, 2, 5);
        let mut vitals = Vitals::default();
        vitals.stamp.sent_us = 77;
        cluster.receive_vitals(&peer, vitals);
        let told = cluster.vitals_for(&peer);
        assert_eq!(told.sessions, [(NodeId(2), 5)]);
        assert!(told.leads && told.stamp.echo_us == 77 && told.stamp.sent_us > 0);
        assert_eq!(peer.round_trip_us(), None);
        let mut vitals = Vitals::default();
        vitals.stamp.echo_us = told.stamp.sent_us;
        cluster.receive_vitals(&peer, vitals);
        assert!(peer.round_trip_us().is_some());
    }
}
