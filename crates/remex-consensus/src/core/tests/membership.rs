//! A cluster that grows and shrinks.

use remex_model::MembershipError;

use super::*;

/// Lets every node that needs a snapshot have the leader's.
fn help(cluster: &mut Cluster) {
    for _ in 0..40 {
        cluster.tick(1);
        let needing = |(id, node): (&NodeId, &Node)| Some((id.get(), node.needed.last()?.2.get()));
        let needing: Vec<_> = cluster.nodes.iter().filter_map(needing).collect();
        for (id, from) in needing {
            cluster.install(id, from);
        }
    }
}

/// Adds a node and waits until it votes.
fn grow(cluster: &mut Cluster, id: u64) {
    cluster.join(id);
    let leader = cluster.leader();
    assert_eq!(cluster.change(leader, vec![MemberChange::Add(member(id))]), None);
    help(cluster);
    let leader = cluster.leader();
    assert!(cluster.parts(leader).contains(&(id, Part::Voter)));
}

fn grown(size: u64) -> Cluster {
    let mut cluster = Cluster::new(1);
    for id in 2..=size {
        grow(&mut cluster, id);
    }
    cluster
}

/// Hands leadership to a node, so that tests know who leads.
fn lead(cluster: &mut Cluster, id: u64) {
    let leader = cluster.leader();
    cluster.handle(leader, Event::Transfer { to: Some(NodeId(id)) });
    cluster.tick(5);
    assert_eq!(cluster.leader(), id);
}

#[test]
fn one_node_grows_to_five_and_shrinks_back() {
    let mut cluster = grown(5);
    cluster.propose(5, 1);
    cluster.tick(5);
    for id in 1..=5 {
        assert_eq!(cluster.parts(id), voters(&[1, 2, 3, 4, 5]));
        assert_eq!(cluster.commands(id), [(1005, 1)]);
    }
    lead(&mut cluster, 5);
    for id in 1..=4 {
        assert_eq!(cluster.change(5, vec![MemberChange::Remove(NodeId(id))]), None);
        assert!(cluster.node(id).removed, "{id} was not told");
        assert_eq!(cluster.parts(5).len(), 5 - usize::try_from(id).unwrap());
        cluster.tick(60);
        assert_eq!(cluster.leader(), 5, "{id} disturbs the rest");
    }
    cluster.propose(5, 2);
    assert_eq!(cluster.commands(5), [(1005, 1), (1005, 2)]);
    assert_eq!(cluster.commands(4), [(1005, 1)]);
}

#[test]
fn the_leader_is_removed_after_it_has_handed_over() {
    let mut cluster = Cluster::new(3);
    let old = cluster.leader();
    let remove = vec![MemberChange::Remove(NodeId(old))];
    assert_eq!(cluster.change(old, remove.clone()), Some(ChangeRefusal::IsLeader));
    let demote = vec![MemberChange::Demote(NodeId(old))];
    assert_eq!(cluster.change(old, demote), Some(ChangeRefusal::IsLeader));
    let new = cluster.follower(old);
    lead(&mut cluster, new);
    assert_eq!(cluster.change(old, remove.clone()), Some(ChangeRefusal::NotLeader));
    assert_eq!(cluster.change(new, remove), None);
    assert!(cluster.node(old).removed);
    assert_eq!(cluster.parts(new).len(), 2);
}

#[test]
fn a_leader_that_is_removed_by_force_steps_down() {
    let mut cluster = Cluster::new(3);
    let old = cluster.leader();
    let remove = vec![MemberChange::Remove(NodeId(old))];
    assert_eq!(cluster.change_by(old, remove, true), None);
    cluster.tick(5);
    assert!(cluster.node(old).removed);
    assert_eq!(cluster.node(old).core.leadership().role, Role::Follower);
    cluster.tick(60);
    let new = cluster.leader();
    assert_ne!(new, old);
    cluster.propose(new, 1);
    assert_eq!(cluster.commands(new).len(), 1);
    assert_eq!(cluster.parts(new).len(), 2);
}

