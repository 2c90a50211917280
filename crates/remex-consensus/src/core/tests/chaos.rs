//! Everything at once, by seed: messages are lost, doubled and reordered, nodes crash with what
//! they have not synced, are cut off, lag behind trimmed logs, and all the while the membership
//! changes. What must hold at every event is checked by [`Cluster`] itself; here it is checked
//! that all is well in the end.

use super::*;

const SEEDS: u64 = 150;
const STEPS: usize = 250;

/// Ids from here on are those of awaited members.
const AWAITED: u64 = 10_000;

impl Cluster {
    fn any(&mut self) -> u64 {
        let ids: Vec<u64> = self.nodes.keys().map(|id| id.get()).collect();
        ids[usize::try_from(self.roll(ids.len() as u64)).unwrap()]
    }

    fn random_change(&mut self) -> Vec<MemberChange> {
        let id = self.any();
        match self.roll(7) {
            0 if self.nodes.len() < 8 => {
                let new = self.nodes.keys().last().unwrap().get() + 1;
                self.join(new);
                vec![MemberChange::Add(member(new))]
            }
            0 | 1 => vec![MemberChange::Promote(NodeId(id))],
            2 => vec![MemberChange::Demote(NodeId(id))],
            3 => vec![MemberChange::Remove(NodeId(id))],
            4 => {
                let other = self.any();
                vec![MemberChange::Remove(NodeId(id)), MemberChange::Promote(NodeId(other))]
            }
            5 => {
                // It comes one day, or never.
                let next = self.nodes.keys().last().unwrap().get() + 1;
                vec![MemberChange::Add(awaited(AWAITED + self.roll(1000), next))]
            }
            _ => vec![MemberChange::Update(member(id))],
        }
    }

    fn help_those_in_need(&mut self) {
        let needing = |(id, node): (&NodeId, &Node)| Some((id.get(), node.needed.last()?.2.get()));
        let needing: Vec<_> = self.nodes.iter().filter_map(needing).collect();
        for (id, from) in needing {
            if self.node(from).state.0 > self.node(id).state.0 {
                self.install(id, from);
            } else {
                self.node_mut(id).needed.clear();
            }
        }
    }

    fn random_step(&mut self, sequence: u64) {
        let id = self.any();
        match self.roll(18) {
            0..=4 => self.tick(3),
            5..=7 => self.propose(id, sequence),
            8 => self.cut = vec![NodeId(id)],
            9 => self.cut = vec![NodeId(id), NodeId(self.any())],
            10 => self.cut.clear(),
            11 => self.restart(id),
            12 => self.flush(id),
            13 => {
                let leader = self.leader_now().unwrap_or(id);
                let changes = self.random_change();
                let force = self.roll(8) == 0;
                self.change_by(leader, changes, force);
            }
            14 => {
                let peer = NodeId(self.any());
                self.handle(id, Event::PeerGone { peer });
            }
            15 => {
                let applied = self.node(id).state.0.get();
                let keep = self.roll(10);
                self.flush(id);
                let first_index = (applied + 1).saturating_sub(keep);
                if first_index > self.node(id).disk.first_index.get() {
                    self.trim(id, first_index);
                }
            }
            16 => {
                if self.slow.contains(&NodeId(id)) {
                    self.slow.clear();
                } else {
                    self.slow.push(NodeId(id));
                }
                self.handle(id, Event::Transfer { to: None });
            }
            _ => {
                self.sync(id);
                self.help_those_in_need();
            }
        }
    }

    fn heal(&mut self) {
        self.dice = None;
        self.cut.clear();
        self.slow.clear();
        for _ in 0..400 {
            for id in self.nodes.keys().map(|id| id.get()).collect::<Vec<_>>() {
                while !self.node(id).unsynced.is_empty() {
                    self.sync(id);
                }
            }
            self.tick(1);
            self.help_those_in_need();
        }
    }
}

#[test]
fn nothing_is_lost_and_all_agree_in_the_end() {
    let (mut changes, mut snapshots, mut joint) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut cluster = Cluster::new(1 + seed % 5);
        cluster.dice = Some(seed << 32);
        for sequence in 1..=STEPS as u64 {
            cluster.random_step(sequence + 1000 * seed);
            snapshots += usize::from(cluster.nodes.values().any(|node| !node.needed.is_empty()));
        }
        cluster.heal();
        for (id, node) in &cluster.nodes {
            assert_eq!((&node.fatal, &node.rolled_back), (&None, &None), "{id} in seed {seed}");
        }
        let Some(leader) = cluster.leader_now() else { panic!("no leader in seed {seed}") };
        cluster.propose(leader, u64::MAX);
        cluster.tick(10);
        let session = 1000 + leader;
        assert_eq!(cluster.commands(leader).last(), Some(&(session, u64::MAX)), "seed {seed}");
        let nodes = cluster.parts(leader).into_iter().filter(|(id, _)| *id < AWAITED);
        for (id, part) in nodes {
            assert!(matches!(part, Part::Voter | Part::Learner), "seed {seed} is joint for ever");
            assert_eq!(cluster.parts(id), cluster.parts(leader), "{id} in seed {seed}");
            let applied = cluster.node(id).core.applied();
            assert_eq!(applied, cluster.node(leader).core.applied(), "{id} in seed {seed}");
        }
        let change = |entry: &&Entry| entry.kind == EntryKind::Membership;
        changes += cluster.committed.values().filter(change).count();
        let leaving = |entry: &Entry| {
            MembershipChange::decode(entry.data.clone()).unwrap().changes.is_empty()
        };
        joint += cluster.committed.values().filter(change).filter(|entry| leaving(entry)).count();
    }
    assert!(
        changes > 300 && joint > 80 && snapshots > 700,
        "only {changes} changes, {joint} joint ones left, {snapshots} steps in need of a snapshot"
    );
}
