//! What a node answers to invitations in every phase of its life.

use std::time::Instant;

use remex_consensus::Marks;
use remex_model::{Membership, Term};

use super::*;

struct Rig {
    former: Former,
    directory: Arc<Directory>,
    _folder: tempfile::TempDir,
}

fn rig(phase: Phase) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let directory = Arc::new(Directory::open(folder.path()).unwrap());
    let (id, incarnation, name) = (NodeId(1), Incarnation(2), "n1".to_owned());
    let identity = Identity { id, incarnation, name, has_log: true, phase };
    directory.write_identity(&identity).unwrap();
    let patience = Patience::of(&crate::Config::new("unused"));
    let (address, url) = ("a:1".to_owned(), String::new());
    let former = Former::new(Arc::clone(&directory), identity, address, url, patience);
    Rig { former, directory, _folder: folder }
}

const OURS: ClusterId = ClusterId(9);
const OTHER: ClusterId = ClusterId(8);

fn of(cluster: ClusterId) -> Phase {
    Phase::Member { cluster, founders: Vec::new() }
}

fn member(id: u64) -> Member {
    Member {
        id: NodeId(id),
        incarnation: Incarnation(id),
        name: format!("n{id}"),
        peer_address: format!("127.0.0.1:{id}"),
        client_url: String::new(),
        promote: true,
    }
}

/// A member of a cluster speaks.
fn hello(cluster: ClusterId) -> Hello {
    Hello {
        purpose: Purpose::Ask,
        cluster: Some(cluster),
        node: member(7),
        session: 1,
        position: Position { term: Term(1), ..Position::default() },
        version: VERSION.to_owned(),
    }
}

impl Rig {
    async fn invite(&self, cluster: ClusterId) -> Reply {
        self.former.answer(&hello(OURS), Question::Invite { cluster }).await
    }

    /// The node runs alone in a cluster of its own, in which its state is at `revision`.
    fn run(&self, cluster: ClusterId, revision: u64) -> (Arc<Inbox>, Arc<Board>) {
        let me = self.former.me();
        let (inbox, board) = (Arc::new(Inbox::default()), Arc::new(Board::default()));
        board.set_membership(Arc::new(Membership::founded([me.clone()])));
        board.set_revision(Revision(revision));
        let cluster = Cluster::new(cluster, me, 5, Position::default(), Marks::default());
        self.former.set_running(Arc::new(cluster), Arc::clone(&inbox), Arc::clone(&board));
        (inbox, board)
    }

    /// What is on disk is what is in memory.
    fn phase(&self) -> Phase {
        let stored = self.directory.read_identity().unwrap().unwrap();
        assert_eq!(stored.phase, self.former.phase());
        stored.phase
    }
}

/// Waits until the node was told to stop its parts for an invitation.
async fn invited(inbox: &Inbox) {
    let mut inputs = Vec::new();
    while !inputs.iter().any(|input| matches!(input, Input::Invited)) {
        tokio::task::yield_now().await;
        inputs.clear();
        inbox.drain(&mut inputs, Instant::now());
    }
}

fn refused(reply: &Reply) -> &Error {
    match reply {
        Reply::Denied(error) => error,
        other => panic!("refused, not {other:?}"),
    }
}

#[tokio::test]
async fn a_waiting_node_comes_when_it_is_invited() {
    let rig = rig(Phase::Fresh);
    assert!(matches!(rig.invite(OTHER).await, Reply::Denied(_)), "not the asker's cluster");
    assert_eq!(rig.phase(), Phase::Fresh);
    assert_eq!(rig.invite(OURS).await, Reply::Accepted);
    assert_eq!(rig.phase(), of(OURS));
    assert_eq!(rig.invite(OURS).await, Reply::Accepted, "asking again changes nothing");
    let founded = rig.former.enter_cluster(&[], None, true).await.unwrap();
    assert_eq!(founded, Founded { cluster: OURS, members: Vec::new() });
}

#[tokio::test]
async fn a_member_that_missed_the_founding_learns_of_it_with_its_founders() {
    let members = vec![member(1), member(7)];
    let promised = Phase::Promised { cluster: OURS, founder: NodeId(7), members: members.clone() };
    let rig = rig(promised);
    assert_eq!(rig.invite(OURS).await, Reply::Accepted);
    assert_eq!(rig.phase(), Phase::Member { cluster: OURS, founders: members });
}