/// The leader dies after every single event of a change that replaces one voter by another. The
/// others either finish the change or undo it, and when the old leader comes back, restarted from
/// its disk, all agree.
#[test]
fn a_change_survives_the_leader_at_every_step() {
    let (mut kept, mut finished) = (0, 0);
    for events in 0..60 {
        let mut cluster = grown(4);
        lead(&mut cluster, 1);
        let demote = vec![MemberChange::Demote(NodeId(4))];
        assert_eq!(cluster.change(1, demote), None);
        cluster.tick(5);
        cluster.cut_after = Some((events, NodeId(1)));
        let changes = vec![MemberChange::Promote(NodeId(4)), MemberChange::Remove(NodeId(2))];
        assert_eq!(cluster.change(1, changes), None);
        cluster.cut = vec![NodeId(1)];
        cluster.cut_after = None;
        cluster.tick(100);
        let leader = cluster.leader();
        cluster.propose(leader, 7);
        cluster.tick(5);
        assert_eq!(cluster.commands(leader).len(), 1, "no progress after {events} events");
        cluster.restart(1);
        cluster.cut.clear();
        cluster.tick(100);
        let parts = cluster.parts(leader);
        let replaced = voters(&[1, 3, 4]);
        if parts == replaced {
            finished += 1;
        } else {
            kept += 1;
            let mut before = voters(&[1, 2, 3]);
            before.push((4, Part::Learner));
            assert_eq!(parts, before, "after {events} events");
        }
        for id in [1, 3, 4] {
            assert_eq!(cluster.parts(id), parts, "{id} after {events} events");
        }
    }
    assert!(kept > 0 && finished > 10, "{kept} kept, {finished} finished");
}

/// Nodes whose state machine and commit index are as old as their last write of entries must not
/// go by the old membership.
#[test]
fn a_restart_forgets_no_change() {
    let mut cluster = grown(5);
    lead(&mut cluster, 5);
    for id in 1..=5 {
        cluster.flush(id);
    }
    let changes = [1, 2].map(|id| MemberChange::Remove(NodeId(id)));
    assert_eq!(cluster.change(5, changes.to_vec()), None);
    for id in [1, 2, 3] {
        let leaving = cluster.node(id).disk.entries.last().unwrap();
        let commit = cluster.node(id).disk.hard_state.commit;
        assert!(commit.next() >= leaving.index, "{id} has forgotten that {commit} is committed");
        cluster.restart(id);
    }
    // The old majority is alone: it has the leaving entry, so it must not elect anybody.
    cluster.cut = vec![NodeId(4), NodeId(5)];
    cluster.tick(200);
    assert_eq!(cluster.leader_now(), None);
    cluster.cut.clear();
    let leader = cluster.leader();
    cluster.tick(100);
    assert_eq!(cluster.parts(leader), voters(&[3, 4, 5]));
}

/// `RethinkDB` lost data when a node that had been removed, and did not know it, went on to form a
/// majority of the old members with another.
#[test]
fn removed_nodes_with_an_old_configuration_elect_nobody() {
    let mut cluster = grown(5);
    lead(&mut cluster, 5);
    cluster.cut = vec![NodeId(1), NodeId(2)];
    let changes = [1, 2].map(|id| MemberChange::Remove(NodeId(id)));
    assert_eq!(cluster.change(5, changes.to_vec()), None);
    assert_eq!(cluster.parts(5), voters(&[3, 4, 5]));
    assert!(!cluster.node(1).removed && !cluster.node(2).removed, "they were not told");
    // Now the removed ones and one that stayed are together.
    cluster.restart(3);
    cluster.cut = vec![NodeId(4), NodeId(5)];
    cluster.tick(300);
    assert_eq!(cluster.leader_now(), None);
    cluster.propose(5, 9);
    cluster.cut.clear();
    cluster.tick(100);
    let term = cluster.node(5).core.leadership().term;
    cluster.tick(100);
    let leader = cluster.leader();
    assert!([3, 4, 5].contains(&leader));
    assert_eq!(cluster.node(leader).core.leadership().term, term, "the removed ones disturb");
    assert_eq!(cluster.commands(leader), [(1005, 9)]);
}

