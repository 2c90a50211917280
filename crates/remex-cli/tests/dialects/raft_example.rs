//! The minimal store over HashiCorp's Raft library, as `docs/dialects/raft-example.md` tells it:
//! rows E2 to E11.

use remex_testkit::http::HttpClient;

use crate::speaker::{Speaker, wait_for};
use crate::{PATIENCE, Stage, ask, ask_with, eventually};

const DIALECT: &str = "raft-example";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const PAIR: &str = r#"{"key": "x", "value": "23"}"#;

#[test]
fn e2_each_node_leads_a_cluster_of_its_own_and_keeps_its_keys() {
    let mut stage = Stage::new();
    let mut first = Speaker::alone(&mut stage, DIALECT, "node1");
    let second = Speaker::alone(&mut stage, DIALECT, "node2");
    assert_eq!(ask(first.dialect, "POST", "/set", PAIR).status, 200);
    assert_eq!(ask(second.dialect, "GET", "/get?key=x", "").text(), "{\"data\":\"\"}\n");
    first.wait_voters(&["node1"]);
    second.wait_voters(&["node2"]);
    first.kill(&mut stage);
    first.start(&mut stage);
    wait_for(first.dialect, "/get?key=x", 200, "{\"data\":\"23\"}\n");
}

/// The walk of the document, request by request.
#[test]
fn e3_e6_e9_two_nodes_become_one_store() {
    let mut stage = Stage::new();
    let first = Speaker::alone(&mut stage, DIALECT, "node1");
    let second = Speaker::alone(&mut stage, DIALECT, "node2");
    let join = format!("/join?followerAddr=localhost:{}&followerId=node2", second.peer.port());
    let reply = ask(first.dialect, "GET", &join, "");
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    // Who was told that a node has joined counts on it.
    first.wait_voters(&["node1", "node2"]);
    let reply = ask_with(first.dialect, "POST", "/set", &[JSON], PAIR);
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    let reply = ask(first.dialect, "GET", "/get?key=x", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, "{\"data\":\"23\"}\n"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    wait_for(second.dialect, "/get?key=x", 200, "{\"data\":\"23\"}\n");
    assert_eq!(ask(first.dialect, "GET", &join, "").status, 200, "a member may join again");
    first.wait_voters(&["node1", "node2"]);
}

#[test]
fn e3_a_node_may_be_joined_before_it_runs() {
    let mut stage = Stage::new();
    let first = Speaker::alone(&mut stage, DIALECT, "node1");
    let mut second = Speaker::new(DIALECT, "node2", &[]);
    let join = format!("/join?followerAddr={}&followerId=node2", second.peer);
    assert_eq!(ask(first.dialect, "GET", &join, "").status, 200);
    assert_eq!(ask(first.dialect, "POST", "/set", PAIR).status, 200, "nobody waits for it");
    // It founds a cluster of its own, as every node here does, and gives it up.
    second.start(&mut stage);
    first.wait_voters(&["node1", "node2"]);
    wait_for(second.dialect, "/get?key=x", 200, "{\"data\":\"23\"}\n");
}

#[test]
fn e4_only_the_leader_joins_others() {
    let mut stage = Stage::new();
    let nodes = Speaker::three(&mut stage, DIALECT);
    let join = "/join?followerAddr=localhost:2223&followerId=node4";
    let leads = |node: &Speaker| {
        let status = ask(node.native, "GET", "/v1/status", "").json().unwrap();
        status["role"] == "leader"
    };
    let follower = nodes.iter().find(|&node| !leads(node)).unwrap();
    // Parameters do not matter to a node that does not lead.
    for target in [join, "/join"] {
        let reply = ask(follower.dialect, "GET", target, "");
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(reply.text(), "{\"error\":\"Not the leader\"}\n");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    follower.wait_voters(&["1", "2", "3"]);
}

#[test]
fn e5_who_cannot_be_added_is_a_bad_request() {
    let mut stage = Stage::new();
    let first = Speaker::alone(&mut stage, DIALECT, "node1");
    let second = Speaker::alone(&mut stage, DIALECT, "node2");
    let wrong = format!("/join?followerAddr={}&followerId=node3", second.peer);
    for (target, why) in [
        ("/join", "followerAddr"),
        ("/join?followerAddr=localhost:2223", "followerId"),
        ("/join?followerAddr=localhost&followerId=node2", "HOST:PORT"),
        (wrong.as_str(), "is node2, not node3"),
    ] {
        let reply = ask(first.dialect, "GET", target, "");
        assert_eq!(reply.status, 400, "{target}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        let text = reply.text();
        let (first_line, second_line) = text.split_once('\n').unwrap();
        assert_eq!(first_line, "Bad Request", "{target}");
        assert!(second_line.contains(why), "{target}: {second_line}");
    }
    first.wait_voters(&["node1"]);
}

#[test]
fn e5_a_node_with_keys_of_its_own_does_not_give_them_up() {
    let mut stage = Stage::new();
    let first = Speaker::alone(&mut stage, DIALECT, "node1");
    let second = Speaker::alone(&mut stage, DIALECT, "node2");
    assert_eq!(ask(second.dialect, "POST", "/set", PAIR).status, 200);
    let join = format!("/join?followerAddr={}&followerId=node2", second.peer);
    let reply = ask(first.dialect, "GET", &join, "");
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(ask(second.dialect, "GET", "/get?key=x", "").text(), "{\"data\":\"23\"}\n");
}

#[test]
fn e6_set_overwrites_and_takes_any_method_and_any_case() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node1");
    for (method, body, value) in [
        ("POST", PAIR, "23"),
        ("PUT", r#"{"KEY":"x","Value":"24"}"#, "24"),
        ("GET", r#"{"value":"25","key":"y","key":"x"}"#, "25"),
        ("DELETE", r#"{"key":"x","value":"26","more":[1]}"#, "26"),
        ("PATCH", r#"{"key":"x","value":""}"#, ""),
    ] {
        assert_eq!(ask(node.dialect, method, "/set", body).status, 200, "{method} {body}");
        for reader in ["GET", "POST", "FROB"] {
            let reply = ask(node.dialect, reader, "/get?key=x", "");
            assert_eq!(reply.text(), format!("{{\"data\":\"{value}\"}}\n"));
        }
    }
    let reply = ask(node.dialect, "HEAD", "/get?key=x", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    let reply = ask(node.dialect, "GET", "/", "");
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("/set, /get, /join"), "{}", reply.text());
}

/// Where the original answers 400 to a node that does not lead, every node takes writes.
#[test]
fn e7_a_write_to_any_node_is_forwarded() {
    let mut stage = Stage::new();
    let nodes = Speaker::three(&mut stage, DIALECT);
    for (number, node) in nodes.iter().enumerate() {
        let body = format!(r#"{{"key":"x","value":"{number}"}}"#);
        assert_eq!(ask(node.dialect, "POST", "/set", &body).status, 200);
        for other in &nodes {
            let shown = format!("{{\"data\":\"{number}\"}}\n");
            wait_for(other.dialect, "/get?key=x", 200, &shown);
            let reply = ask(other.dialect, "GET", "/get?key=x&consistency=linearizable", "");
            assert_eq!(reply.text(), shown);
        }
    }
}

#[test]
fn e7_without_a_cluster_a_write_may_be_repeated() {
    let mut stage = Stage::new();
    let mut node = Speaker::new(DIALECT, "node1", &["--wait", "--request-timeout", "300ms"]);
    node.start(&mut stage);
    let reply = eventually("an answer", || {
        HttpClient::new(node.dialect, PATIENCE).request("POST", "/set", &[], PAIR.as_bytes()).ok()
    });
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert!(reply.text().starts_with("Internal Server Error\n"), "{}", reply.text());
    assert!(reply.header("retry-after").is_some(), "{:?}", reply.headers);
}

#[test]
fn e8_a_bad_body_never_reaches_the_log() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node1");
    let index = || {
        let status = ask(node.native, "GET", "/v1/status", "").json().unwrap();
        (status["revision"].clone(), status["commit_index"].clone())
    };
    let before = index();
    let large = format!(r#"{{"key":"x","value":"{}"}}"#, "v".repeat(16 * 1024 + 1));
    let long = format!(r#"{{"key":"{}","value":"v"}}"#, "k".repeat(129));
    for body in [
        "",
        "key=x&value=23",
        "{\"key\":\"x\"",
        r#"{"key":"x","value":23}"#,
        r#"{"key":"x","value":{"a":"b"}}"#,
        r#"{"key":["x"],"value":"23"}"#,
        r#"{"key":"","value":"23"}"#,
        r#"{"value":"23"}"#,
        &large,
        &long,
    ] {
        let reply = ask(node.dialect, "POST", "/set", body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert!(reply.text().starts_with("Bad Request\n"), "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    assert_eq!(index(), before);
}

#[test]
fn e9_values_are_text_and_shown_as_go_writes_them() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node1");
    let body = r#"{"key":"a b","value":"<b>\"1\" & 2</b> ü\u2028"}"#;
    assert_eq!(ask(node.dialect, "POST", "/set", body).status, 200);
    let shown = r#"{"data":"\u003cb\u003e\"1\" \u0026 2\u003c/b\u003e ü\u2028"}"#;
    for target in ["/get?key=a%20b", "/get?key=a+b&key=x", "/get?other=%zz&key=a+b"] {
        assert_eq!(ask(node.dialect, "GET", target, "").text(), format!("{shown}\n"), "{target}");
    }
    for target in ["/get", "/get?key=", "/get?key=%zz", "/get?key=a&consistency=strong"] {
        let reply = ask(node.dialect, "GET", target, "");
        assert_eq!(reply.status, 400, "{target}");
        assert!(reply.text().starts_with("Bad Request\n"), "{}", reply.text());
    }
}

#[test]
fn e10_a_missing_key_is_an_empty_one() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node1");
    let reply = ask(node.dialect, "GET", "/get?key=missing", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, "{\"data\":\"\"}\n"));
}

/// Not in the original.
#[test]
fn e11_a_key_can_be_deleted() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node1");
    assert_eq!(ask(node.dialect, "POST", "/set", PAIR).status, 200);
    for _ in 0..2 {
        let reply = ask(node.dialect, "POST", "/del?key=x", "");
        assert_eq!((reply.status, reply.text().as_str()), (200, ""));
        assert_eq!(ask(node.native, "GET", "/v1/kv/x", "").status, 404);
    }
    assert_eq!(ask(node.dialect, "POST", "/del", "").status, 400);
}

/// What writes by GET is no target for the pages of strangers.
#[test]
fn e6_a_page_of_another_site_cannot_write() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node1");
    for header in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "http://evil.example"),
    ] {
        for (target, body) in [
            ("/set", PAIR),
            ("/del?key=x", ""),
            ("/join?followerAddr=evil.example:1&followerId=node2", ""),
        ] {
            let reply = ask_with(node.dialect, "GET", target, &[header], body);
            assert_eq!(reply.status, 403, "{header:?} {target}: {}", reply.text());
            assert!(reply.text().starts_with("Forbidden\n"), "{}", reply.text());
        }
    }
    assert_eq!(ask(node.native, "GET", "/v1/kv/x", "").status, 404);
    node.wait_voters(&["node1"]);
    let own = ("Sec-Fetch-Site", "same-origin");
    assert_eq!(ask_with(node.dialect, "GET", "/set", &[own], PAIR).status, 200);
}
