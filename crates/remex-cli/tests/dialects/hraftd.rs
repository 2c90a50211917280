//! hraftd and huffleraft's form of it, as `docs/dialects/hraftd.md` tells them: rows H4, H5 and H10
//! to H13.

use remex_testkit::cluster::Patience;
use remex_testkit::http::HttpClient;
use serde_json::json;

use crate::speaker::{Speaker, wait_for};
use crate::{PATIENCE, Stage, ask, ask_with, eventually};

const DIALECT: &str = "hraftd";

/// What a node exits with that is no member any more.
const REMOVED: i32 = 9;

fn newcomer(address: impl ToString, id: &str) -> String {
    json!({"addr": address.to_string(), "id": id}).to_string()
}

/// Two members, `node0` and `node1`, which was joined by `localhost`, as hraftd's users write it.
fn pair(stage: &mut Stage) -> (Speaker, Speaker) {
    let first = Speaker::alone(stage, DIALECT, "node0");
    let second = Speaker::alone(stage, DIALECT, "node1");
    let body = newcomer(format!("localhost:{}", second.peer.port()), "node1");
    let reply = ask(first.dialect, "POST", "/join", &body);
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    first.wait_voters(&["node0", "node1"]);
    (first, second)
}

#[test]
fn h4_requests_behind_a_directory_are_those_of_huffleraft() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node0");
    let kind = ("Content-Type", "application-type/json");
    let body = r#"{"key":"yes","val":"no"}"#;
    for directory in ["/raft1", "//tmp/raft1", "/./keys"] {
        let target = format!("{directory}/key");
        let reply = ask_with(node.dialect, "POST", &target, &[kind], body);
        assert_eq!((reply.status, reply.text().as_str()), (200, ""), "{target}");
        assert_eq!(ask(node.native, "GET", "/v1/kv/yes", "").text(), "no");
        assert_eq!(ask(node.native, "GET", "/v1/kv/key", "").status, 404, "no pair of hraftd's");
        for _ in 0..2 {
            let reply = ask(node.dialect, "DELETE", &format!("{target}/yes"), "");
            assert_eq!((reply.status, reply.text().as_str()), (200, ""), "{target}");
            assert_eq!(ask(node.native, "GET", "/v1/kv/yes", "").status, 404);
        }
    }
}

