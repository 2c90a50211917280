//! The flock: who is invited, who is in, who flies away.

use std::net::SocketAddr;

use remex_testkit::cluster::{PATIENCE, ports};
use remex_testkit::http::HttpClient;
use serde_json::{Value, json};

use super::{DOCUMENT, error, follow, read, set, sorted, value};
use crate::{Stage, ask, cluster, eventually};

fn flock(node: SocketAddr) -> Value {
    let reply = ask(node, "GET", "/tailfeather/admin/flock", "");
    assert_eq!(reply.status, 200);
    reply.json().unwrap()
}

fn names(flock: &Value, kind: &str) -> Vec<String> {
    let nodes = flock[kind].as_array().unwrap();
    nodes.iter().map(|node| node["Name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn t3_a_node_that_was_never_invited_serves_and_takes_no_action() {
    let mut cluster = cluster(1);
    let waiting = cluster.add(&["--wait"]).unwrap();
    cluster.node(waiting).start().unwrap();
    cluster.node(waiting).wait_reply("/livez", |reply| reply.status == 200).unwrap();
    let node = cluster.nodes()[waiting].address();
    let reply = read(node, "ravendb");
    assert_eq!(reply.status, 404);
    assert_eq!(reply.json().unwrap(), json!({"State": "None", "Key": "ravendb", "Missing": true}));
    assert_eq!(error(&set(node, "a", "1"), 412), "No current leader, try again later");
    let flock = ask(node, "GET", "/tailfeather/admin/flock", "").json().unwrap();
    assert_eq!((&flock["CurrentLeader"], &flock["AllVotingNodes"]), (&Value::Null, &json!([])));
}

/// The document from its first request to its last.
#[test]
fn t20_the_walk_of_the_document_ends_with_three_nodes() {
    let mut cluster = cluster(1);
    let one = cluster.nodes()[0].address();
    let mut others = Vec::new();
    for _ in 0..2 {
        let node = cluster.add(&["--wait"]).unwrap();
        cluster.node(node).start().unwrap();
        cluster.node(node).wait_reply("/livez", |reply| reply.status == 200).unwrap();
        others.push((cluster.nodes()[node].name().to_owned(), cluster.nodes()[node].address()));
    }
    assert_eq!(ask(one, "GET", DOCUMENT, "").status, 202);
    assert_eq!(value(one, "ravendb")["Database"], "Sample");
    for (name, node) in &others {
        assert_eq!(read(*node, "ravendb").status, 404, "it waits, and takes no action");
        let invite = format!("/tailfeather/admin/fly-with-us?url=http://{node}&name={name}");
        let reply = ask(one, "GET", &invite, "");
        assert_eq!((reply.status, reply.body.len()), (202, 0), "{}", reply.text());
        let reply = eventually("the value on the new node", || {
            Some(read(*node, "ravendb")).filter(|reply| reply.status == 200)
        });
        let body = reply.json().unwrap();
        assert_eq!(
            (&body["State"], &body["Value"]["Database"]),
            (&json!("Follower"), &json!("Sample"))
        );
        let again = ask(one, "GET", &invite, "");
        assert_eq!(again.status, 202, "inviting a member again changes nothing: {}", again.text());
    }
    assert_eq!(names(&flock(one), "AllVotingNodes"), ["n1", "n2", "n3"]);
    // Without a name a node keeps the one that it has.
    let fourth = cluster.add(&["--wait"]).unwrap();
    cluster.node(fourth).start().unwrap();
    cluster.node(fourth).wait_reply("/livez", |reply| reply.status == 200).unwrap();
    let url = cluster.nodes()[fourth].address();
    let (leader, _) = sorted(&cluster);
    let reply = ask(leader, "GET", &format!("/tailfeather/admin/fly-with-us?url=http://{url}"), "");
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(names(&flock(leader), "AllVotingNodes"), ["n1", "n2", "n3", "n4"]);
}

#[test]
fn t20_a_node_may_be_invited_before_it_runs() {
    let cluster = cluster(1);
    let one = cluster.nodes()[0].address();
    assert_eq!(set(one, "k", "1").status, 202);
    let later = ports::free_address().unwrap();
    let invite = format!("/tailfeather/admin/fly-with-us?url=http://{later}&name=Later");
    let reply = ask(one, "GET", &invite, "");
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(names(&flock(one), "PromotableNodes"), ["Later"]);
    assert_eq!(set(one, "k", "2").status, 202, "nobody waits for it");
    let mut stage = Stage::new();
    stage.start(
        "later",
        &[
            "serve",
            "--wait",
            "--single-port",
            "--name",
            "Later",
            "--data-dir",
            "later",
            "--listen",
            &later.to_string(),
        ],
    );
    eventually("the value on the node that came later", || {
        let reply = HttpClient::new(later, PATIENCE).get("/tailfeather/key-val/read?key=k").ok()?;
        (reply.status == 200).then_some(reply)
    });
    eventually("its vote", || {
        let reply = ask(one, "GET", "/tailfeather/admin/flock", "");
        (names(&reply.json().unwrap(), "AllVotingNodes") == ["Later", "n1"]).then_some(reply)
    });
    assert_eq!(value(later, "k"), 2);
    stage.process(0).kill().unwrap();
}

#[test]
fn t20_what_cannot_be_invited_is_said() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for (query, said) in [
        ("", "`url` is missing"),
        ("url=localhost&name=Two", "HOST:PORT"),
        ("url=https://localhost:9078", "TLS"),
        ("url=http://localhost:9078&nme=Two", "unknown parameter `nme`"),
    ] {
        let reply = ask(node, "GET", &format!("/tailfeather/admin/fly-with-us?{query}"), "");
        assert!(error(&reply, 400).contains(said), "{query}");
    }
    assert_eq!(names(&flock(node), "AllVotingNodes"), ["n1"]);
}

#[test]
fn t21_a_node_flies_away() {
    let cluster = cluster(3);
    let (leader, others) = sorted(&cluster);
    let name = flock(others[0])["AllVotingNodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["Uri"] == format!("http://{}", others[0]))
        .unwrap()["Name"]
        .clone();
    let target = format!("/tailfeather/admin/fly-away?name={}", name.as_str().unwrap());
    // A follower sends us on.
    let reply = follow(&ask(others[1], "GET", &target, ""), "GET", "");
    assert_eq!((reply.status, reply.body.len()), (202, 0), "{}", reply.text());
    let left = names(&flock(leader), "AllVotingNodes");
    assert_eq!(left.len(), 2);
    assert!(!left.iter().any(|left| name == left.as_str()));
    assert_eq!(set(leader, "k", "1").status, 202);
    let text = error(&ask(leader, "GET", "/tailfeather/admin/fly-away?name=nobody", ""), 404);
    assert!(text.contains("nobody"), "{text}");
}

#[test]
fn t22_the_flock_tells_who_is_in_and_who_leads() {
    let cluster = cluster(3);
    let (leader, others) = sorted(&cluster);
    assert_eq!(set(leader, "k", "1").status, 202);
    let of_leader = flock(leader);
    assert_eq!(of_leader["State"], "Leader");
    for key in [
        "CurrentLeader",
        "CurrentTerm",
        "State",
        "CommitIndex",
        "AllVotingNodes",
        "PromotableNodes",
        "NonVotingNodes",
    ] {
        assert!(of_leader.get(key).is_some(), "{key}");
    }
    let of_other = flock(others[0]);
    assert_eq!(
        (&of_other["State"], &of_other["CurrentLeader"]),
        (&json!("Follower"), &of_leader["CurrentLeader"])
    );
    assert_eq!(of_other["CurrentTerm"], of_leader["CurrentTerm"]);
    assert!(of_leader["CommitIndex"].as_u64().unwrap() > 0);
    let leading = of_leader["AllVotingNodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["Name"] == of_leader["CurrentLeader"])
        .unwrap()
        .clone();
    assert_eq!(leading["Uri"], format!("http://{leader}"));
    assert_eq!(ask(leader, "HEAD", "/tailfeather/admin/flock", "").status, 200);
}
