//! Peers whose disks went back in time, and messages that no sound peer sends.

use raft::eraftpb::{self, MessageType};

use super::*;
use crate::{Marks, RaftMessage};

fn message(kind: MessageType, from: u64, to: u64, term: Term) -> eraftpb::Message {
    let mut message = eraftpb::Message::default();
    message.set_msg_type(kind);
    (message.from, message.to, message.term) = (from, to, term.get());
    message
}

fn give(cluster: &mut Cluster, message: eraftpb::Message) {
    let (from, to) = (NodeId(message.from), message.to);
    let message = Message::Raft(RaftMessage(message));
    cluster.handle(to, Event::Message { from, message });
}

/// A leader with some writes, and a follower.
fn pair() -> (Cluster, u64, u64, Term) {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    for sequence in 1..=5 {
        cluster.propose(leader, sequence);
    }
    cluster.tick(5);
    let follower = cluster.follower(leader);
    let term = cluster.node(leader).core.leadership().term;
    (cluster, leader, follower, term)
}

#[test]
fn a_follower_that_lost_what_it_acknowledged_says_so() {
    let (mut cluster, _, follower, _) = pair();
    let disk = &mut cluster.node_mut(follower).disk;
    disk.entries.truncate(2);
    disk.hard_state.commit = Index(1);
    disk.state = (Index(1), founded(3).membership);
    cluster.restart(follower);
    cluster.tick(10);
    assert!(cluster.node(follower).rolled_back.is_some());
}

#[test]
fn a_leader_that_lost_what_others_have_says_so() {
    let (mut cluster, leader, follower, term) = pair();
    let mut reply = message(MessageType::MsgAppendResponse, follower, leader, term);
    reply.index = u64::MAX;
    give(&mut cluster, reply);
    assert!(cluster.node(leader).rolled_back.is_some());
}

#[test]
fn a_leader_that_contradicts_a_committed_entry_is_not_believed() {
    let (cluster, leader, follower, term) = pair();
    let commit = cluster.node(follower).core.commit().get();
    let contradict = |index: u64, log_term: u64, entries: &[(u64, u64)]| {
        let (mut cluster, _, _, _) = pair();
        let mut append = message(MessageType::MsgAppend, leader, follower, Term(term.get() + 1));
        (append.index, append.log_term, append.commit) = (index, log_term, index);
        let entries = entries.iter().map(|&(index, term)| eraftpb::Entry {
            index,
            term,
            ..eraftpb::Entry::default()
        });
        append.set_entries(entries.collect::<Vec<_>>().into());
        give(&mut cluster, append);
        cluster.node(follower).fatal.is_some()
    };
    assert!(contradict(commit, term.get() + 1, &[]));
    assert!(contradict(commit + 1, 1, &[]), "its log is older than what is committed here");
    assert!(contradict(commit - 1, term.get(), &[(commit, term.get() + 1)]));
    assert!(!contradict(commit, term.get(), &[(commit + 1, term.get() + 1)]));
    assert!(!contradict(commit - 1, term.get(), &[(commit, term.get())]));
    assert!(!contradict(0, 0, &[]), "before the log begins nothing is known");
}

#[test]
fn an_offered_snapshot_that_contradicts_a_committed_entry_is_not_believed() {
    let (mut cluster, leader, follower, term) = pair();
    let mut offer = message(MessageType::MsgSnapshot, leader, follower, term);
    let metadata = offer.mut_snapshot().mut_metadata();
    metadata.index = cluster.node(follower).core.commit().get();
    metadata.term = term.get() + 7;
    give(&mut cluster, offer);
    assert!(cluster.node(follower).fatal.is_some());
    assert_eq!(cluster.node(follower).needed, []);
}

#[test]
fn an_offered_snapshot_that_the_log_holds_is_only_answered() {
    let (mut cluster, leader, follower, term) = pair();
    let mut offer = message(MessageType::MsgSnapshot, leader, follower, term);
    let metadata = offer.mut_snapshot().mut_metadata();
    metadata.index = cluster.node(follower).core.commit().get();
    metadata.term = term.get();
    give(&mut cluster, offer);
    assert_eq!(cluster.node(follower).needed, []);
    assert!(cluster.node(follower).fatal.is_none());
}

