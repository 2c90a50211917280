//! The REST API of `docs/dialects/raft.md`, rows U1 to U6.

use std::path::PathBuf;

use remex_testkit::cluster::{Cluster, Plan};
use remex_testkit::http::Reply;

use crate::{ask, ask_with, binary, cluster, eventually};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The document's requests, in its order.
#[test]
fn u1_u2_u3_the_requests_of_the_document_work_one_after_the_other() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    let reply = ask_with(node, "POST", "/v1/data", &[JSON], r#"{"k":"a", "v":"1"}"#);
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    let reply = ask(node, "GET", "/v1/data/a", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"k":"a","v":"1"}"#));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(ask(node, "DELETE", "/v1/data/a", "").status, 200);
    let reply = ask(node, "GET", "/v1/data/a", "");
    assert_eq!((reply.status, reply.text().as_str()), (404, ""));
    let reply = ask(node, "DELETE", "/v1/data/a", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, ""), "absent is deleted too");
}

#[test]
fn u1_a_write_replaces_and_no_content_type_is_needed() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for (headers, body, shown) in [
        (&[][..], r#"{"k":"a","v":"1"}"#, r#"{"k":"a","v":"1"}"#),
        (&[("Content-Type", "text/plain")], r#"{"V":"2","K":"a"}"#, r#"{"k":"a","v":"2"}"#),
        (&[JSON], r#"{"k":"a","v":" {\"x\": 1} "}"#, r#"{"k":"a","v":" {\"x\": 1} "}"#),
    ] {
        assert_eq!(ask_with(node, "POST", "/v1/data", headers, body).status, 200, "{body}");
        assert_eq!(ask(node, "GET", "/v1/data/a", "").text(), shown);
    }
}

#[test]
fn u1_a_bad_body_is_400_and_changes_nothing() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    let before = ask(node, "GET", "/v1/status", "").json().unwrap()["revision"].clone();
    let long = format!(r#"{{"k":"{}","v":"1"}}"#, "k".repeat(129));
    for (body, said) in [
        ("{\"k\":\"a\"", "EOF"),
        ("a=1", "expected value"),
        (r#"{"k":"a"}"#, "missing field `v`"),
        (r#"{"k":"a","v":1}"#, "invalid type"),
        (r#"{"k":"","v":"1"}"#, "empty"),
        (&long, "129 characters, the limit is 128"),
    ] {
        let reply = ask_with(node, "POST", "/v1/data", &[JSON], body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert!(reply.text().contains(said), "{body}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(reply.header("retry-after"), None);
    }
    let large = format!(r#"{{"k":"a","v":"{}"}}"#, "v".repeat(16 * 1024 + 1));
    let reply = ask(node, "POST", "/v1/data", &large);
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("16385 bytes, the limit is 16384"), "{}", reply.text());
    assert_eq!(ask(node, "GET", "/v1/status", "").json().unwrap()["revision"], before);
}

#[test]
fn u2_a_key_is_all_of_the_rest_of_the_path() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for (key, target) in
        [("a/b c", "/v1/data/a/b%20c"), ("/x//", "/v1/data//x//"), ("ü+", "/v1/data/%C3%BC+")]
    {
        let body = serde_json::json!({"k": key, "v": key}).to_string();
        assert_eq!(ask(node, "POST", "/v1/data", &body).status, 200);
        assert_eq!(ask(node, "GET", target, "").json().unwrap()["v"], key);
        let head = ask(node, "HEAD", target, "");
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(ask(node, "DELETE", target, "").status, 200);
        assert_eq!(ask(node, "GET", target, "").status, 404);
    }
    for target in ["/v1/data/", "/v1/data/%zz", "/v1/data/%00"] {
        assert_eq!(ask(node, "GET", target, "").status, 400, "{target}");
    }
}

#[test]
fn u2_values_of_other_dialects_are_shown_as_text_and_kept_as_they_are() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for (body, shown) in [
        ("plain", "plain"),
        ("\"quoted\"", "quoted"),
        ("{ \"big\": 12345678901234567890 }", r#"{"big":12345678901234567890}"#),
    ] {
        ask(node, "PUT", "/v1/kv/x", body);
        assert_eq!(ask(node, "GET", "/v1/data/x", "").json().unwrap()["v"], shown);
    }
    ask(node, "POST", "/v1/data", r#"{"k":"y","v":"42"}"#);
    let reply = ask(node, "GET", "/v1/kv/y", "");
    assert_eq!(reply.text(), "42");
    assert_ne!(reply.header("content-type"), Some("application/json"), "it is text, not a number");
}

#[test]
fn u5_every_node_answers_as_the_leader_would() {
    let cluster = cluster(3);
    let nodes: Vec<_> = cluster.nodes().iter().map(|node| node.address()).collect();
    for (number, &writer) in nodes.iter().enumerate() {
        let body = format!(r#"{{"k":"k{number}","v":"{number}"}}"#);
        assert_eq!(ask(writer, "POST", "/v1/data?ignored=1", &body).status, 200);
        // No waiting: a read sees every write that was acknowledged, whichever node is asked.
        for &reader in &nodes {
            let reply = ask(reader, "GET", &format!("/v1/data/k{number}"), "");
            assert_eq!((reply.status, reply.text()), (200, body.clone()));
        }
    }
    assert_eq!(ask(nodes[1], "DELETE", "/v1/data/k0", "").status, 200);
    assert_eq!(ask(nodes[2], "GET", "/v1/data/k0", "").status, 404);
}

/// A leader that is stopped where it is, and that nobody replaces for minutes.
#[test]
fn u5_what_the_leader_does_not_answer_in_time_is_500() {
    let arguments = ["--election-timeout", "600s"].map(str::to_owned).to_vec();
    let plan = Plan { binary: PathBuf::from(binary()), nodes: 1, arguments };
    let mut cluster = Cluster::start(&plan).unwrap();
    let join = cluster.nodes()[0].peer_address().to_string();
    let other = cluster.add(&["--join", &join, "--forward-timeout", "500ms"]).unwrap();
    cluster.node(other).start().unwrap();
    cluster.wait_ready().unwrap();
    let follower = cluster.nodes()[other].address();
    assert_eq!(ask(follower, "POST", "/v1/data", r#"{"k":"a","v":"1"}"#).status, 200);
    cluster.nodes()[0].pause().unwrap();
    for (method, target, body, said) in [
        ("POST", "/v1/data", r#"{"k":"a","v":"2"}"#, "read the key before you try again"),
        ("GET", "/v1/data/a", "", "nothing was changed: try again"),
    ] {
        let reply = ask(follower, method, target, body);
        told_to_try_again(&reply);
        let text = reply.text();
        assert!(text.contains("forward timeout of 500 ms") && text.contains(said), "{text}");
    }
    cluster.nodes()[0].resume().unwrap();
    eventually("an answer of the leader", || {
        Some(ask(follower, "GET", "/v1/data/a", "")).filter(|reply| reply.status == 200)
    });
}

fn told_to_try_again(reply: &Reply) {
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert!(reply.header("retry-after").is_some_and(|seconds| seconds != "0"));
    assert!(reply.text().contains("try again"), "{}", reply.text());
}

#[test]
fn u4_without_a_leader_it_is_500_and_try_again() {
    let mut cluster = cluster(3);
    let last = cluster.nodes()[2].address();
    assert_eq!(ask(last, "POST", "/v1/data", r#"{"k":"a","v":"1"}"#).status, 200);
    cluster.node(0).kill().unwrap();
    cluster.node(1).kill().unwrap();
    // Until the last one knows that it is alone, a request may end otherwise: with 500 all the same.
    let reply = ask(last, "POST", "/v1/data", r#"{"k":"a","v":"2"}"#);
    told_to_try_again(&reply);
    let reply = ask(last, "GET", "/v1/data/a", "");
    told_to_try_again(&reply);
    assert!(reply.text().contains("leader"), "{}", reply.text());
    told_to_try_again(&ask(last, "DELETE", "/v1/data/a", ""));
    cluster.node(0).start().unwrap();
    let reply = eventually("a leader again", || {
        let reply = ask(last, "GET", "/v1/data/a", "");
        (reply.status == 200).then_some(reply)
    });
    assert!(reply.text().contains(r#""k":"a""#));
}

#[test]
fn u6_other_methods_are_405_and_other_paths_404() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for (method, target, allow) in [
        ("GET", "/v1/data", "POST"),
        ("PUT", "/v1/data", "POST"),
        ("DELETE", "/v1/data", "POST"),
        ("POST", "/v1/data/a", "GET, HEAD, DELETE"),
        ("PUT", "/v1/data/a", "GET, HEAD, DELETE"),
    ] {
        let reply = ask(node, method, target, "{}");
        assert_eq!(reply.status, 405, "{method} {target}");
        assert_eq!(reply.header("allow"), Some(allow));
    }
    for target in ["/v1/database", "/v2/data", "/v1"] {
        assert_eq!(ask(node, "GET", target, "").status, 404, "{target}");
    }
}
