//! Clusters that grow and shrink while clients write and leaders are killed.

use std::thread;
use std::time::Duration;

use remex_testkit::cluster::{Cluster, PATIENCE, Patience};
use remex_testkit::http::{HttpClient, Reply};

use crate::load::Load;
use crate::{done, get, put, remex, start, start_small, wait_for, wait_voters};

/// Exit code of a node that is no member any more.
const PROTECTED: i32 = 9;

/// Asks a node to change the membership, once. `None` if the answer was lost.
fn request(cluster: &Cluster, node: usize, change: &Change) -> Option<Reply> {
    let mut client = HttpClient::new(cluster.nodes()[node].address(), PATIENCE);
    let (method, path, body) = match change {
        Change::Add(number) => {
            let peer = cluster.nodes()[*number].peer_address();
            let body = format!("{{\"peer_url\":\"{peer}\"}}");
            ("POST", "/v1/cluster/members".to_owned(), body)
        }
        Change::Remove(number) => {
            ("DELETE", format!("/v1/cluster/members/n{}", number + 1), String::new())
        }
    };
    client.request(method, &path, &[], body.as_bytes()).ok()
}

enum Change {
    Add(usize),
    Remove(usize),
}

/// A cluster under change, and the numbers of its members.
struct Changing {
    cluster: Cluster,
    members: Vec<usize>,
    random: fastrand::Rng,
    kills: usize,
}

impl Changing {
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.members.iter().map(|number| format!("n{}", number + 1)).collect();
        names.sort_unstable();
        names
    }

    /// Carries out a change through one member or another, while the leader is killed at some
    /// moment and started again. Lost answers and refusals are asked again, as an operator would.
    fn change(&mut self, change: &Change) {
        self.kill_during(change);
        let mut patience = Patience::default();
        loop {
            let node = self.members[self.random.usize(..self.members.len())];
            match (request(&self.cluster, node, change), change) {
                (Some(reply), Change::Add(_)) if matches!(reply.status, 200 | 202) => break,
                (Some(reply), Change::Remove(_)) if matches!(reply.status, 200 | 404) => break,
                (Some(reply), _) => {
                    let retried = matches!(reply.status, 409 | 429 | 503 | 504);
                    assert!(retried, "{}: {}", reply.status, reply.text());
                }
                (None, _) => {}
            }
            assert!(patience.pause(), "the change never succeeds\n{}", self.cluster.log_tails());
        }
        match change {
            Change::Add(number) => self.members.push(*number),
            Change::Remove(number) => self.members.retain(|member| member != number),
        }
        let names = self.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        wait_voters(&self.cluster, self.members[0], &names);
    }

    /// Asks for the change once, and kills the leader at a random moment of it.
    fn kill_during(&mut self, change: &Change) {
        let through = self.members[self.random.usize(..self.members.len())];
        let delay = Duration::from_millis(self.random.u64(0..250));
        let Self { cluster, .. } = self;
        let leader = cluster.wait_leader().unwrap();
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                // Its answer may be lost: the node may be the one that dies.
                request(cluster, through, change).is_some()
            });
            thread::sleep(delay);
            cluster.nodes()[leader].kill_process().unwrap();
            asking.join().unwrap()
        });
        self.cluster.node(leader).kill().unwrap();
        self.cluster.node(leader).start().unwrap();
        self.kills += 1;
    }
}

#[test]
fn a_cluster_grows_to_five_and_shrinks_to_one_while_leaders_are_killed() {
    let mut cluster = start_small(1);
    for _ in 0..4 {
        let added = cluster.add(&["--wait"]).unwrap();
        cluster.node(added).start().unwrap();
        cluster.node(added).wait_reply("/livez", |reply| reply.status == 200).unwrap();
    }
    put(&cluster.nodes()[0], "color", "blue");
    let load = Load::start(&mut cluster, 4);
    load.talk_to(&[0]);
    load.wait_progress(30);
    let random = fastrand::Rng::with_seed(5);
    let mut changing = Changing { cluster, members: vec![0], random, kills: 0 };
    for added in 1..5 {
        changing.change(&Change::Add(added));
        load.talk_to(&changing.members);
        load.wait_progress(30);
    }
    // Not in the order of their coming: the first one goes early.
    for removed in [2, 0, 4, 1] {
        changing.change(&Change::Remove(removed));
        load.talk_to(&changing.members);
        let node = changing.cluster.node(removed);
        let status = node.wait_exit(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(PROTECTED), "{}", node.logs().tail());
        load.wait_progress(30);
    }
    assert_eq!(changing.kills, 8);
    let judged = load.judge_through(&[3]);
    assert!(judged.kept > 5 && judged.written > 200, "{judged:?}");
    assert_eq!(get(&changing.cluster.nodes()[3], "color"), "blue");
}

