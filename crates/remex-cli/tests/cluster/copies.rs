//! Nodes that are started from an old copy of their disk, and two that are started from copies of
//! one: what they once promised is not all there, so they may neither vote nor acknowledge.

use std::fs;
use std::time::Duration;

use remex_testkit::cluster::{Cluster, Node, PATIENCE};
use remex_testkit::http::HttpClient;

use crate::load::Load;
use crate::{binary, copy_folder, get, node_id, put, start, wait_for, wait_said, wait_voters};

/// A node that does not lead.
fn follower(cluster: &Cluster) -> usize {
    let leader = cluster.wait_leader().unwrap();
    (leader + 1) % cluster.nodes().len()
}

/// Puts an old copy of a node's disk in the place of the disk. The node must be down.
fn roll_back(node: &Node, copy: &std::path::Path) {
    fs::remove_dir_all(node.data_directory()).unwrap();
    copy_folder(copy, node.data_directory());
}

#[test]
fn an_old_copy_of_a_disk_is_noticed_under_load_and_nothing_is_lost() {
    let mut cluster = start(3);
    let load = Load::start(&mut cluster, 4);
    load.wait_progress(50);
    let victim = follower(&cluster);
    let old_id = node_id(&cluster.nodes()[victim]);
    let copy = cluster.directory().join("copy");
    cluster.node(victim).kill().unwrap();
    copy_folder(cluster.nodes()[victim].data_directory(), &copy);
    cluster.node(victim).start().unwrap();
    cluster.node(victim).wait_ready().unwrap();
    load.wait_progress(100);

    cluster.node(victim).kill().unwrap();
    roll_back(&cluster.nodes()[victim], &copy);
    cluster.node(victim).start().unwrap();
    wait_said(&[&cluster.nodes()[victim]], &["rolled_back"]);
    // It comes back by itself, as somebody else: whatever it promised is not held against it.
    wait_for("a new self", || {
        let node = cluster.nodes()[victim].look("/v1/node");
        node.is_ok_and(|reply| reply.json().is_ok_and(|node| node["id"] != old_id.as_str()))
    });
    cluster.wait_ready().unwrap();
    wait_voters(&cluster, victim, &["n1", "n2", "n3"]);
    let repairs = cluster.nodes()[victim].metric("remex_repairs_total", "rolled_back").unwrap();
    assert_eq!(repairs, Some(1.0));
    load.wait_progress(50);
    let judged = load.judge();
    assert!(judged.kept > 5 && judged.written > 200, "{judged:?}");
}

#[test]
fn an_old_copy_of_a_disk_is_no_part_of_a_majority() {
    let mut cluster = start(3);
    let leader = cluster.wait_leader().unwrap();
    let (old, other) = ((leader + 1) % 3, (leader + 2) % 3);
    put(&cluster.nodes()[leader], "color", "blue");
    let copy = cluster.directory().join("copy");
    cluster.node(old).kill().unwrap();
    copy_folder(cluster.nodes()[old].data_directory(), &copy);
    cluster.node(old).start().unwrap();
    cluster.wait_ready().unwrap();
    // Only the leader and the node whose disk is about to forget it hold this.
    cluster.node(other).kill().unwrap();
    put(&cluster.nodes()[leader], "color", "green");
    cluster.node(old).kill().unwrap();
    roll_back(&cluster.nodes()[old], &copy);
    cluster.node(old).start().unwrap();
    wait_said(&[&cluster.nodes()[old]], &["rolled_back"]);
    // Two processes of three run, and neither may go on with the other.
    let mut client = HttpClient::new(cluster.nodes()[leader].address(), PATIENCE);
    let reply = client.request("PUT", "/v1/kv/color", &[], b"red").unwrap();
    assert!(matches!(reply.status, 503 | 504), "{}: {}", reply.status, reply.text());

    // Nor may the old disk elect the one that lacks the last write: without the leader there is no
    // majority, whoever asks.
    cluster.node(leader).kill().unwrap();
    cluster.node(other).start().unwrap();
    cluster.node(other).wait_reply("/livez", |reply| reply.status == 200).unwrap();
    for _ in 0..3 {
        // The server waits for a leader as long as a request may take.
        let mut client = HttpClient::new(cluster.nodes()[other].address(), PATIENCE);
        let reply = client.get("/v1/kv/color").unwrap();
        assert_eq!(reply.status, 503, "{}", reply.text());
    }
    cluster.node(leader).start().unwrap();
    cluster.wait_ready().unwrap();
    wait_voters(&cluster, leader, &["n1", "n2", "n3"]);
    for node in cluster.nodes() {
        // The red write failed with an open outcome.
        assert!(["green", "red"].contains(&get(node, "color").as_str()));
    }
}

#[test]
fn of_two_nodes_started_at_once_from_one_disk_only_one_takes_part() {
    let mut cluster = start(3);
    let load = Load::start(&mut cluster, 4);
    load.wait_progress(50);
    let victim = follower(&cluster);
    // If the copy is the one that is heard, this one serves nobody, and lets clients wait.
    let others: Vec<usize> = (0..3).filter(|node| *node != victim).collect();
    load.talk_to(&others);
    cluster.node(victim).kill().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let name = cluster.nodes()[victim].name().to_owned();
    let free = || remex_testkit::cluster::ports::free_address().unwrap();
    let mut double = Node::new(&name, binary(), directory.path(), (free(), free()), &[]);
    copy_folder(cluster.nodes()[victim].data_directory(), double.data_directory());
    cluster.node(victim).start().unwrap();
    double.start().unwrap();
    {
        let nodes: Vec<&Node> = cluster.nodes().iter().chain([&double]).collect();
        wait_said(&nodes, &["copies of one data directory"]);
    }
    load.wait_progress(200);
    // Who of them is heard is decided by chance; never both.
    let takes_part = |node: &Node| node.look("/readyz").is_ok_and(|reply| reply.status == 200);
    assert!(!(takes_part(&cluster.nodes()[victim]) && takes_part(&double)), "both take part");
    double.kill().unwrap();
    cluster.node(victim).kill().unwrap();
    // If the copy was the one that was heard, what is left now is an old disk.
    cluster.node(victim).start().unwrap();
    cluster.wait_ready().unwrap();
    wait_voters(&cluster, victim, &["n1", "n2", "n3"]);
    load.wait_progress(50);
    let judged = load.judge();
    assert!(judged.written > 250, "{judged:?}");
}

#[test]
fn a_whole_cluster_that_is_rolled_back_together_goes_on_from_there() {
    let mut cluster = start(3);
    put(&cluster.nodes()[0], "color", "blue");
    let copies = cluster.directory().join("copies");
    for node in cluster.nodes_mut() {
        node.terminate().unwrap();
        node.wait_exit(Duration::from_secs(10)).unwrap();
    }
    for node in cluster.nodes() {
        copy_folder(node.data_directory(), &copies.join(node.name()));
    }
    cluster.nodes_mut().iter_mut().for_each(|node| node.start().unwrap());
    cluster.wait_ready().unwrap();
    put(&cluster.nodes()[0], "color", "green");
    // All of them first: one that still runs would tell the others what they have lost.
    cluster.nodes_mut().iter_mut().for_each(|node| node.kill().unwrap());
    for node in cluster.nodes_mut() {
        roll_back(node, &copies.join(node.name()));
        node.start().unwrap();
    }
    // An operator did that; nobody is left to miss the later write.
    cluster.wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[1], "color"), "blue");
}