#[test]
fn h4_what_huffleraft_cannot_do_has_its_statuses() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node0");
    let large = json!({"key": "a", "val": "v".repeat(16 * 1024 + 1)}).to_string();
    for (method, target, body, status) in [
        ("POST", "/raft1/key", "", 400),
        ("POST", "/raft1/key", "{", 400),
        ("POST", "/raft1/key", r#"{"key":"","val":"no"}"#, 400),
        ("POST", "/raft1/key", r#"{"key":"a"}"#, 400),
        ("POST", "/raft1/key", r#"{"key":"a","val":1}"#, 400),
        ("POST", "/raft1/key", &large, 400),
        ("DELETE", "/raft1/key", "", 400),
        ("DELETE", "/raft1/key/", "", 400),
        ("GET", "/raft1/key/a", "", 405),
        ("PUT", "/raft1/key", "", 405),
        ("GET", "/raft1/join", "", 405),
        ("POST", "/raft1/join", "", 400),
        ("POST", "/raft1/join", "{}", 400),
        ("POST", "/raft1/join", r#"{"addr":"127.0.0.1:1"}"#, 500),
        ("POST", "/raft1/other", "", 404),
        ("GET", "/", "", 404),
    ] {
        let reply = ask(node.dialect, method, target, body);
        assert_eq!(reply.status, status, "{method} {target} {body:.40}: {}", reply.text());
        assert!(!reply.text().is_empty(), "{method} {target}: an error says why");
        assert_eq!(reply.header("allow").is_some(), status == 405, "{method} {target}");
    }
    let keys = ask(node.native, "GET", "/v1/kv?keys", "").json().unwrap();
    assert_eq!(keys["count"], 0);
    node.wait_voters(&["node0"]);
}

#[test]
fn h4_joins_name_an_address_alone() {
    let mut stage = Stage::new();
    let first = Speaker::alone(&mut stage, DIALECT, "node0");
    let second = Speaker::alone(&mut stage, DIALECT, "node1");
    let body = json!({"addr": second.peer.to_string()}).to_string();
    for _ in 0..2 {
        assert_eq!(ask(first.dialect, "POST", "/raft1/join", &body).status, 200);
        first.wait_voters(&["node0", "node1"]);
    }
    let third = Speaker::alone(&mut stage, DIALECT, "node2");
    let body = json!({"addr": third.peer.to_string()}).to_string();
    assert_eq!(ask(second.dialect, "POST", "/raft2/join", &body).status, 200, "by any member");
    second.wait_voters(&["node0", "node1", "node2"]);
}

/// Without a majority nothing is written, and it is said, where the original says nothing.
#[test]
fn h4_h10_a_cluster_without_a_majority_says_so() {
    let mut stage = Stage::new();
    let mut node = Speaker::new(DIALECT, "node0", &["--wait", "--request-timeout", "300ms"]);
    node.start(&mut stage);
    for (target, body, status) in [
        ("/raft1/key", r#"{"key":"a","val":"1"}"#, 400),
        ("/key", r#"{"a":"1"}"#, 500),
        ("/join", r#"{"addr":"127.0.0.1:1","id":"node1"}"#, 500),
    ] {
        let reply = eventually("an answer", || {
            HttpClient::new(node.dialect, PATIENCE)
                .request("POST", target, &[], body.as_bytes())
                .ok()
        });
        assert_eq!(reply.status, status, "{target}: {}", reply.text());
        assert!(reply.header("retry-after").is_some(), "{target}: {:?}", reply.headers);
    }
}

#[test]
fn h5_h11_a_read_answers_a_pair_and_a_missing_key_is_empty() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node0");
    let reply = ask(node.dialect, "GET", "/key/user1", "");
    assert_eq!((reply.status, reply.text().trim_end()), (200, r#"{"user1":""}"#));
    assert_eq!(ask(node.dialect, "POST", "/key", r#"{"user1": "batman"}"#).status, 200);
    for target in ["/key/user1", "/key/%75ser1", "/key/user1?consistency=linearizable"] {
        let reply = ask(node.dialect, "GET", target, "");
        assert_eq!((reply.status, reply.text().trim_end()), (200, r#"{"user1":"batman"}"#));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    for target in ["/key", "/key/", "/key/%00", "/key/user1?consistency=strong"] {
        let reply = ask(node.dialect, "GET", target, "");
        assert_eq!(reply.status, 400, "{target}");
        assert!(!reply.text().is_empty(), "{target}");
    }
}

/// The original logs values, too.
#[test]
fn h9_keys_are_logged_if_asked_for_and_values_never() {
    let mut stage = Stage::new();
    let mut node = Speaker::new(DIALECT, "node0", &["--log-level", "info,remex::writes=debug"]);
    node.start(&mut stage);
    node.wait_ready();
    let body = r#"{"yes": "planted-secret", "no": "planted-secret"}"#;
    assert_eq!(ask(node.dialect, "POST", "/key", body).status, 200);
    let body = r#"{"key": "maybe", "val": "planted-secret"}"#;
    assert_eq!(ask(node.dialect, "POST", "/raft1/key", body).status, 200);
    assert_eq!(ask(node.dialect, "DELETE", "/key/no", "").status, 200);
    assert_eq!(ask(node.native, "PUT", "/v1/kv/any/api", "planted-secret").status, 201);
    // A write is answered before it is told of.
    let mut patience = Patience::default();
    let mut log = node.log(&mut stage);
    for line in [
        "set key=\"yes\"",
        "set key=\"no\"",
        "set key=\"maybe\"",
        "deleted key=\"no\"",
        "set key=\"any/api\"",
    ] {
        while !log.contains(line) {
            assert!(patience.pause(), "{line}: {log}");
            log = node.log(&mut stage);
        }
    }
    assert!(!log.contains("planted-secret"), "{log}");
}

#[test]
fn h10_several_pairs_are_one_write() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node0");
    let revision =
        || ask(node.native, "GET", "/v1/status", "").json().unwrap()["revision"].as_u64().unwrap();
    let before = revision();
    let body = r#"{"user1": "batman", "user2": "robin", "a/b c": "{\"x\": 1}", "user1": "joker"}"#;
    let reply = ask(node.dialect, "POST", "/key", body);
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    assert_eq!(revision(), before + 1);
    for (target, pair) in [
        ("/key/user1", json!({"user1": "joker"})),
        ("/key/user2", json!({"user2": "robin"})),
        ("/key/a/b%20c", json!({"a/b c": "{\"x\": 1}"})),
    ] {
        assert_eq!(ask(node.dialect, "GET", target, "").json().unwrap(), pair);
    }
    assert_eq!(ask(node.dialect, "POST", "/key", "{}").status, 200, "nothing to do is done");
    assert_eq!(revision(), before + 1);
}

#[test]
fn h10_what_cannot_be_stored_is_stored_in_no_part() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node0");
    let large = json!({"a": "1", "b": "v".repeat(16 * 1024 + 1)}).to_string();
    let long = json!({"a": "1", "k".repeat(129): "2"}).to_string();
    for body in [
        "",
        "user1=batman",
        "[]",
        r#"{"a":"1","b":2}"#,
        r#"{"a":"1","b":null}"#,
        r#"{"a":"1","b":{"c":"d"}}"#,
        r#"{"a":"1","":"2"}"#,
        r#"{"a":"1"}{"b":"2"}"#,
        &large,
        &long,
    ] {
        let reply = ask(node.dialect, "POST", "/key", body);
        assert_eq!(reply.status, 400, "{body:.40}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    let keys = ask(node.native, "GET", "/v1/kv?keys", "").json().unwrap();
    assert_eq!(keys["count"], 0);
}

/// Where the original answers 500 to a node that does not lead, every node takes writes.
#[test]
fn h10_h11_a_write_to_any_node_is_read_on_every_node() {
    let mut stage = Stage::new();
    let (first, second) = pair(&mut stage);
    for (writer, value) in [(&first, "batman"), (&second, "robin")] {
        let body = json!({"user1": value}).to_string();
        assert_eq!(ask(writer.dialect, "POST", "/key", &body).status, 200);
        let shown = format!("{{\"user1\":\"{value}\"}}\n");
        wait_for(first.dialect, "/key/user1", 200, &shown);
        wait_for(second.dialect, "/key/user1", 200, &shown);
    }
}

#[test]
fn h11_delete_and_other_methods() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node0");
    assert_eq!(ask(node.dialect, "POST", "/key", r#"{"a/b": "1"}"#).status, 200);
    for _ in 0..2 {
        let reply = ask(node.dialect, "DELETE", "/key/a/b", "");
        assert_eq!((reply.status, reply.text().as_str()), (200, ""));
        assert_eq!(ask(node.dialect, "GET", "/key/a/b", "").text(), "{\"a/b\":\"\"}\n");
    }
    for target in ["/key", "/key/"] {
        assert_eq!(ask(node.dialect, "DELETE", target, "").status, 400, "{target}");
    }
    for (method, target, allow) in [
        ("PUT", "/key/a", "GET, POST, DELETE"),
        ("HEAD", "/key/a", "GET, POST, DELETE"),
        ("GET", "/join", "POST"),
        ("POST", "/status", "GET"),
    ] {
        let reply = ask(node.dialect, method, target, "");
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {target}");
    }
    assert_eq!(ask(node.dialect, "GET", "/other", "").status, 404);
}

#[test]
fn h12_a_member_that_joins_again_changes_nothing() {
    let mut stage = Stage::new();
    let (first, second) = pair(&mut stage);
    let before = first.member("node1");
    for address in [second.peer.to_string(), format!("localhost:{}", second.peer.port())] {
        let reply = ask(first.dialect, "POST", "/join", &newcomer(&address, "node1"));
        assert_eq!(reply.status, 200, "{address}: {}", reply.text());
    }
    first.wait_voters(&["node0", "node1"]);
    assert_eq!(first.member("node1")["id"], before["id"]);
    assert_eq!(ask(second.dialect, "POST", "/key", r#"{"a": "1"}"#).status, 200, "it still runs");
}

#[test]
fn h12_a_malformed_join_is_400() {
    let mut stage = Stage::new();
    let node = Speaker::alone(&mut stage, DIALECT, "node0");
    let long = newcomer("h".repeat(5_000), "node1");
    for body in [
        "",
        "[]",
        "{}",
        r#"{"addr":"localhost:12001"}"#,
        r#"{"id":"node1"}"#,
        r#"{"addr":"localhost:12001","id":"node1","x":"y"}"#,
        r#"{"addr":"localhost:12001","id":1}"#,
        r#"{"addr":"localhost:12001","id":""}"#,
        r#"{"addr":"localhost","id":"node1"}"#,
        &long,
    ] {
        let reply = ask(node.dialect, "POST", "/join", body);
        assert_eq!(reply.status, 400, "{body:.60}: {}", reply.text());
    }
    node.wait_voters(&["node0"]);
}

#[test]
fn h12_a_node_may_join_before_it_runs() {
    let mut stage = Stage::new();
    let first = Speaker::alone(&mut stage, DIALECT, "node0");
    let mut second = Speaker::new(DIALECT, "node1", &[]);
    let reply = ask(first.dialect, "POST", "/join", &newcomer(second.peer, "node1"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(ask(first.dialect, "POST", "/key", r#"{"a": "1"}"#).status, 200);
    second.start(&mut stage);
    first.wait_voters(&["node0", "node1"]);
    wait_for(second.dialect, "/key/a", 200, "{\"a\":\"1\"}\n");
}

/// The member of the same id goes first, and ends by itself.
#[test]
fn h12_the_same_id_at_another_address_replaces_the_member() {
    let mut stage = Stage::new();
    let (first, second) = pair(&mut stage);
    let old = first.member("node1");
    let mut third = Speaker::new(DIALECT, "node1", &[]);
    third.start(&mut stage);
    third.wait_ready();
    let reply = ask(first.dialect, "POST", "/join", &newcomer(third.peer, "node1"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(second.wait_exit(&mut stage), Some(REMOVED));
    first.wait_voters(&["node0", "node1"]);
    let new = first.member("node1");
    assert_ne!(new["id"], old["id"]);
    assert_eq!(new["peer_address"].as_str().unwrap(), third.peer.to_string());
    assert_eq!(ask(third.dialect, "POST", "/key", r#"{"a": "1"}"#).status, 200);
}

/// The member of the same address goes, if another node runs there now. It led, and the node that
/// is asked may think so still: nobody takes the stranger's word for the leader's.
#[test]
fn h12_another_id_at_the_same_address_replaces_the_member() {
    let mut stage = Stage::new();
    let mut nodes = Vec::from(Speaker::three(&mut stage, DIALECT));
    let leads = |node: &Speaker| {
        ask(node.native, "GET", "/v1/status", "").json().unwrap()["role"] == "leader"
    };
    let gone = nodes.remove(nodes.iter().position(leads).unwrap());
    let [first, second] = &nodes[..] else { panic!("two are left") };
    let names = ["1", "2", "3"].into_iter().filter(|&name| name != gone.name());
    let voters: Vec<&str> = names.chain(["4"]).collect();
    gone.kill(&mut stage);
    let mut fourth = Speaker::new(DIALECT, "4", &[]);
    fourth.move_to(&gone);
    fourth.start(&mut stage);
    fourth.wait_ready();
    let reply = ask(first.dialect, "POST", "/join", &newcomer(fourth.peer, "4"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    second.wait_voters(&voters);
    assert_eq!(ask(fourth.dialect, "POST", "/key", r#"{"a": "1"}"#).status, 200);
}

#[test]
fn h12_nobody_is_removed_for_a_mistake() {
    let mut stage = Stage::new();
    let (first, second) = pair(&mut stage);
    for (body, why) in [
        // A running node under another id, of the cluster or not.
        (newcomer(second.peer, "node7"), "is node1, not node7"),
        (newcomer(first.peer, "node7"), "is node0, not node7"),
        // The node that was asked itself.
        (newcomer("127.0.0.1:1", "node0"), "does not remove itself"),
        // One that is well, for an address at which nobody is.
        (newcomer("127.0.0.1:1", "node1"), "no node answers at 127.0.0.1:1"),
    ] {
        let reply = ask(first.dialect, "POST", "/join", &body);
        assert_eq!(reply.status, 500, "{body}: {}", reply.text());
        assert!(reply.text().contains(why), "{body}: {}", reply.text());
    }
    first.wait_voters(&["node0", "node1"]);
    assert_eq!(ask(first.dialect, "POST", "/key", r#"{"a": "1"}"#).status, 200);
}

#[test]
fn h13_status_names_the_leader_and_its_followers() {
    let mut stage = Stage::new();
    let (first, second) = pair(&mut stage);
    let node = |speaker: &Speaker, id: &str| json!({"id": id, "address": speaker.peer.to_string()});
    let (zero, one) = (node(&first, "node0"), node(&second, "node1"));
    for (asked, me) in [(&first, &zero), (&second, &one)] {
        let expected = json!({"me": me, "leader": zero, "followers": [one]});
        let reply = eventually("a status that knows everyone", || {
            let reply = ask(asked.dialect, "GET", "/status", "");
            (reply.json().unwrap() == expected).then_some(reply)
        });
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(reply.text().starts_with("{\"me\":{\"id\":"), "{}", reply.text());
    }
}