/// Every kind of message with extreme numbers in every field: nothing aborts.
#[test]
fn no_number_in_a_message_aborts_the_node() {
    let kinds = [
        MessageType::MsgAppend,
        MessageType::MsgAppendResponse,
        MessageType::MsgRequestVote,
        MessageType::MsgRequestVoteResponse,
        MessageType::MsgHeartbeat,
        MessageType::MsgHeartbeatResponse,
        MessageType::MsgRequestPreVote,
        MessageType::MsgRequestPreVoteResponse,
        MessageType::MsgTimeoutNow,
        MessageType::MsgSnapshot,
    ];
    let numbers = [0, 1, 7, 1 << 40, u64::MAX];
    let mut given = 0;
    for kind in kinds {
        let (mut cluster, leader, follower, term) = pair();
        cluster.cut = cluster.nodes.keys().copied().collect();
        for code in 0..numbers.len().pow(4) {
            let number = |place: u32| numbers[code / numbers.len().pow(place) % numbers.len()];
            let (from, to) = if code % 2 == 0 { (leader, follower) } else { (follower, leader) };
            let mut message = message(kind, from, to, term);
            (message.index, message.log_term) = (number(0), number(1));
            (message.commit, message.reject_hint) = (number(2), number(3));
            message.commit_term = number(1);
            message.reject = code % 3 == 0;
            let metadata = message.mut_snapshot().mut_metadata();
            (metadata.index, metadata.term) = (number(0), number(1));
            give(&mut cluster, message);
            given += 1;
        }
        cluster.tick(40);
    }
    assert_eq!(given, 10 * 625);
}

#[test]
fn a_removed_node_gets_no_vote() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let gone = cluster.follower(leader);
    assert_eq!(cluster.change(leader, vec![MemberChange::Remove(NodeId(gone))]), None);
    let other = cluster.nodes.keys().map(|id| id.get()).find(|&id| id != leader && id != gone);
    let other = other.unwrap();
    cluster.handle(other, Event::PeerGone { peer: NodeId(leader) });
    let term = Term(cluster.node(other).core.leadership().term.get() + 1);
    let mut effects = Vec::new();
    let mut ask = message(MessageType::MsgRequestPreVote, gone, other, term);
    (ask.index, ask.log_term) = (1 << 20, term.get());
    let ask = Message::Raft(RaftMessage(ask));
    let event = Event::Message { from: NodeId(gone), message: ask };
    cluster.node_mut(other).core.handle([event], 0, &mut effects);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Send { .. })), "{effects:?}");
}

#[test]
fn a_stranger_cannot_depose_a_leader() {
    let (mut cluster, leader, _, term) = pair();
    let mut ask = message(MessageType::MsgRequestVote, 99, leader, Term(term.get() + 5));
    (ask.index, ask.log_term) = (1 << 20, term.get());
    // The library takes this for a hand-over, which breaks every lease.
    ask.context = Bytes::from_static(b"CampaignTransfer");
    give(&mut cluster, ask);
    assert_eq!(cluster.leader_now(), Some(leader));
    assert_eq!(cluster.node(leader).core.leadership().term, term);
}

#[test]
fn the_leader_marks_what_its_members_have() {
    let (mut cluster, leader, follower, term) = pair();
    let mut marks = Marks::default();
    cluster.node(follower).core.note_marks(&mut marks);
    assert_eq!(marks, Marks::default(), "only a leader knows");
    cluster.node(leader).core.note_marks(&mut marks);
    for id in 1..=3 {
        let core = &cluster.node(id).core;
        assert_eq!(marks.check(NodeId(id), term, core.last_index()), Ok(()));
        assert!(marks.check(NodeId(id), term, Index(core.commit().get() - 1)).is_err());
    }
    // What is not committed may yet be replaced, on the leader too.
    let commit = cluster.node(leader).core.commit();
    cluster.cut = cluster.nodes.keys().copied().collect();
    cluster.propose(leader, 9);
    assert!(cluster.node(leader).core.last_index() > commit);
    cluster.node(leader).core.note_marks(&mut marks);
    assert_eq!(marks.check(NodeId(leader), term, commit), Ok(()));
    // A lone voter leads before its term is synced.
    cluster = Cluster::new(1);
    cluster.slow = vec![NodeId(1)];
    cluster.tick(1);
    assert_eq!(cluster.leader_now(), Some(1));
    let mut marks = Marks::default();
    cluster.node(1).core.note_marks(&mut marks);
    assert_eq!(marks, Marks::default());
}