#[test]
fn an_old_self_is_replaced() {
    let mut cluster = Cluster::new(3);
    cluster.leader();
    lead(&mut cluster, 1);
    cluster.nodes.remove(&NodeId(3));
    cluster.join(9);
    let again = Member { id: NodeId(9), ..member(3) };
    let changes = vec![MemberChange::Remove(NodeId(3)), MemberChange::Add(again)];
    assert_eq!(cluster.change(1, changes), None);
    help(&mut cluster);
    for id in [1, 2, 9] {
        assert_eq!(cluster.parts(id), voters(&[1, 2, 9]));
    }
    let old = vec![MemberChange::Add(Member { name: "other".to_owned(), ..member(3) })];
    let removed = MembershipError::Removed(NodeId(3));
    assert_eq!(cluster.change(1, old), Some(ChangeRefusal::Invalid(removed)));
}

#[test]
fn a_learner_never_leads_and_counts_for_no_majority() {
    let mut cluster = grown(3);
    lead(&mut cluster, 1);
    assert_eq!(cluster.change(1, vec![MemberChange::Demote(NodeId(3))]), None);
    cluster.tick(50);
    assert_eq!(cluster.parts(1).last(), Some(&(3, Part::Learner)), "it was promoted again");
    cluster.handle(1, Event::Transfer { to: Some(NodeId(3)) });
    cluster.tick(5);
    assert_eq!(cluster.leader(), 1);
    cluster.cut = vec![NodeId(2)];
    cluster.propose(1, 1);
    cluster.tick(1);
    assert_eq!(cluster.commands(1), [], "a learner's copy is no majority");
    cluster.cut = vec![NodeId(1)];
    cluster.tick(200);
    assert_eq!(cluster.leader_now(), None);
    assert_eq!(cluster.node(3).core.leadership().role, Role::Follower);
}

#[test]
fn a_learner_that_lags_is_not_promoted() {
    let mut cluster = Cluster::new(1);
    cluster.leader();
    cluster.join(2);
    assert_eq!(cluster.change(1, vec![MemberChange::Add(member(2))]), None);
    cluster.tick(60);
    assert!(!cluster.node(2).needed.is_empty());
    assert_eq!(cluster.parts(1), [(1, Part::Voter), (2, Part::Learner)]);
    help(&mut cluster);
    assert_eq!(cluster.parts(1), voters(&[1, 2]));
}

/// It answers heartbeats, so it is active, but its disk does not keep up.
#[test]
fn a_learner_whose_disk_lags_is_not_promoted() {
    let mut cluster = Cluster::new(1);
    cluster.leader();
    cluster.join(2);
    let waiting = Member { promote: false, ..member(2) };
    assert_eq!(cluster.change(1, vec![MemberChange::Add(waiting)]), None);
    help(&mut cluster);
    cluster.slow = vec![NodeId(2)];
    for sequence in 1..=20 {
        cluster.propose(1, sequence);
    }
    assert_eq!(cluster.change(1, vec![MemberChange::Update(member(2))]), None);
    cluster.tick(60);
    assert!(cluster.node(1).core.progress()[1].active);
    assert_eq!(cluster.parts(1), [(1, Part::Voter), (2, Part::Learner)]);
    cluster.slow.clear();
    while !cluster.node(2).unsynced.is_empty() {
        cluster.sync(2);
    }
    cluster.tick(10);
    assert_eq!(cluster.parts(1), voters(&[1, 2]));
}

