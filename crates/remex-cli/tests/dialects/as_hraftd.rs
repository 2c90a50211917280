//! `remex as hraftd`: row H14.

use std::net::SocketAddr;

use serde_json::Value;

use crate::as_walk::{addresses, said};
use crate::{Stage, ask};

const SET: (&str, &str, &str) = ("POST", "/key", r#"{"user1": "batman"}"#);
const GET: (&str, &str, &str) = ("GET", "/key/user1", "");

/// Starts a node by hraftd's flags; `join` is where the first one serves clients.
fn start(
    stage: &mut Stage,
    id: &str,
    [raft, http]: [SocketAddr; 2],
    join: Option<SocketAddr>,
) -> usize {
    let (raft, http) = (format!("localhost:{}", raft.port()), format!("localhost:{}", http.port()));
    let join = join.map(|first| format!("localhost:{}", first.port())).unwrap_or_default();
    let mut line = vec!["as", "hraftd", "-id", id, "-haddr", &http, "-raddr", &raft];
    if !join.is_empty() {
        line.extend(["-join", &join]);
    }
    stage.start(id, &[line.as_slice(), &[id]].concat())
}

fn is_batman(reply: &remex_testkit::http::Reply) -> bool {
    reply.status == 200 && reply.json().unwrap()["user1"] == "batman"
}

#[test]
fn h14_mistakes_end_with_the_programs_words_and_exit_codes() {
    let stage = Stage::new();
    for (words, code, want) in [
        (&[][..], 1, "No Raft storage directory specified"),
        (&["-id", "node0"], 1, "No Raft storage directory specified"),
        (&["-port", "1", "d"], 2, "flag provided but not defined: -port\nUsage: hraftd [options]"),
        (&["-id"], 2, "flag needs an argument: -id\n"),
        (&["-inmem=x", "d"], 2, "invalid boolean value \"x\" for -inmem: parse error\n"),
        (&["-haddr", ":12000", "d"], 1, "choose two"),
    ] {
        let ended = stage.run(&[&["as", "hraftd"], words].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{words:?}");
        assert!(ended.stderr.contains(want), "{}", ended.stderr);
    }
    let help = stage.run(&["as", "hraftd", "--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("  -raddr string\n"), "{}", help.stdout);
    assert_eq!(std::fs::read_dir(stage.path()).unwrap().count(), 0, "nothing is made");
}

/// Three nodes, the later ones by `-join`; then all of them once more by the same command lines.
#[test]
fn h14_nodes_join_by_themselves_and_restart_as_members() {
    let stage = &mut Stage::new();
    let all: [[SocketAddr; 2]; 3] = std::array::from_fn(|_| addresses());
    let ids = ["node0", "node1", "node2"];
    let first = all[0][1];
    let start_all = |stage: &mut Stage| {
        let join = [None, Some(first), Some(first)];
        [2, 0, 1].map(|at| (at, start(stage, ids[at], all[at], join[at])))
    };
    let nodes = start_all(stage);
    stage.until(nodes[1].1, first, SET, |reply| reply.status == 200);
    let followers = |reply: &remex_testkit::http::Reply| {
        let view = reply.json().unwrap_or(Value::Null);
        view["followers"].as_array().map_or(0, Vec::len)
    };
    for (at, node) in nodes {
        stage.until(node, all[at][1], GET, is_batman);
        let status = ("GET", "/status", "");
        stage.until(node, all[at][1], status, |reply| followers(reply) == 2);
        let times = usize::from(at != 0);
        said(&stage.stderr(node), "native: ", 1);
        said(&stage.stderr(node), "then: curl ", times);
    }
    nodes.iter().for_each(|&(_, node)| stage.stop(node));
    let members = |address| ask(address, "GET", "/v1/cluster/members", "").json().unwrap();
    let nodes = start_all(stage);
    for (at, node) in nodes {
        stage.until(node, all[at][1], SET, |reply| reply.status == 200);
        stage.until(node, all[at][1], GET, is_batman);
    }
    let ids: Vec<String> = members(all[0][0])["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 3, "nobody was taken in twice: {ids:?}");
}

#[test]
fn h14_the_id_is_the_raft_address_and_inmem_has_no_effect() {
    let stage = &mut Stage::new();
    let [raft, http]: [SocketAddr; 2] = addresses();
    let (raft_text, http_text) = (raft.to_string(), http.to_string());
    let line = ["as", "hraftd", "-inmem", "-haddr", &http_text, "--raddr", &raft_text, "./store"];
    let node = stage.start("node", &line);
    stage.until(node, http, SET, |reply| reply.status == 200);
    let view = ask(raft, "GET", "/v1/node", "").json().unwrap();
    assert_eq!(view["name"], raft_text.as_str());
    said(&stage.stderr(node), "note: -inmem has no effect", 1);
    stage.stop(node);
    let node = stage.start("node", &line);
    stage.until(node, http, GET, is_batman);
    stage.stop(node);
    let native = stage.native(node);
    let node = stage.launch("native", native);
    stage.until(node, http, GET, is_batman);
}
