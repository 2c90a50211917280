//! `remex as raftexample`: rows R5, R8, R9 and R10.

use std::net::SocketAddr;

use crate::as_walk::{addresses, said};
use crate::{Stage, ask};

/// Nodes of a Procfile: where each serves its peers and its clients.
struct Procfile {
    peers: Vec<SocketAddr>,
    clients: Vec<SocketAddr>,
}

impl Procfile {
    fn new(nodes: usize) -> Self {
        let some = || (0..nodes).map(|_| addresses::<1>()[0]).collect();
        Self { peers: some(), clients: some() }
    }

    /// Starts node `id`, which knows the first `known` nodes.
    fn start(&self, stage: &mut Stage, id: usize, known: usize, more: &[&str]) -> usize {
        let urls: Vec<String> =
            self.peers[..known].iter().map(|address| format!("http://{address}")).collect();
        let (text, cluster) = (id.to_string(), urls.join(","));
        let port = self.clients[id - 1].port().to_string();
        let line = ["as", "raftexample", "--id", &text, "--cluster", &cluster, "--port", &port];
        stage.start(&format!("raftexample{id}"), &[&line, more].concat())
    }

    fn client(&self, id: usize) -> SocketAddr {
        self.clients[id - 1]
    }
}

#[test]
fn r8_mistakes_end_with_the_programs_exit_codes() {
    let stage = Stage::new();
    for (words, code, want) in [
        (
            &["--id", "4", "--cluster", "http://a:1,http://a:2"][..],
            1,
            "-id 4 is none of the 2 nodes",
        ),
        (&["--id", "x"], 2, "invalid value \"x\" for flag -id: parse error\nUsage of raftexample:"),
        (&["--cluster", "a:1"], 1, "-cluster: 'a:1' is no URL"),
    ] {
        let ended = stage.run(&[&["as", "raftexample"], words].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{words:?}");
        assert!(ended.stderr.contains(want), "{}", ended.stderr);
    }
}

#[test]
fn r8_one_node_alone_serves_at_once_and_keeps_its_directories() {
    let stage = &mut Stage::new();
    let procfile = Procfile::new(1);
    let node = procfile.start(stage, 1, 1, &[]);
    let put = ("PUT", "/my-key", "hello");
    stage.until(node, procfile.client(1), put, |reply| reply.status == 204);
    assert_eq!(ask(procfile.client(1), "GET", "/my-key", "").text(), "hello");
    for folder in ["raftexample-1", "raftexample-1-snap"] {
        assert!(stage.path().join(folder).is_dir(), "{folder}");
    }
    said(&stage.stderr(node), "native: ", 1);
    stage.stop(node);
    let node = procfile.start(stage, 1, 1, &[]);
    let get = ("GET", "/my-key", "");
    stage.until(node, procfile.client(1), get, |reply| reply.text() == "hello");
    stage.stop(node);
    // The native line is the same node.
    let native = stage.native(node);
    let node = stage.launch("native", native);
    stage.until(node, procfile.client(1), get, |reply| reply.text() == "hello");
}

/// The fault walk of the document: a node stops, misses a write, and has it after its restart.
#[test]
fn r9_r10_a_node_that_was_down_catches_up() {
    let stage = &mut Stage::new();
    let procfile = Procfile::new(3);
    let nodes: Vec<usize> = (1..=3).map(|id| procfile.start(stage, id, 3, &[])).collect();
    let put = |value| ("PUT", "/key", value);
    stage.until(nodes[0], procfile.client(1), put("foo"), |reply| reply.status == 204);
    let get = ("GET", "/key", "");
    for id in 1..=3 {
        stage.until(nodes[id - 1], procfile.client(id), get, |reply| reply.text() == "foo");
    }
    // A cluster that a majority founded can lose a node once the last one has its vote.
    let members = ("GET", "/v1/cluster/members", "");
    stage.until(nodes[0], procfile.peers[0], members, |reply| {
        let view = reply.json().unwrap();
        let roles = view["members"].as_array().into_iter().flatten().map(|one| &one["role"]);
        roles.filter(|role| *role == "voter").count() == 3
    });
    stage.process(nodes[1]).kill().unwrap();
    stage.until(nodes[0], procfile.client(1), put("bar"), |reply| reply.status == 204);
    stage.until(nodes[2], procfile.client(3), get, |reply| reply.text() == "bar");
    let second = procfile.start(stage, 2, 3, &[]);
    stage.until(second, procfile.client(2), get, |reply| reply.text() == "bar");
}

/// `POST /4` comes before node 4 starts; `POST /5` after node 5 waits.
#[test]
fn r5_r8_nodes_are_added_before_and_after_they_start() {
    let stage = &mut Stage::new();
    let procfile = Procfile::new(5);
    let nodes: Vec<usize> = (1..=3).map(|id| procfile.start(stage, id, 3, &[])).collect();
    let put = ("PUT", "/key", "before");
    stage.until(nodes[0], procfile.client(1), put, |reply| reply.status == 204);
    let url = |id: usize| format!("http://{}", procfile.peers[id - 1]);
    stage.until(nodes[0], procfile.client(1), ("POST", "/4", &url(4)), |reply| reply.status == 204);
    let fourth = procfile.start(stage, 4, 4, &["--join"]);
    let get = ("GET", "/key", "");
    stage.until(fourth, procfile.client(4), get, |reply| reply.text() == "before");

    let fifth = procfile.start(stage, 5, 5, &["--join"]);
    let node = ("GET", "/v1/node", "");
    let reply = stage.until(fifth, procfile.peers[4], node, |reply| reply.status == 200);
    assert!(reply.json().unwrap()["cluster_id"].is_null(), "{}", reply.text());
    stage.until(nodes[2], procfile.client(3), ("POST", "/5", &url(5)), |reply| reply.status == 204);
    stage.until(fifth, procfile.client(5), get, |reply| reply.text() == "before");
    // What was added is a member like the others: it restarts by the same command line and writes.
    stage.stop(fourth);
    let fourth = procfile.start(stage, 4, 4, &["--join"]);
    stage.until(fourth, procfile.client(4), ("PUT", "/key", "after"), |reply| reply.status == 204);
}
