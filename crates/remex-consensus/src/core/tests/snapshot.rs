//! Followers that need what the leader's log no longer has.

use super::*;

/// Three nodes of which one was cut off while the others wrote and trimmed their logs.
fn left_behind() -> (Cluster, u64, u64) {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let behind = cluster.follower(leader);
    cluster.cut = vec![NodeId(behind)];
    for sequence in 1..=30 {
        cluster.propose(leader, sequence);
    }
    for id in cluster.nodes.keys().map(|id| id.get()).filter(|&id| id != behind).collect::<Vec<_>>()
    {
        cluster.trim(id, 20);
    }
    cluster.cut.clear();
    (cluster, leader, behind)
}

#[test]
fn a_follower_behind_the_log_needs_a_snapshot_and_goes_on_from_it() {
    let (mut cluster, leader, behind) = left_behind();
    cluster.tick(10);
    let applied = cluster.node(leader).core.applied();
    let needed = cluster.node(behind).needed.clone();
    assert!(needed.iter().any(|&(index, _, from)| index == applied && from == NodeId(leader)));
    let lagging = |cluster: &Cluster| {
        let progress = cluster.node(leader).core.progress();
        progress.into_iter().find(|member| member.id == NodeId(behind)).unwrap()
    };
    assert!(lagging(&cluster).needs_snapshot && lagging(&cluster).active);
    cluster.tick(100);
    let again = cluster.node(behind).needed.len() - needed.len();
    assert!((3..=7).contains(&again), "told {again} times more in 100 ticks");
    assert_eq!(cluster.leader_now(), Some(leader), "heartbeats go on");
    cluster.install(behind, leader);
    // More comes in, and a newer offer is on its way, before the leader hears of it.
    cluster.propose(leader, 31);
    cluster.tick(6);
    assert_eq!(cluster.node(behind).needed, [], "it has what it needs");
    assert_eq!(cluster.node(behind).core.applied(), cluster.node(leader).core.applied());
    assert!(!lagging(&cluster).needs_snapshot);
}

/// A snapshot is as old as the state that its server has made durable: older than the offer.
#[test]
fn an_older_snapshot_than_offered_will_do_if_the_log_goes_on_from_it() {
    let (mut cluster, leader, behind) = left_behind();
    cluster.tick(10);
    let saved = cluster.node(leader).state.clone();
    cluster.propose(leader, 31);
    cluster.propose(leader, 32);
    cluster.tick(40);
    let now = std::mem::replace(&mut cluster.node_mut(leader).state, saved);
    cluster.install(behind, leader);
    cluster.node_mut(leader).state = now;
    cluster.tick(6);
    assert_eq!(cluster.node(behind).needed, []);
    assert_eq!(cluster.commands(behind).len(), 2);
}

/// The leader's log was trimmed past the snapshot while it was on its way.
#[test]
fn a_snapshot_that_is_too_old_when_it_arrives_is_followed_by_another() {
    let (mut cluster, leader, behind) = left_behind();
    cluster.tick(10);
    let saved = cluster.node(leader).state.clone();
    for sequence in 31..=40 {
        cluster.propose(leader, sequence);
    }
    cluster.trim(leader, 38);
    let now = std::mem::replace(&mut cluster.node_mut(leader).state, saved);
    cluster.install(behind, leader);
    cluster.node_mut(leader).state = now;
    cluster.tick(45);
    assert!(!cluster.node(behind).needed.is_empty());
    cluster.install(behind, leader);
    cluster.tick(6);
    assert_eq!(cluster.node(behind).core.applied(), cluster.node(leader).core.applied());
}

#[test]
fn a_new_leader_helps_one_that_installed_the_snapshot_of_the_old() {
    let (mut cluster, leader, behind) = left_behind();
    cluster.tick(10);
    cluster.install(behind, leader);
    cluster.cut = vec![NodeId(leader)];
    let new = cluster.leader();
    cluster.propose(new, 50);
    cluster.tick(10);
    for id in cluster.nodes.keys().map(|id| id.get()).filter(|&id| id != leader) {
        assert_eq!(cluster.commands(id).last(), Some(&(1000 + new, 50)), "{id}");
        assert_eq!(cluster.node(id).needed, []);
    }
}

#[test]
fn a_leader_restarts_with_a_trimmed_log() {
    let (mut cluster, leader, behind) = left_behind();
    cluster.nodes.remove(&NodeId(behind));
    for id in cluster.nodes.keys().map(|id| id.get()).collect::<Vec<_>>() {
        cluster.restart(id);
    }
    let new = cluster.leader();
    cluster.propose(new, 60);
    cluster.tick(5);
    for id in cluster.nodes.keys().map(|id| id.get()) {
        assert_eq!(cluster.commands(id).last(), Some(&(1000 + new, 60)));
    }
    assert!(cluster.node(leader).fatal.is_none());
}

/// The driver finds nothing to answer a fetch with, because the log is just being trimmed.
#[test]
fn a_fetch_that_finds_nothing_is_repeated() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let behind = cluster.follower(leader);
    cluster.cut = vec![NodeId(behind)];
    for sequence in 1..=30 {
        cluster.propose(leader, sequence);
    }
    cluster.cut.clear();
    cluster.blind = true;
    cluster.tick(20);
    let fetches = cluster.node(leader).fetches;
    assert!((1..=20).contains(&fetches), "{fetches} fetches in 20 ticks");
    assert_eq!(cluster.commands(behind), []);
    cluster.blind = false;
    cluster.tick(20);
    assert_eq!(cluster.commands(behind).len(), 30);
}

/// The same, but what was asked for is gone for good.
#[test]
fn a_fetch_of_what_was_trimmed_meanwhile_ends_in_a_snapshot() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let behind = cluster.follower(leader);
    cluster.cut = vec![NodeId(behind)];
    for sequence in 1..=30 {
        cluster.propose(leader, sequence);
    }
    cluster.cut.clear();
    cluster.blind = true;
    cluster.tick(4);
    assert!(cluster.node(leader).fetches > 0);
    cluster.blind = false;
    cluster.trim(leader, 25);
    cluster.tick(4);
    assert!(!cluster.node(behind).needed.is_empty());
}

#[test]
fn a_log_trimmed_beyond_what_is_applied_stops_the_node() {
    let mut cluster = Cluster::new(1);
    cluster.leader();
    let first_index = Index(cluster.node(1).core.applied().get() + 2);
    cluster.handle(1, Event::Trimmed { first_index });
    assert!(cluster.node(1).fatal.is_some());
}