#[test]
fn leadership_is_not_handed_to_one_that_is_being_demoted() {
    let mut cluster = grown(3);
    lead(&mut cluster, 1);
    cluster.slow = vec![NodeId(2), NodeId(3)];
    assert_eq!(cluster.change(1, vec![MemberChange::Demote(NodeId(3))]), None);
    cluster.sync(2);
    assert_eq!(cluster.parts(1)[2], (3, Part::Demoted));
    cluster.handle(1, Event::Transfer { to: Some(NodeId(3)) });
    assert_eq!(cluster.node(1).core.raft.raft.lead_transferee, None);
    cluster.handle(1, Event::Transfer { to: None });
    assert_eq!(cluster.node(1).core.raft.raft.lead_transferee, Some(2));
}

#[test]
fn a_change_that_would_lose_the_quorum_is_refused() {
    let mut cluster = grown(3);
    lead(&mut cluster, 1);
    let lost = |reachable, needed| Some(ChangeRefusal::WouldLoseQuorum { reachable, needed });
    cluster.cut = vec![NodeId(3)];
    let remove = |id| vec![MemberChange::Remove(NodeId(id))];
    cluster.tick(30);
    assert_eq!(cluster.change(1, remove(2)), lost(1, 2));
    assert_eq!(cluster.change(1, remove(3)), None, "the dead one is what should go");
    assert_eq!(cluster.parts(1), voters(&[1, 2]));
    cluster.cut.push(NodeId(2));
    cluster.tick(10);
    assert_eq!(cluster.leader_now(), Some(1), "its silence is not noticed yet");
    cluster.handle(1, Event::PeerGone { peer: NodeId(2) });
    assert_eq!(cluster.change(1, remove(2)), lost(1, 2), "the old majority counts too");
    assert_eq!(cluster.change_by(1, remove(2), true), None);
    assert_eq!(cluster.parts(1), voters(&[1, 2]), "even by force the old majority must agree");
    cluster.tick(30);
    assert_eq!(cluster.leader_now(), None);
}

#[test]
fn changes_come_one_at_a_time() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    cluster.cut = cluster.nodes.keys().copied().filter(|id| id.get() != leader).collect();
    assert_eq!(cluster.change(leader, vec![MemberChange::Add(member(8))]), None);
    let second = vec![MemberChange::Add(member(9))];
    assert_eq!(cluster.change(leader, second.clone()), Some(ChangeRefusal::InProgress));
    cluster.cut.clear();
    cluster.tick(5);
    assert_eq!(cluster.change(leader, second), None);
    // Nor while leadership is being handed over: to one that lags, and is therefore waited for.
    let follower = cluster.follower(leader);
    cluster.slow = vec![NodeId(follower)];
    cluster.propose(leader, 1);
    cluster.handle(leader, Event::Transfer { to: Some(NodeId(follower)) });
    let third = vec![MemberChange::Add(member(10))];
    assert_eq!(cluster.change(leader, third), Some(ChangeRefusal::InProgress));
}

#[test]
fn two_changes_in_one_event_are_one_and_a_refusal() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let change = |sequence, id| Event::Change {
        sequence,
        changes: vec![MemberChange::Add(member(id))],
        force: false,
    };
    let mut effects = Vec::new();
    let core = &mut cluster.node_mut(leader).core;
    core.handle([change(1, 8), change(2, 9)], 0, &mut effects);
    let refused = effects.iter().filter_map(|effect| match effect {
        Effect::ChangeRefused { sequence, refusal } => Some((*sequence, refusal.clone())),
        _ => None,
    });
    assert_eq!(refused.collect::<Vec<_>>(), [(2, ChangeRefusal::InProgress)]);
}

