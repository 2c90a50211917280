//! `remex as raft-example`: rows E1 and E2, and the walk of the post.

use std::net::SocketAddr;

use crate::as_walk::{addresses, said};
use crate::{Stage, ask};

const SET: (&str, &str, &str) = ("POST", "/set", r#"{"key": "x", "value": "23"}"#);
const GET: (&str, &str, &str) = ("GET", "/get?key=x", "");

fn start(stage: &mut Stage, name: &str, [raft, http]: [SocketAddr; 2]) -> usize {
    let (raft, http) = (raft.port().to_string(), http.port().to_string());
    let line =
        ["as", "raft-example", "--node-id", name, "--raft-port", &raft, "--http-port", &http];
    stage.start(name, &line)
}

#[test]
fn e1_what_is_missing_is_named_and_exits_with_1() {
    let stage = Stage::new();
    for (words, name) in [
        (&[][..], "--node-id"),
        (&["--node-id=a", "--raft-port", "1", "--http-port", "2"], "--node-id"),
        (&["--node-id", "a", "--http-port", "2"], "--raft-port"),
        (&["--node-id", "a", "--raft-port", "1", "--http-port"], "--http-port"),
    ] {
        let ended = stage.run(&[&["as", "raft-example"], words].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{words:?}");
        let want = format!(
            "error: Missing required parameter: {name}\nhint: run: remex as raft-example --help\n"
        );
        assert_eq!(ended.stderr, want);
    }
    assert_eq!(std::fs::read_dir(stage.path()).unwrap().count(), 0, "nothing is made");
}

/// The post from start to end; then both nodes once more, by the same command lines.
#[test]
fn e2_e3_e6_e9_the_walk_of_the_post() {
    let stage = &mut Stage::new();
    let (one, two): ([SocketAddr; 2], [SocketAddr; 2]) = (addresses(), addresses());
    let nodes = [start(stage, "node1", one), start(stage, "node2", two)];
    // Each is the leader of a cluster of its own.
    for (&node, [raft, _]) in nodes.iter().zip([one, two]) {
        stage.until(node, raft, ("GET", "/readyz", ""), |reply| reply.status == 200);
    }
    assert_ne!(
        ask(one[0], "GET", "/v1/node", "").json().unwrap()["cluster_id"],
        ask(two[0], "GET", "/v1/node", "").json().unwrap()["cluster_id"]
    );
    let join = format!("/join?followerAddr=localhost:{}&followerId=node2", two[0].port());
    stage.until(nodes[0], one[1], ("GET", &join, ""), |reply| reply.status == 200);
    assert_eq!(ask(one[1], SET.0, SET.1, SET.2).status, 200);
    for (&node, [_, http]) in nodes.iter().zip([one, two]) {
        stage.until(node, http, GET, |reply| reply.text() == "{\"data\":\"23\"}\n");
    }
    assert!(stage.path().join("data/raftnode1").is_dir());
    said(&stage.stderr(nodes[0]), "native: ", 1);

    nodes.iter().for_each(|&node| stage.stop(node));
    let nodes = [start(stage, "node1", one), start(stage, "node2", two)];
    for (&node, [_, http]) in nodes.iter().zip([one, two]) {
        stage.until(node, http, GET, |reply| reply.text() == "{\"data\":\"23\"}\n");
        stage.until(node, http, SET, |reply| reply.status == 200);
    }
}

#[test]
fn the_native_line_makes_the_same_node_and_all_lines_are_json_if_logs_are() {
    let stage = &mut Stage::new();
    let [raft, http]: [SocketAddr; 2] = addresses();
    let node = start(stage, "node1", [raft, http]);
    stage.until(node, http, SET, |reply| reply.status == 200);
    stage.stop(node);
    let native = stage.native(node);
    let node = stage.launch("native", native);
    stage.until(node, http, GET, |reply| reply.text() == "{\"data\":\"23\"}\n");
    stage.stop(node);

    let (raft, port) = (raft.port().to_string(), http.port().to_string());
    let mut command = stage.command(&[
        "as",
        "raft-example",
        "--node-id",
        "node1",
        "--raft-port",
        &raft,
        "--http-port",
        &port,
        "x",
    ]);
    command.env("REMEX_LOG_FORMAT", "json");
    let node = stage.launch("json", command);
    stage.until(node, http, GET, |reply| reply.status == 200);
    let stderr = stage.stderr(node);
    let messages: Vec<String> = stderr
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].to_string())
        .collect();
    assert!(messages[0].starts_with("\"native: "), "{messages:?}");
    assert_eq!(messages[1], "\"note: raft-example does not look at: x\"");
}