/// The term that a node is in.
fn term(cluster: &Cluster, node: usize) -> u64 {
    let status = cluster.nodes()[node].look("/v1/status").unwrap().json().unwrap();
    status["term"].as_u64().unwrap()
}

#[test]
fn the_leader_is_removed_after_it_has_handed_over_and_no_write_fails() {
    let mut cluster = start(3);
    let load = Load::start(&mut cluster, 4);
    load.wait_progress(50);
    let leader = cluster.wait_leader().unwrap();
    let before = term(&cluster, leader);
    let name = format!("n{}", leader + 1);
    let said = done(remex(&cluster.nodes()[(leader + 1) % 3], &["cluster", "remove", &name]));
    assert!(said.starts_with(&name), "{said}");
    let status = cluster.node(leader).wait_exit(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(PROTECTED), "{}", cluster.nodes()[leader].logs().tail());
    let rest: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
    load.wait_progress(50);
    // One election, by the node that was chosen.
    assert_eq!(term(&cluster, rest[0]), before + 1);
    let judged = load.judge_through(&rest);
    assert!(judged.written >= 100, "{judged:?}");
}

#[test]
fn a_removed_node_that_is_started_again_says_so_and_disturbs_nobody() {
    let mut cluster = start(3);
    put(&cluster.nodes()[0], "color", "blue");
    let leader = cluster.wait_leader().unwrap();
    let (removed, other) = ((leader + 1) % 3, (leader + 2) % 3);
    // Once while it runs, and once while it is away and cannot know.
    let name = format!("n{}", removed + 1);
    cluster.node(removed).kill().unwrap();
    wait_for("the loss to be noticed", || {
        let view = cluster.nodes()[leader].look("/v1/cluster").unwrap().json().unwrap();
        view["quorum"]["reachable"] == 2
    });
    done(remex(&cluster.nodes()[other], &["cluster", "remove", &name]));
    let before = term(&cluster, leader);
    for _ in 0..3 {
        cluster.node(removed).start().unwrap();
        let node = cluster.node(removed);
        let status = node.wait_exit(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(PROTECTED), "{}", node.logs().tail());
        let log = node.logs().stderr().unwrap();
        let complaint = log.lines().last().unwrap_or_default();
        assert!(complaint.contains("removed") && complaint.contains("--data-dir"), "{complaint}");
    }
    put(&cluster.nodes()[other], "color", "green");
    assert_eq!((term(&cluster, leader), cluster.wait_leader().unwrap()), (before, leader));
}

#[test]
fn changes_that_cannot_be_are_refused_with_their_own_exit_codes() {
    let mut cluster = start(3);
    let leader = cluster.wait_leader().unwrap();
    let names = [leader, (leader + 1) % 3, (leader + 2) % 3].map(|node| format!("n{}", node + 1));
    let ran = remex(&cluster.nodes()[leader], &["cluster", "remove", "n9"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let moved = done(remex(&cluster.nodes()[leader], &["cluster", "transfer", &names[1]]));
    assert!(moved.starts_with(&format!("{} leads in term", names[1])), "{moved}");
    let leader = cluster.wait_leader().unwrap();
    assert_eq!(format!("n{}", leader + 1), names[1]);

    // With one of three down, another must not go; the one that is down may.
    let down = (leader + 1) % 3;
    let rest = (leader + 2) % 3;
    cluster.node(down).kill().unwrap();
    wait_for("the loss to be noticed", || {
        let view = cluster.nodes()[leader].look("/v1/cluster").unwrap().json().unwrap();
        view["quorum"]["reachable"] == 2
    });
    let name = |node: usize| format!("n{}", node + 1);
    let ran = remex(&cluster.nodes()[leader], &["cluster", "remove", &name(rest)]);
    assert_eq!(ran.code, Some(PROTECTED), "{ran:?}");
    assert!(ran.stderr.contains("--force"), "{ran:?}");
    done(remex(&cluster.nodes()[leader], &["cluster", "remove", &name(down)]));
    put(&cluster.nodes()[rest], "color", "blue");
}