#[tokio::test]
async fn a_node_of_another_cluster_stays_there_unless_it_is_pristine() {
    let rig = rig(of(OTHER));
    assert_eq!(refused(&rig.invite(OURS).await).code, ErrorCode::NotReady, "not known yet");
    let (_inbox, board) = rig.run(OTHER, 2);
    let reply = rig.invite(OURS).await;
    let error = refused(&reply);
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.detail.contains(&OURS.to_string()) && error.detail.contains(&OTHER.to_string()));
    assert!(error.hint.as_ref().unwrap().contains("--data-dir"));

    board.set_revision(Revision(1));
    board.set_membership(Arc::new(Membership::founded([member(1), member(2)])));
    assert_eq!(refused(&rig.invite(OURS).await).code, ErrorCode::Conflict, "not alone");
    assert_eq!(rig.phase(), of(OTHER));
}

#[tokio::test]
async fn a_pristine_cluster_is_given_up_once_its_parts_have_stopped() {
    let rig = rig(of(OTHER));
    let (inbox, _board) = rig.run(OTHER, 1);
    let supervise = async {
        invited(&inbox).await;
        assert_eq!(rig.phase(), of(OTHER), "nothing is given up while the parts run");
        rig.former.clear_running();
        rig.former.enter_cluster(&[], None, false).await.unwrap()
    };
    let (reply, founded) = tokio::join!(rig.invite(OURS), supervise);
    assert_eq!(reply, Reply::Accepted);
    assert_eq!(founded.cluster, OURS);
    assert_eq!(rig.phase(), of(OURS));
    assert!(!rig.former.has_log(), "what lies on the disk means nothing any more");
}

#[tokio::test]
async fn a_write_that_comes_before_the_parts_have_stopped_keeps_the_cluster() {
    let rig = rig(of(OTHER));
    let (inbox, board) = rig.run(OTHER, 1);
    let supervise = async {
        invited(&inbox).await;
        board.set_revision(Revision(2));
        let founded = rig.former.enter_cluster(&[], None, false).await.unwrap();
        assert_eq!(founded.cluster, OTHER);
    };
    let (reply, ()) = tokio::join!(rig.invite(OURS), supervise);
    assert_eq!(refused(&reply).code, ErrorCode::Conflict);
    assert_eq!(rig.phase(), of(OTHER));
    assert!(rig.former.has_log());
}

#[tokio::test]
async fn a_removed_node_does_not_come_back() {
    let rig = rig(of(OURS));
    rig.former.remove().unwrap();
    assert_eq!(rig.phase(), Phase::Removed { cluster: OURS });
    let reply = rig.invite(OURS).await;
    assert!(refused(&reply).detail.contains("removed"));
    let error = rig.former.enter_cluster(&["127.0.0.1:1".to_owned()], None, false).await;
    assert!(matches!(error, Err(OpenError::Removed(_))), "{error:?}");
}

#[tokio::test]
async fn a_node_that_lost_its_promises_returns_to_its_cluster_as_another() {
    let rig = rig(of(OURS));
    let before = rig.former.me();
    rig.former.lose(OURS, vec!["127.0.0.1:7".to_owned()]).unwrap();
    let after = rig.former.me();
    assert!(before.id != after.id && before.incarnation != after.incarnation);
    assert_eq!(before.name, after.name);
    assert!(!rig.former.has_log());
    let other = Question::Invite { cluster: OTHER };
    assert!(matches!(rig.former.answer(&hello(OTHER), other).await, Reply::Denied(_)));
    assert_eq!(rig.invite(OURS).await, Reply::Accepted);
    assert_eq!(rig.phase(), of(OURS));
}

#[tokio::test]
async fn a_founder_waits_only_for_those_that_it_needs() {
    let seen = |rig: &Rig| {
        let fresh = [rig.former.me(), member(7), member(8)];
        fresh.into_iter().map(|member| (member.id, (member, Phase::Fresh))).collect()
    };
    let needs_all = rig(Phase::Fresh);
    needs_all.former.advance(&seen(&needs_all), 3).await.unwrap();
    let Phase::Promised { members, .. } = needs_all.phase() else { panic!("it gave up") };
    assert_eq!(members.len(), 3);

    // Nobody answers at those addresses: it begins anew, and will see who is there then.
    let needs_two = rig(Phase::Fresh);
    needs_two.former.advance(&seen(&needs_two), 2).await.unwrap();
    assert_eq!(needs_two.phase(), Phase::Fresh);
}
