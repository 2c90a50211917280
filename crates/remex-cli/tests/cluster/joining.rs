//! Nodes that join, wait, are invited, and come back with an empty disk.

use std::fs;

use remex_testkit::cluster::{Cluster, Node, PATIENCE};
use remex_testkit::http::HttpClient;

use crate::{
    cluster_id, done, get, node_id, put, remex, start, start_small, text_at, wait_for, wait_said,
    wait_voters, write_much,
};

/// `http://` and the address for clients.
fn url(node: &Node) -> String {
    format!("http://{}", node.address())
}

/// Adds a node that joins through another, and starts it.
fn join(cluster: &mut Cluster, through: usize) -> usize {
    let address = cluster.nodes()[through].peer_address().to_string();
    let added = cluster.add(&["--join", &address]).unwrap();
    cluster.node(added).start().unwrap();
    added
}

/// Stops a node and takes its disk away.
fn wipe(cluster: &mut Cluster, node: usize) {
    cluster.node(node).kill().unwrap();
    fs::remove_dir_all(cluster.nodes()[node].data_directory()).unwrap();
}

#[test]
fn nodes_join_through_any_member_and_the_same_line_changes_nothing_later() {
    let mut cluster = start_small(1);
    put(&cluster.nodes()[0], "color", "blue");
    // The log alone cannot tell the story any more: who joins begins with a snapshot.
    write_much(&cluster.nodes()[0]);
    join(&mut cluster, 0);
    wait_voters(&cluster, 0, &["n1", "n2"]);
    // Through a member that does not lead, and through the address for clients.
    join(&mut cluster, 1);
    wait_voters(&cluster, 1, &["n1", "n2", "n3"]);
    let address = url(&cluster.nodes()[2]);
    let last = cluster.add(&["--join", &address]).unwrap();
    cluster.node(last).start().unwrap();
    wait_voters(&cluster, 0, &["n1", "n2", "n3", "n4"]);
    cluster.wait_ready().unwrap();
    let (id, last_id) = (cluster_id(&cluster.nodes()[0]), node_id(&cluster.nodes()[last]));
    for node in cluster.nodes() {
        assert_eq!((get(node, "color").as_str(), cluster_id(node)), ("blue", id.clone()));
    }

    for node in [last, 0, 1, 2] {
        cluster.node(node).kill().unwrap();
        cluster.node(node).start().unwrap();
        cluster.wait_ready().unwrap();
    }
    wait_voters(&cluster, last, &["n1", "n2", "n3", "n4"]);
    assert_eq!(node_id(&cluster.nodes()[last]), last_id);
    assert_eq!(get(&cluster.nodes()[last], "color"), "blue");
}

#[test]
fn a_waiting_node_does_nothing_until_it_is_invited() {
    let mut cluster = start(1);
    put(&cluster.nodes()[0], "color", "blue");
    let waiting = cluster.add(&["--wait"]).unwrap();
    cluster.node(waiting).start().unwrap();
    cluster.node(waiting).wait_reply("/livez", |reply| reply.status == 200).unwrap();
    let status = cluster.nodes()[waiting].look("/v1/status").unwrap();
    assert_eq!(text_at(&status, "/role"), "waiting");
    let mut client = HttpClient::new(cluster.nodes()[waiting].address(), PATIENCE);
    let refused = client.request("PUT", "/v1/kv/a", &[], b"1").unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());

    let peer = cluster.nodes()[waiting].peer_address().to_string();
    let said = done(remex(&cluster.nodes()[0], &["cluster", "add", &peer]));
    assert!(said.starts_with("n2 "), "{said}");
    wait_voters(&cluster, waiting, &["n1", "n2"]);
    cluster.wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[waiting], "color"), "blue");
    // Again, through the invited one: nothing changes. So does the flag, at every later start.
    done(remex(&cluster.nodes()[waiting], &["cluster", "add", &peer]));
    cluster.node(waiting).kill().unwrap();
    cluster.node(waiting).start().unwrap();
    cluster.wait_ready().unwrap();
    wait_voters(&cluster, waiting, &["n1", "n2"]);
}

