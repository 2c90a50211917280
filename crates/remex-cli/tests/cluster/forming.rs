//! How clusters come to be, and which starts are refused.

use std::fs;
use std::path::Path;

use remex_testkit::cluster::{Cluster, Logs, Node, PATIENCE, Process, ports};

use crate::{binary, cluster_id, copy_folder, get, prepare, put, start, wait_for};

#[test]
fn any_start_order_founds_one_cluster_and_the_same_line_restarts_it() {
    for order in [[0, 1, 2], [2, 0, 1]] {
        let mut cluster = prepare(3);
        let [first, second, late] = order;
        for early in [first, second] {
            cluster.node(early).start().unwrap();
            cluster.node(early).wait_reply("/livez", |reply| reply.status == 200).unwrap();
        }
        for early in [first, second] {
            // Two of the expected three found nothing, and say so.
            let ready = cluster.nodes()[early].look("/readyz").unwrap();
            assert_eq!(ready.status, 503, "{}", ready.text());
        }
        cluster.node(late).start().unwrap();
        cluster.wait_ready().unwrap();
        let id = one_cluster(&cluster);
        put(&cluster.nodes()[late], "color", "blue");

        for node in [late, first, second] {
            cluster.node(node).kill().unwrap();
        }
        for node in [second, late, first] {
            cluster.node(node).start().unwrap();
        }
        cluster.wait_ready().unwrap();
        assert_eq!(one_cluster(&cluster), id);
        for node in cluster.nodes() {
            assert_eq!(get(node, "color"), "blue");
        }
    }
}

