//! SIGTERM: finish what is in flight, hand over, sync, exit 0.

use std::time::Duration;

use crate::load::Load;
use crate::{get, put, start};

/// What the product promises.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn u18_a_leader_that_is_asked_to_stop_hands_over_and_loses_nothing() {
    let mut cluster = start(3);
    let load = Load::start(&mut cluster, 6);
    for _ in 0..4 {
        load.wait_progress(50);
        let leader = cluster.wait_leader().unwrap();
        cluster.nodes()[leader].terminate().unwrap();
        let status = cluster.node(leader).wait_exit(EXIT_LIMIT).unwrap();
        let log = cluster.nodes()[leader].logs().tail();
        assert!(status.success(), "{status}\n{log}");
        load.wait_progress(20);
        let next = cluster.wait_leader().unwrap();
        assert_ne!(next, leader);
        cluster.node(leader).start().unwrap();
        cluster.wait_ready().unwrap();
    }
    let judged = load.judge();
    assert!(judged.written >= 280 && judged.refused > 0, "{judged:?}");
}

#[test]
fn leadership_moves_within_one_term_when_its_holder_stops() {
    let mut cluster = start(3);
    let leader = cluster.wait_leader().unwrap();
    let term = |node: usize, cluster: &remex_testkit::cluster::Cluster| {
        let status = cluster.nodes()[node].look("/v1/status").unwrap().json().unwrap();
        status["term"].as_u64().unwrap()
    };
    let before = term(leader, &cluster);
    cluster.nodes()[leader].terminate().unwrap();
    assert!(cluster.node(leader).wait_exit(EXIT_LIMIT).unwrap().success());
    let next = cluster.wait_leader().unwrap();
    // A handover needs one election, by the node that was chosen; without it, time must run out
    // first and more may be needed.
    assert_eq!(term(next, &cluster), before + 1);
    put(&cluster.nodes()[next], "color", "blue");
}

#[test]
fn a_whole_cluster_that_is_asked_to_stop_has_everything_when_it_comes_back() {
    for nodes in [1, 3] {
        let mut cluster = start(nodes);
        let load = Load::start(&mut cluster, 4);
        load.wait_progress(100);
        for node in cluster.nodes() {
            node.terminate().unwrap();
        }
        for node in cluster.nodes_mut() {
            let status = node.wait_exit(EXIT_LIMIT).unwrap();
            assert!(status.success(), "{status}\n{}", node.logs().tail());
        }
        for node in cluster.nodes_mut() {
            node.start().unwrap();
        }
        cluster.wait_ready().unwrap();
        load.wait_progress(20);
        let judged = load.judge();
        assert!(judged.written >= 120, "{judged:?}");
    }
}

#[test]
fn an_idle_node_stops_and_starts_over_and_over() {
    let mut cluster = start(1);
    put(&cluster.nodes()[0], "color", "blue");
    for _ in 0..3 {
        cluster.nodes()[0].terminate().unwrap();
        assert!(cluster.node(0).wait_exit(EXIT_LIMIT).unwrap().success());
        cluster.node(0).start().unwrap();
        cluster.wait_ready().unwrap();
        assert_eq!(get(&cluster.nodes()[0], "color"), "blue");
    }
}
