//! Entries, reads and hand-overs among members that stay the same.

use super::*;
use crate::StartError;

#[test]
fn one_node_commits_only_what_is_synced() {
    let mut cluster = Cluster::new(1);
    assert_eq!(cluster.leader(), 1);
    cluster.slow = vec![NodeId(1)];
    cluster.propose(1, 7);
    assert_eq!(cluster.commands(1), []);
    cluster.sync(1);
    assert_eq!(cluster.commands(1), [(1001, 7)]);
}

#[test]
fn a_proposal_reaches_every_node_from_any_node() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    for id in 1..=3 {
        cluster.propose(id, id);
    }
    cluster.tick(5);
    let expected = cluster.commands(leader);
    assert_eq!(expected.len(), 3);
    for id in 1..=3 {
        assert_eq!(cluster.commands(id), expected);
    }
}

#[test]
fn a_follower_acknowledges_only_what_is_synced() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    cluster.slow = cluster.nodes.keys().copied().filter(|id| id.get() != leader).collect();
    cluster.propose(leader, 1);
    cluster.tick(3);
    assert_eq!(cluster.commands(leader), [], "the leader's own disk is no quorum");
    let follower = cluster.follower(leader);
    while !cluster.node(follower).unsynced.is_empty() {
        cluster.sync(follower);
    }
    assert_eq!(cluster.commands(leader).len(), 1);
}

#[test]
fn the_followers_commit_without_the_leaders_disk() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    cluster.slow = vec![NodeId(leader)];
    let follower = cluster.follower(leader);
    cluster.propose(follower, 1);
    cluster.tick(3);
    assert_eq!(cluster.commands(follower).len(), 1, "two of three disks are a quorum");
    assert_eq!(cluster.commands(leader), [], "the leader applies only what it has synced");
}

#[test]
fn a_proposal_that_the_dead_leader_took_along_is_proposed_again_once() {
    let mut cluster = Cluster::new(3);
    let old = cluster.leader();
    let follower = cluster.follower(old);
    // The leader takes the forward and dies with it.
    cluster.cut = cluster.nodes.keys().copied().filter(|id| id.get() != old).collect();
    cluster.propose(follower, 1);
    cluster.cut = vec![NodeId(old)];
    let new = cluster.leader();
    assert_ne!(new, old);
    cluster.tick(20);
    let session = 1000 + follower;
    assert_eq!(cluster.commands(follower), [(session, 1)]);
    cluster.cut.clear();
    cluster.tick(60);
    assert_eq!(cluster.commands(old), [(session, 1)]);
}

#[test]
fn reads_are_confirmed_on_every_node_and_refused_without_a_quorum() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    for id in 1..=3 {
        cluster.handle(id, Event::Read { sequence: 1, ttl_ticks: 50 });
    }
    cluster.tick(2);
    for node in cluster.nodes.values() {
        assert_eq!(node.ready_reads, [1]);
    }
    cluster.cut = vec![NodeId(leader)];
    cluster.handle(leader, Event::Read { sequence: 2, ttl_ticks: 50 });
    cluster.tick(60);
    assert_eq!(cluster.nodes[&NodeId(leader)].ready_reads, [1]);
}

#[test]
fn without_a_leader_a_proposal_expires_unsent() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let follower = cluster.follower(leader);
    cluster.cut = cluster.nodes.keys().copied().collect();
    cluster.tick(60);
    cluster.propose(follower, 9);
    cluster.tick(101);
    assert_eq!(cluster.nodes[&NodeId(follower)].expired, [(9, false)]);
}

#[test]
fn leadership_is_handed_over() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    cluster.handle(leader, Event::Transfer { to: None });
    cluster.tick(3);
    let roles: Vec<Role> = cluster.nodes.values().map(|node| node.core.leadership().role).collect();
    assert_eq!(roles.iter().filter(|&&role| role == Role::Leader).count(), 1);
    assert_ne!(cluster.nodes[&NodeId(leader)].core.leadership().role, Role::Leader);
}

#[test]
fn a_disk_that_contradicts_itself_is_refused() {
    let entry = |index| Entry {
        index: Index(index),
        term: Term(1),
        kind: EntryKind::Data,
        data: Bytes::new(),
    };
    let start = |commit, applied, entries: Vec<Entry>| {
        let hard_state = HardState { term: Term(1), vote: None, commit: Index(commit) };
        let (first_index, terms) = (Index(1), vec![(Index(1), Term(1))]);
        let (membership, applied) = (Membership::founded([member(1)]), Index(applied));
        let start = Start { hard_state, membership, applied, first_index, terms, entries };
        Core::new(Config::new(NodeId(1), 1), start).map(|_| ())
    };
    assert_eq!(start(2, 0, vec![entry(1), entry(2)]), Ok(()));
    assert!(matches!(start(3, 0, vec![entry(1)]), Err(StartError::CommitBehindLog { .. })));
    assert!(matches!(start(0, 0, vec![entry(2)]), Err(StartError::Gap { .. })));
    let trimmed = Start { first_index: Index(3), ..founded(1) };
    let trimmed = Core::new(Config::new(NodeId(1), 1), trimmed).map(|_| ());
    assert!(matches!(trimmed, Err(StartError::Trimmed { .. })));
    let nameless = Start { terms: Vec::new(), ..founded(1) };
    let nameless = Core::new(Config::new(NodeId(1), 1), nameless).map(|_| ());
    assert_eq!(nameless, Err(StartError::TermUnknown(Index(1))));
}

/// What an earlier run of a process asked is nothing to the one that runs now, although both count
/// from 1.
#[test]
fn answers_to_an_earlier_run_are_ignored() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let follower = cluster.follower(leader);
    cluster.cut = vec![NodeId(leader)];
    cluster.handle(follower, Event::Read { sequence: 1, ttl_ticks: 1000 });
    cluster.propose(follower, 2);
    let from = NodeId(leader);
    let earlier = 1;
    let reply = Message::ReadReply { session: earlier, context: 1, index: Index(0) };
    cluster.handle(follower, Event::Message { from, message: reply });
    assert_eq!(cluster.nodes[&NodeId(follower)].ready_reads, []);
    let refused = Message::ForwardRefused { session: earlier, batch: 1 };
    cluster.handle(follower, Event::Message { from, message: refused });
    let session = 1000 + follower;
    let refused = Message::ForwardRefused { session, batch: 1 };
    let node = cluster.nodes.get_mut(&NodeId(follower)).unwrap();
    let forwards = |core: &mut Core, event: Event| {
        let mut effects = Vec::new();
        core.handle([event], 0, &mut effects);
        let forward = |effect: &Effect| {
            matches!(effect, Effect::Send { message: Message::Forward { batch: 2, .. }, .. })
        };
        effects.iter().any(forward)
    };
    assert!(!forwards(&mut node.core, Event::Tick), "nobody refused a forward of this run");
    assert!(!forwards(&mut node.core, Event::Message { from, message: refused }));
    assert!(forwards(&mut node.core, Event::Tick), "refused: forwarded anew");
}
