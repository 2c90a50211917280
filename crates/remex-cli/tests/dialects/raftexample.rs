//! The example of etcd's Raft library, as `docs/dialects/raftexample.md` tells it: rows R1 to R7,
//! R10 and R11.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use remex_testkit::http::HttpClient;

use crate::speaker::{Speaker, wait_for};
use crate::{PATIENCE, Stage, ask};

const DIALECT: &str = "raftexample";

/// What a node exits with that is no member any more.
const REMOVED: i32 = 9;

#[test]
fn r1_a_put_is_answered_once_it_is_committed() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "1");
    let reply = ask(node.dialect, "PUT", "/key", "value");
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    // Not a moment later: the answer came after the write.
    let reply = ask(node.native, "GET", "/v1/kv/%2Fkey", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, "value"));
    assert_eq!(ask(node.dialect, "PUT", "/key", "other").status, 204);
    assert_eq!(ask(node.dialect, "GET", "/key", "").text(), "other");
    assert_eq!(ask(node.dialect, "PUT", "/empty", "").status, 204);
    let reply = ask(node.dialect, "GET", "/empty", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, ""), "empty is not missing");
}

#[test]
fn r2_what_cannot_be_stored_is_failed_on_put() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "1");
    let large = "v".repeat(16 * 1024 + 1);
    let key = format!("/{}", "k".repeat(128));
    for (target, body, why) in [
        ("/key", large.as_str(), "16385 bytes, the limit is 16384"),
        (key.as_str(), "value", "129 characters, the limit is 128"),
    ] {
        let reply = ask(node.dialect, "PUT", target, body);
        assert_eq!(reply.status, 400);
        let text = reply.text();
        let (first, second) = text.split_once('\n').unwrap();
        assert_eq!(first, "Failed on PUT");
        assert!(second.contains(why), "{second}");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("retry-after"), None);
        assert_ne!(ask(node.dialect, "GET", target, "").status, 200);
    }
}

/// A body whose encoding breaks off.
#[test]
fn r2_a_body_that_cannot_be_read_is_failed_on_put() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "1");
    let mut stream = TcpStream::connect(node.dialect).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        "PUT /key HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("\r\n\r\nFailed on PUT\n"), "{answer}");
    assert_eq!(ask(node.dialect, "GET", "/key", "").status, 404);
}

#[test]
fn r3_a_get_is_the_bare_value_or_failed() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "1");
    let reply = ask(node.dialect, "GET", "/my-key", "");
    assert_eq!(reply.status, 404);
    assert!(reply.text().starts_with("Failed to GET\n"), "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(ask(node.dialect, "PUT", "/my-key", "hello").status, 204);
    let reply = ask(node.dialect, "GET", "/my-key", "");
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    let bytes = [0xff, 0x00, b'\n'];
    let mut client = HttpClient::new(node.dialect, PATIENCE);
    assert_eq!(client.request("PUT", "/bytes", &[], &bytes).unwrap().status, 204);
    let reply = ask(node.dialect, "GET", "/bytes", "");
    assert_eq!((reply.status, reply.body.as_slice()), (200, &bytes[..]));
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
}

#[test]
fn r4_the_whole_target_is_the_key() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "1");
    let targets = [
        "/", "/a", "/a?", "/a?b=1", "/a/", "//a", "/a/../a", "/a%2Fb", "/a/b", "/a+b", "/v1/kv/a",
        "/metrics",
    ];
    for target in targets {
        assert_eq!(ask(node.dialect, "PUT", target, target).status, 204, "{target}");
    }
    for target in targets {
        assert_eq!(ask(node.dialect, "GET", target, "").text(), target, "{target}");
    }
    let keys = ask(node.native, "GET", "/v1/kv?keys", "").json().unwrap();
    assert_eq!(keys["count"], targets.len());
}

#[test]
fn r5_a_node_may_be_added_before_it_runs() {
    let mut stage = Stage::new();
    let first = Speaker::alone(&mut stage, DIALECT, "1");
    assert_eq!(ask(first.dialect, "PUT", "/my-key", "hello").status, 204);
    let mut fourth = Speaker::new(DIALECT, "4", &["--wait"]);
    let url = format!("http://{}", fourth.peer);
    assert_eq!(ask(first.dialect, "POST", "/4", &url).status, 204);
    let member = first.member("4");
    assert_eq!(member["role"], "learner", "{member}");
    // Nobody waits for it: the cluster goes on, and the same request again changes nothing.
    assert_eq!(ask(first.dialect, "PUT", "/my-key", "hello").status, 204);
    assert_eq!(ask(first.dialect, "POST", "/0x4", &url).status, 204);
    assert_eq!(first.member("4")["id"], member["id"]);
    fourth.start(&mut stage);
    fourth.wait_ready();
    first.wait_voters(&["1", "4"]);
    wait_for(fourth.dialect, "/my-key", 200, "hello");
    assert_eq!(ask(fourth.dialect, "PUT", "/my-key", "there").status, 204);
    wait_for(first.dialect, "/my-key", 200, "there");
}

#[test]
fn r5_a_running_node_is_a_voter_at_the_answer() {
    let mut stage = Stage::new();
    let first = Speaker::alone(&mut stage, DIALECT, "1");
    let second = Speaker::alone(&mut stage, DIALECT, "2");
    let url = format!("http://{}\n", second.peer);
    assert_eq!(ask(first.dialect, "POST", "/0b10", &url).status, 204);
    first.wait_voters(&["1", "2"]);
    assert_eq!(ask(first.dialect, "PUT", "/my-key", "hello").status, 204);
    wait_for(second.dialect, "/my-key", 200, "hello");
}

