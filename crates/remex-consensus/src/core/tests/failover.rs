//! Leaders that are gone, or said to be.

use super::*;

fn gone(cluster: &mut Cluster, peer: u64) {
    for id in cluster.nodes.keys().map(|id| id.get()).filter(|&id| id != peer).collect::<Vec<_>>() {
        cluster.handle(id, Event::PeerGone { peer: NodeId(peer) });
    }
}

#[test]
fn a_leader_that_is_gone_for_certain_is_replaced_in_a_few_ticks() {
    for size in [3, 5] {
        let mut cluster = Cluster::new(size);
        let old = cluster.leader();
        cluster.nodes.remove(&NodeId(old));
        gone(&mut cluster, old);
        cluster.tick(10);
        assert!(cluster.leader_now().is_some(), "{size} nodes");
    }
}

/// The second notices later, and still takes the vote of the first for granted in the meantime.
#[test]
fn followers_that_notice_one_after_the_other_elect_soon_too() {
    for delay in 1..10 {
        let mut cluster = Cluster::new(3);
        let old = cluster.leader();
        cluster.nodes.remove(&NodeId(old));
        let ids: Vec<u64> = cluster.nodes.keys().map(|id| id.get()).collect();
        cluster.handle(ids[0], Event::PeerGone { peer: NodeId(old) });
        cluster.tick(delay);
        cluster.handle(ids[1], Event::PeerGone { peer: NodeId(old) });
        cluster.tick(8);
        assert!(cluster.leader_now().is_some(), "{delay} ticks apart");
    }
}

/// The only one that can win notices first, and stands again until the other one notices too.
#[test]
fn whoever_noticed_first_does_not_give_up() {
    for delay in 1..18 {
        let mut cluster = Cluster::new(3);
        let old = cluster.leader();
        let behind = cluster.follower(old);
        cluster.cut = vec![NodeId(behind)];
        cluster.propose(old, 1);
        cluster.tick(1);
        cluster.nodes.remove(&NodeId(old));
        cluster.cut.clear();
        let ahead = cluster.follower(behind);
        cluster.handle(ahead, Event::PeerGone { peer: NodeId(old) });
        cluster.tick(delay);
        cluster.handle(behind, Event::PeerGone { peer: NodeId(old) });
        cluster.tick(8);
        assert_eq!(cluster.leader_now(), Some(ahead), "{delay} ticks apart");
    }
}

#[test]
fn a_false_alarm_changes_nothing() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let term = cluster.node(leader).core.leadership().term;
    let follower = cluster.follower(leader);
    for _ in 0..20 {
        cluster.handle(follower, Event::PeerGone { peer: NodeId(leader) });
        cluster.tick(7);
    }
    cluster.tick(3);
    for id in 1..=3 {
        let leadership = cluster.node(id).core.leadership();
        assert_eq!((leadership.term, leadership.leader), (term, Some(NodeId(leader))));
    }
}

#[test]
fn the_end_of_one_that_does_not_lead_hurries_nobody() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let term = cluster.node(leader).core.leadership().term;
    let follower = cluster.follower(leader);
    cluster.cut = vec![NodeId(follower)];
    gone(&mut cluster, follower);
    for id in cluster.nodes.keys().map(|id| id.get()).filter(|&id| id != follower) {
        assert_eq!(cluster.node(id).core.leadership().leader, Some(NodeId(leader)));
    }
    cluster.tick(10);
    assert_eq!(cluster.leader_now(), Some(leader));
    assert_eq!(cluster.node(leader).core.leadership().term, term);
}

/// The only voter wins an election by standing for it, and the library aborts if the winner's log
/// is not synced.
#[test]
fn the_last_voter_waits_for_its_disk_before_it_stands() {
    let mut cluster = Cluster::new(2);
    let last = cluster.leader();
    let old = cluster.follower(last);
    cluster.slow = vec![NodeId(last)];
    assert_eq!(cluster.change(last, vec![MemberChange::Remove(NodeId(old))]), None);
    cluster.sync(last);
    // The entry that leaves the joint membership is in both logs. The other one comes to lead.
    cluster.cut = vec![NodeId(last)];
    cluster.tick(40);
    cluster.cut.clear();
    cluster.slow.push(NodeId(old));
    while cluster.node(old).core.leadership().role != Role::Leader {
        cluster.handle(old, Event::Tick);
        cluster.sync(old);
        cluster.sync(last);
    }
    let mut sequence = 0;
    while !cluster.node(old).removed {
        // There is always one more entry behind that which says that the membership was left.
        sequence += 1;
        cluster.propose(old, sequence);
        if sequence.is_multiple_of(4) {
            cluster.sync(last);
        }
        cluster.sync(old);
    }
    while !cluster.node(old).unsynced.is_empty() {
        cluster.sync(old);
    }
    while cluster.parts(last).len() > 1 {
        cluster.sync(last);
    }
    assert_eq!(cluster.parts(last), voters(&[last]));
    cluster.cut = vec![NodeId(old)];
    cluster.tick(100);
    while !cluster.node(last).unsynced.is_empty() {
        cluster.sync(last);
    }
    cluster.slow.clear();
    assert_eq!(cluster.leader(), last);
}

/// Seed 50 of the chaos test: the only voter led a term, gave an entry of it to a learner, crashed
/// before it had synced either, led the same term again, and committed another entry.
#[test]
fn the_only_voter_tells_nobody_of_a_term_that_it_has_not_synced() {
    let mut cluster = Cluster::new(2);
    let voter = cluster.leader();
    let learner = cluster.follower(voter);
    assert_eq!(cluster.change(voter, vec![MemberChange::Demote(NodeId(learner))]), None);
    let before = cluster.node(learner).core.leadership().term;
    cluster.flush(voter);
    cluster.restart(voter);
    cluster.slow = vec![NodeId(voter)];
    cluster.propose(voter, 1);
    cluster.tick(5);
    assert!(cluster.node(voter).core.leadership().term > before);
    assert_eq!(cluster.node(learner).core.leadership().term, before);
    while !cluster.node(voter).unsynced.is_empty() {
        cluster.sync(voter);
    }
    cluster.slow.clear();
    cluster.tick(5);
    assert_eq!(cluster.commands(learner), [(1000 + voter, 1)]);
}