#[test]
fn an_update_of_an_address_reaches_every_node() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let moved = Member { peer_address: "elsewhere:1".to_owned(), ..member(2) };
    assert_eq!(cluster.change(leader, vec![MemberChange::Update(moved.clone())]), None);
    for id in 1..=3 {
        let members = cluster.node(id).core.membership();
        assert_eq!(members.get(NodeId(2)), Some((&moved, Part::Voter)));
    }
}

#[test]
fn an_awaited_member_counts_for_nothing_until_its_node_takes_its_place() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    for (id, node) in [(90, 4), (91, 5)] {
        assert_eq!(cluster.change(leader, vec![MemberChange::Add(awaited(id, node))]), None);
    }
    let waiting = [(90, Part::Learner), (91, Part::Learner)];
    let whole = || voters(&[1, 2, 3]).into_iter().chain(waiting).collect::<Vec<_>>();
    assert_eq!(cluster.parts(leader), whole());
    let known = |cluster: &Cluster, leader| {
        let progress = cluster.node(leader).core.progress();
        progress.iter().map(|member| member.id.get()).collect::<Vec<_>>()
    };
    assert_eq!(known(&cluster, leader), [1, 2, 3]);
    let mut effects = Vec::new();
    for _ in 0..100 {
        cluster.node_mut(leader).core.handle([Event::Tick], 1, &mut effects);
    }
    let sent = |id| {
        effects.iter().any(|effect| matches!(effect, Effect::Send { to, .. } if *to == NodeId(id)))
    };
    assert!(sent(leader % 3 + 1) && !sent(90) && !sent(91));
    cluster.tick(40);

    // The next leader knows of them, and so does a node that starts again.
    let next = leader % 3 + 1;
    lead(&mut cluster, next);
    cluster.restart(leader);
    cluster.tick(20);
    assert_eq!(cluster.parts(leader), whole());
    let leader = cluster.leader();
    assert_eq!(known(&cluster, leader), [1, 2, 3]);

    grow(&mut cluster, 4);
    assert_eq!(cluster.parts(leader), [voters(&[1, 2, 3, 4]), vec![waiting[1]]].concat());
    assert_eq!(cluster.change(leader, vec![MemberChange::Remove(NodeId(91))]), None);
    assert_eq!(cluster.parts(leader), voters(&[1, 2, 3, 4]));
}

/// Found by the simulator (seed 24): the library keeps a change in mind that it has dropped.
#[test]
fn a_change_that_found_no_room_in_the_log_is_not_waited_for() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.leader();
    let others = cluster.nodes.keys().copied().filter(|id| id.get() != leader);
    cluster.cut = others.collect();
    let value = vec![b'x'; usize::try_from(UNCOMMITTED_BYTES_MAX).unwrap()];
    let command = Command::put(Key::from("k"), Value::raw(value)).to_bytes();
    cluster.handle(leader, Event::Propose { sequence: 1, command, ttl_ticks: 100 });
    let add = vec![MemberChange::Add(member(4))];
    assert_eq!(cluster.change(leader, add.clone()), Some(ChangeRefusal::Busy));
    cluster.cut.clear();
    cluster.tick(5);
    assert_eq!(cluster.commands(leader), [(1000 + leader, 1)]);
    assert_eq!(cluster.change(leader, add), None);
    assert_eq!(cluster.parts(leader).last(), Some(&(4, Part::Learner)));
}

/// Found by the simulator (seed 1048): a node that has just joined followed the leader that took it
/// in for ever, and its transport refused the next one as a stranger.
#[test]
fn a_learner_forgets_a_leader_that_is_silent() {
    let mut cluster = Cluster::new(3);
    cluster.join(4);
    let leader = cluster.leader();
    assert_eq!(cluster.change(leader, vec![MemberChange::Add(member(4))]), None);
    cluster.tick(5);
    assert_eq!(cluster.node(4).core.leadership().leader, Some(NodeId(leader)));
    cluster.cut = (1..=3).map(NodeId).collect();
    cluster.tick(10);
    assert_eq!(cluster.node(4).core.leadership().leader, Some(NodeId(leader)), "not at once");
    cluster.tick(30);
    assert_eq!(cluster.node(4).core.leadership().leader, None);
    assert_eq!(cluster.node(4).core.leadership().role, Role::Follower);
    cluster.cut.clear();
    let leader = cluster.leader();
    cluster.tick(5);
    assert_eq!(cluster.node(4).core.leadership().leader, Some(NodeId(leader)));
}