#[test]
fn r5_what_is_no_node_is_failed_on_post() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "1");
    let long = format!("http://{}:1", "h".repeat(2_000));
    for (target, body) in [
        ("/four", "http://127.0.0.1:42379"),
        ("/", "http://127.0.0.1:42379"),
        ("/08", "http://127.0.0.1:42379"),
        ("/0", "http://127.0.0.1:42379"),
        ("/4?x", "http://127.0.0.1:42379"),
        ("/4", ""),
        ("/4", "http://127.0.0.1"),
        ("/4", "https://127.0.0.1:42379"),
        ("/4", long.as_str()),
    ] {
        let reply = ask(node.dialect, "POST", target, body);
        assert_eq!(reply.status, 400, "{target} {body}");
        assert!(reply.text().starts_with("Failed on POST\n"), "{}", reply.text());
    }
    node.wait_voters(&["1"]);
}

#[test]
fn r6_delete_removes_a_node_which_ends_by_itself() {
    let mut stage = Stage::new();
    let [first, second, third] = Speaker::three(&mut stage, DIALECT);
    assert_eq!(ask(first.dialect, "PUT", "/3", "a value").status, 204);
    assert_eq!(ask(first.dialect, "DELETE", "/3", "").status, 204);
    assert_eq!(third.wait_exit(&mut stage), Some(REMOVED));
    first.wait_voters(&["1", "2"]);
    assert_eq!(ask(first.dialect, "GET", "/3", "").text(), "a value", "no key is ever deleted");
    assert_eq!(ask(first.dialect, "PUT", "/my-key", "hello").status, 204);
    wait_for(second.dialect, "/my-key", 200, "hello");
    let reply = ask(second.dialect, "DELETE", "/0x3", "");
    assert_eq!(reply.status, 204, "it is gone already: {}", reply.text());
}

/// Whoever leads: it hands leadership over first, answers, and ends.
#[test]
fn r6_a_node_can_be_told_to_remove_itself() {
    let mut stage = Stage::new();
    let nodes = Speaker::three(&mut stage, DIALECT);
    for number in ["1", "2"] {
        let node = &nodes[number.parse::<usize>().unwrap() - 1];
        let reply = ask(node.dialect, "DELETE", &format!("/{number}"), "");
        assert_eq!(reply.status, 204, "{number}: {}", reply.text());
        assert_eq!(node.wait_exit(&mut stage), Some(REMOVED), "{number}");
    }
    nodes[2].wait_voters(&["3"]);
    assert_eq!(ask(nodes[2].dialect, "PUT", "/my-key", "hello").status, 204);
}

#[test]
fn r6_what_is_no_node_or_the_last_one_is_failed_on_delete() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "1");
    for target in ["/my-key", "/", "/1x", "/1"] {
        let reply = ask(node.dialect, "DELETE", target, "");
        assert_eq!(reply.status, 400, "{target}");
        assert!(reply.text().starts_with("Failed on DELETE\n"), "{}", reply.text());
    }
    assert_eq!(ask(node.dialect, "PUT", "/my-key", "hello").status, 204);
}

#[test]
fn r7_other_methods_are_not_allowed() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "1");
    for method in ["PATCH", "OPTIONS", "TRACE", "HEAD", "FROB"] {
        let reply = ask(node.dialect, method, "/my-key", "");
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some("PUT, GET, POST, DELETE"), "{method}");
        let body = if method == "HEAD" { "" } else { "Method not allowed\n" };
        assert!(reply.text().starts_with(body), "{method}: {}", reply.text());
    }
}

/// The walk of the original's instructions: what was written while a node was away is there once it
/// is back.
#[test]
fn r10_a_node_that_was_away_has_what_it_missed() {
    let mut stage = Stage::new();
    let [first, mut second, third] = Speaker::three(&mut stage, DIALECT);
    assert_eq!(ask(first.dialect, "PUT", "/my-key", "foo").status, 204);
    wait_for(second.dialect, "/my-key", 200, "foo");
    second.kill(&mut stage);
    assert_eq!(ask(first.dialect, "PUT", "/my-key", "bar").status, 204);
    wait_for(third.dialect, "/my-key", 200, "bar");
    second.start(&mut stage);
    wait_for(second.dialect, "/my-key", 200, "bar");
}

#[test]
fn r11_every_member_takes_writes() {
    let mut stage = Stage::new();
    let three = Speaker::three(&mut stage, DIALECT);
    for (number, node) in three.iter().enumerate() {
        let value = number.to_string();
        assert_eq!(ask(node.dialect, "PUT", "/my-key", &value).status, 204);
        for other in &three {
            wait_for(other.dialect, "/my-key", 200, &value);
        }
    }
}

/// A node that has no cluster says so, and that it may be asked again.
#[test]
fn r11_a_write_that_no_cluster_takes_is_told() {
    let mut stage = Stage::new();
    let mut node = Speaker::new(DIALECT, "1", &["--wait", "--request-timeout", "300ms"]);
    node.start(&mut stage);
    let reply = crate::eventually("an answer", || {
        HttpClient::new(node.dialect, PATIENCE).request("PUT", "/my-key", &[], b"hello").ok()
    });
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert!(reply.text().starts_with("Failed on PUT\n"), "{}", reply.text());
    assert!(reply.header("retry-after").is_some(), "{:?}", reply.headers);
}