/// The cluster that all nodes say they belong to, with three voters each.
fn one_cluster(cluster: &Cluster) -> String {
    let ids: Vec<String> = cluster.nodes().iter().map(cluster_id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    for node in cluster.nodes() {
        let view = node.look("/v1/cluster").unwrap().json().unwrap();
        let members = view["members"].as_array().unwrap();
        let mut names: Vec<&str> = members.iter().filter_map(|m| m["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["n1", "n2", "n3"], "{view}");
        assert!(members.iter().all(|member| member["role"] == "voter"), "{view}");
    }
    ids[0].clone()
}

#[test]
fn serve_alone_is_a_working_cluster_at_once_and_after_every_restart() {
    let mut cluster = start(1);
    let id = cluster_id(&cluster.nodes()[0]);
    for round in 0..3 {
        put(&cluster.nodes()[0], "round", &round.to_string());
        cluster.node(0).kill().unwrap();
        cluster.node(0).start().unwrap();
        cluster.wait_ready().unwrap();
        assert_eq!(get(&cluster.nodes()[0], "round"), round.to_string());
        assert_eq!(cluster_id(&cluster.nodes()[0]), id);
    }
}

#[test]
fn a_node_of_another_cluster_is_refused_with_both_names() {
    let mut cluster = start(3);
    let ours = cluster_id(&cluster.nodes()[0]);
    cluster.node(2).kill().unwrap();
    // Another cluster's node listens where n3 was.
    let addresses = (cluster.nodes()[2].address(), cluster.nodes()[2].peer_address());
    let directory = tempfile::tempdir().unwrap();
    let mut stranger = Node::new("stranger", binary(), directory.path(), addresses, &[]);
    stranger.start().unwrap();
    stranger.wait_ready().unwrap();
    let theirs = cluster_id(&stranger);
    assert_ne!(ours, theirs);
    let names_both =
        |log: &str| log.lines().any(|line| line.contains(&ours) && line.contains(&theirs));
    wait_for("a refusal that names both clusters", || {
        let logs = [stranger.logs(), cluster.nodes()[0].logs(), cluster.nodes()[1].logs()];
        logs.iter().any(|logs| names_both(&logs.stderr().unwrap()))
    });
    // Neither side is disturbed.
    put(&cluster.nodes()[0], "color", "blue");
    assert_eq!(get(&cluster.nodes()[1], "color"), "blue");
    put(&stranger, "color", "red");
    stranger.kill().unwrap();
    cluster.node(2).start().unwrap();
    cluster.wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[2], "color"), "blue");
}

/// Starts `serve` where it must be refused. The last line of standard error must name the cause
/// and the remedy, and be the only complaint.
fn refused(directory: &Path, arguments: &[&str], parts: &[&str]) {
    let logs = Logs::new(directory, "refused");
    let arguments: Vec<&str> = ["serve"].iter().chain(arguments).copied().collect();
    let mut process = Process::start(binary(), &arguments, &logs).unwrap();
    let status = process.wait_exit(PATIENCE).unwrap();
    let text = logs.stderr().unwrap();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {text}");
    let complaint = text.lines().last().unwrap_or_default();
    for part in parts {
        assert!(complaint.contains(part), "no {part:?} in the last line of {text:?}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(text.lines().count(), 1, "more than one line: {text}");
    assert_eq!(logs.stdout().unwrap(), "");
}

/// Addresses as flags want them, free ones.
fn free() -> (String, String) {
    let free = || ports::free_address().unwrap().to_string();
    (free(), free())
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let mut cluster = start(1);
    let (taken, taken_peer) =
        (cluster.node(0).address().to_string(), cluster.node(0).peer_address().to_string());
    let (listen, peer) = free();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data").display().to_string();
    let flags = |listen: &str, peer: &str| {
        ["--data-dir", &data, "--listen", listen, "--peer-listen", peer].map(str::to_owned)
    };
    let client_port = flags(&taken, &peer);
    let client_port: Vec<&str> = client_port.iter().map(String::as_str).collect();
    refused(directory.path(), &client_port, &[&taken, "--listen"]);
    let directory = tempfile::tempdir().unwrap();
    let peer_port = flags(&listen, &taken_peer);
    let peer_port: Vec<&str> = peer_port.iter().map(String::as_str).collect();
    refused(directory.path(), &peer_port, &[&taken_peer, "--peer-listen"]);
}

/// Starts `serve` on a directory that it must refuse.
fn refused_directory(data: &Path, name: &str, parts: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let (listen, peer) = free();
    let data = data.display().to_string();
    let flags = ["--name", name, "--data-dir", &data, "--listen", &listen, "--peer-listen", &peer];
    refused(directory.path(), &flags, parts);
}

#[test]
fn a_directory_that_cannot_be_used_is_named_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    // Not even root can make a folder below a file.
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let data = file.join("data");
    refused_directory(&data, "n1", &[&data.display().to_string(), "--data-dir"]);
}

#[test]
fn a_directory_in_use_is_refused_and_names_the_holder() {
    let cluster = start(1);
    let data = cluster.nodes()[0].data_directory();
    refused_directory(data, "n1", &[&data.display().to_string(), "in use", "process"]);
    put(&cluster.nodes()[0], "still", "alive");
}

#[test]
fn the_directory_of_another_node_is_refused() {
    let mut cluster = start(1);
    cluster.node(0).kill().unwrap();
    let data = cluster.nodes()[0].data_directory();
    refused_directory(data, "n2", &[&data.display().to_string(), "n1", "n2"]);
    // The owner may use it, at another address too.
    cluster.node(0).start().unwrap();
    cluster.wait_ready().unwrap();
}

#[test]
fn a_copy_of_a_running_node_is_refused() {
    let mut cluster = start(3);
    cluster.node(2).kill().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let addresses = (ports::free_address().unwrap(), ports::free_address().unwrap());
    let peers: Vec<String> =
        cluster.nodes().iter().map(|node| node.peer_address().to_string()).collect();
    let join = ["--join".to_owned(), peers.join(","), "--expect".to_owned(), "3".to_owned()];
    let mut copy = Node::new("n3", binary(), directory.path(), addresses, &join);
    copy_folder(cluster.nodes()[2].data_directory(), copy.data_directory());
    cluster.node(2).start().unwrap();
    cluster.wait_ready().unwrap();
    copy.start().unwrap();
    let (original, double) = (cluster.nodes()[2].peer_address(), copy.peer_address());
    wait_for("a refusal that names both", || {
        let logs = [copy.logs(), cluster.nodes()[0].logs(), cluster.nodes()[1].logs()];
        let names_both =
            |line: &str| line.contains(&original.to_string()) && line.contains(&double.to_string());
        logs.iter().any(|logs| logs.stderr().unwrap().lines().any(names_both))
    });
    put(&cluster.nodes()[2], "color", "blue");
    assert_eq!(get(&cluster.nodes()[0], "color"), "blue");
}
