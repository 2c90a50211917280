//! kill -9 at random, at least thirty times, while clients write: no acknowledged write is lost,
//! and the whole history has one explanation.

use std::thread;
use std::time::Duration;

use remex_testkit::cluster::Cluster;

use crate::load::{Judged, Load};
use crate::start;

const KILLS: usize = 32;

/// Writes that must succeed between two kills, so that every kill hits a working cluster.
const WRITES_BETWEEN: u64 = 40;

#[test]
fn three_nodes_keep_every_acknowledged_write_over_thirty_kills() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut cluster = start(3);
    let load = Load::start(&mut cluster, 6);
    let (mut kills, mut leaders_killed) = (0, 0);
    while kills < KILLS {
        load.wait_progress(WRITES_BETWEEN);
        let leader = cluster.leader();
        let victims = victims(&mut random, leader, kills);
        leaders_killed += usize::from(leader.is_some_and(|leader| victims.contains(&leader)));
        for victim in &victims {
            cluster.node(*victim).kill().unwrap();
        }
        kills += victims.len();
        pause(&mut random);
        for victim in &victims {
            restart(&mut cluster, *victim);
        }
        // Now and then the same node dies again while it recovers.
        if random.u8(0..5) == 0 {
            pause(&mut random);
            cluster.node(victims[0]).kill().unwrap();
            restart(&mut cluster, victims[0]);
            kills += 1;
        }
    }
    load.wait_progress(WRITES_BETWEEN);
    cluster.wait_ready().unwrap();
    assert!(leaders_killed >= 5, "only {leaders_killed} of {kills} kills hit a leader");
    assert_enough(&load.judge());
}

/// Both runs must have seen enough of everything for their verdict to mean something; on a
/// machine however slow, since writes are waited for between kills.
fn assert_enough(judged: &Judged) {
    let Judged { kept, found, written, refused, unknown } = *judged;
    assert!(kept > 20 && found > 100 && refused > 20, "{judged:?}");
    assert!(written > KILLS * 30, "{judged:?}");
    assert!(unknown > 0, "no answer was ever lost: {judged:?}");
}

/// Mostly one node, the leader every other time; sometimes the quorum, sometimes all at once as
/// in a power failure.
fn victims(random: &mut fastrand::Rng, leader: Option<usize>, kills: usize) -> Vec<usize> {
    let mut victims = vec![0, 1, 2];
    random.shuffle(&mut victims);
    if let Some(leader) = leader
        && kills.is_multiple_of(2)
    {
        victims.retain(|victim| *victim != leader);
        victims.insert(0, leader);
    }
    victims.truncate(match random.u8(0..8) {
        0 => 3,
        1 => 2,
        _ => 1,
    });
    victims
}

#[test]
fn t6_one_node_keeps_every_acknowledged_write_over_thirty_kills() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut cluster = start(1);
    let load = Load::start(&mut cluster, 4);
    for _ in 0..KILLS {
        load.wait_progress(WRITES_BETWEEN);
        cluster.node(0).kill().unwrap();
        restart(&mut cluster, 0);
        if random.u8(0..4) == 0 {
            // It dies again while it recovers.
            pause(&mut random);
            cluster.node(0).kill().unwrap();
            restart(&mut cluster, 0);
        }
    }
    load.wait_progress(WRITES_BETWEEN);
    assert_enough(&load.judge());
}

fn restart(cluster: &mut Cluster, node: usize) {
    cluster.node(node).start().unwrap();
}

/// The pacing of the kills: from at once to about half an election.
fn pause(random: &mut fastrand::Rng) {
    thread::sleep(Duration::from_millis(random.u64(0..400)));
}