#[test]
fn a_pristine_cluster_is_given_up_for_an_invitation_and_one_with_data_is_not() {
    let mut cluster = start(1);
    put(&cluster.nodes()[0], "color", "blue");
    for _ in 0..2 {
        let stranger = cluster.add(&[]).unwrap();
        cluster.node(stranger).start().unwrap();
    }
    cluster.wait_ready().unwrap();
    put(&cluster.nodes()[2], "color", "red");
    let [pristine, used] = [1, 2].map(|node: usize| url(&cluster.nodes()[node]));

    done(remex(&cluster.nodes()[0], &["cluster", "add", &pristine]));
    wait_voters(&cluster, 1, &["n1", "n2"]);
    cluster.wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[1], "color"), "blue");

    let ran = remex(&cluster.nodes()[0], &["cluster", "add", &used]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for node in [0, 2] {
        let id = cluster_id(&cluster.nodes()[node]);
        assert!(ran.stderr.contains(&id), "{id} is not named: {}", ran.stderr);
    }
    assert!(ran.stderr.contains("--data-dir"), "no remedy: {}", ran.stderr);
    assert_eq!(get(&cluster.nodes()[2], "color"), "red");
    wait_voters(&cluster, 0, &["n1", "n2"]);
}

#[test]
fn a_founder_that_lost_its_disk_replaces_its_old_self_with_the_same_line() {
    let mut cluster = start(3);
    let id = cluster_id(&cluster.nodes()[0]);
    let old = node_id(&cluster.nodes()[2]);
    wipe(&mut cluster, 2);
    // Without this write on its disk its old self could help to elect a leader that lacks it.
    put(&cluster.nodes()[0], "color", "blue");
    cluster.node(2).start().unwrap();
    cluster.wait_ready().unwrap();
    wait_voters(&cluster, 0, &["n1", "n2", "n3"]);
    assert_eq!(cluster_id(&cluster.nodes()[2]), id);
    assert_ne!(node_id(&cluster.nodes()[2]), old);
    assert_eq!(get(&cluster.nodes()[2], "color"), "blue");
    // It counts again: two of three are enough, and it is one of them.
    cluster.node(0).kill().unwrap();
    put(&cluster.nodes()[2], "color", "green");
}

#[test]
fn a_wiped_node_does_not_count_while_nobody_can_take_it_in() {
    let mut cluster = start(3);
    put(&cluster.nodes()[0], "color", "blue");
    wipe(&mut cluster, 2);
    cluster.node(1).kill().unwrap();
    // One of three remains: with the votes of the empty disk it would have a majority.
    cluster.node(2).start().unwrap();
    cluster.node(2).wait_reply("/livez", |reply| reply.status == 200).unwrap();
    cluster.node(0).wait_reply("/readyz", |reply| reply.status == 503).unwrap();
    wait_said(&[&cluster.nodes()[2]], &["join"]);
    for node in [0, 2] {
        let reply = cluster.nodes()[node].look("/readyz").unwrap();
        assert_eq!(reply.status, 503, "{}", reply.text());
    }
    cluster.node(1).start().unwrap();
    cluster.wait_ready().unwrap();
    wait_voters(&cluster, 2, &["n1", "n2", "n3"]);
    assert_eq!(get(&cluster.nodes()[2], "color"), "blue");
}

#[test]
fn a_plain_founder_that_lost_its_disk_comes_back_by_itself() {
    let mut cluster = start(1);
    join(&mut cluster, 0);
    join(&mut cluster, 0);
    wait_voters(&cluster, 0, &["n1", "n2", "n3"]);
    cluster.wait_ready().unwrap();
    put(&cluster.nodes()[0], "color", "blue");
    let (id, old) = (cluster_id(&cluster.nodes()[1]), node_id(&cluster.nodes()[0]));
    wipe(&mut cluster, 0);
    // `remex serve`, without a word on the others: it founds a cluster of its own at first.
    cluster.node(0).start().unwrap();
    wait_for("the founder in its old cluster", || {
        let view = cluster.nodes()[0].look("/v1/cluster").ok().and_then(|reply| reply.json().ok());
        view.is_some_and(|view| view["id"] == id.as_str())
    });
    wait_voters(&cluster, 0, &["n1", "n2", "n3"]);
    cluster.wait_ready().unwrap();
    assert_ne!(node_id(&cluster.nodes()[0]), old);
    assert_eq!(get(&cluster.nodes()[0], "color"), "blue");
}