/// Found by the simulator (seed 334): of two voters one was removed and stopped; the other crashed,
/// had not written down that the removal was committed, and waited for the removed one's vote for
/// ever. At whichever write it crashes: if the other one has been told, it leads alone.
#[test]
fn who_stays_knows_that_it_is_alone_before_the_other_one_goes() {
    let mut told = 0;
    for synced in 0..12 {
        let mut cluster = Cluster::new(2);
        let stays = cluster.leader();
        let goes = cluster.follower(stays);
        cluster.tick(5);
        cluster.slow = vec![NodeId(stays)];
        assert_eq!(cluster.change(stays, vec![MemberChange::Remove(NodeId(goes))]), None);
        for _ in 0..synced {
            cluster.sync(stays);
            cluster.tick(1);
        }
        if !cluster.node(goes).removed {
            continue;
        }
        told += 1;
        cluster.slow.clear();
        cluster.cut = vec![NodeId(goes)];
        cluster.restart(stays);
        assert_eq!(cluster.leader(), stays, "after {synced} writes");
        assert_eq!(cluster.parts(stays), voters(&[stays]));
    }
    assert!(told > 5, "it was told {told} times");
}

/// A leader that is leaving does not see the change to its end: who stays does, and knows of it.
#[test]
fn a_leader_that_is_removed_all_the_same_hands_over_in_the_middle() {
    let mut cluster = Cluster::new(2);
    let goes = cluster.leader();
    let stays = cluster.follower(goes);
    cluster.tick(5);
    let remove = vec![MemberChange::Remove(NodeId(goes))];
    assert_eq!(cluster.change_by(goes, remove, true), None);
    cluster.tick(5);
    assert_eq!(cluster.leader(), stays);
    assert!(cluster.node(goes).removed);
    cluster.cut = vec![NodeId(goes)];
    cluster.restart(stays);
    assert_eq!(cluster.leader(), stays);
    assert_eq!(cluster.parts(stays), voters(&[stays]));
}

/// Found by the simulator (seed 99208): a leader that was leaving had the leaving entry in its log,
/// led again, committed it and went, before the only one that stays had written down that it is
/// alone. Whenever that one crashes: it leads alone, or the other one is still there to elect it.
#[test]
fn a_leader_that_leaves_goes_only_when_who_stays_has_told_it() {
    for synced in 0..8 {
        let mut cluster = Cluster::new(2);
        let stays = cluster.leader();
        let goes = cluster.follower(stays);
        cluster.slow = vec![NodeId(stays)];
        assert_eq!(cluster.change(stays, vec![MemberChange::Remove(NodeId(goes))]), None);
        cluster.sync(stays);
        cluster.cut = vec![NodeId(stays)];
        cluster.tick(40);
        cluster.cut.clear();
        while cluster.node(goes).core.leadership().role != Role::Leader {
            cluster.handle(goes, Event::Tick);
            cluster.sync(stays);
        }
        for _ in 0..synced {
            cluster.sync(stays);
        }
        cluster.slow.clear();
        if cluster.node(goes).removed {
            cluster.cut = vec![NodeId(goes)];
        } else if synced % 2 == 0 {
            cluster.restart(goes);
        }
        cluster.restart(stays);
        cluster.tick(100);
        assert_eq!(cluster.leader(), stays, "after {synced} writes");
        assert_eq!(cluster.parts(stays), voters(&[stays]), "after {synced} writes");
    }
}
