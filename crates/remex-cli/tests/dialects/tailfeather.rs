//! The requests of `docs/dialects/tailfeather.md`, rows T1 to T22, and who may send them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use remex_testkit::cluster::{Cluster, PATIENCE, ports};
use remex_testkit::http::{HttpClient, Reply};
use serde_json::{Value, json};

use crate::{Stage, ask, ask_with, cluster, eventually};

/// As it stands in the document, raw on the wire.
const DOCUMENT: &str = "/tailfeather/key-val/set?key=ravendb&val={ 'Url': 'http://live-test.ravendb.net', 'Database': 'Sample' }";

fn set(node: SocketAddr, key: &str, val: &str) -> Reply {
    ask(node, "GET", &format!("/tailfeather/key-val/set?key={key}&val={val}"), "")
}

fn read(node: SocketAddr, key: &str) -> Reply {
    ask(node, "GET", &format!("/tailfeather/key-val/read?key={key}"), "")
}

/// The value that a node has, which it must have.
#[track_caller]
fn value(node: SocketAddr, key: &str) -> Value {
    let reply = read(node, key);
    assert_eq!(reply.status, 200, "{key}: {}", reply.text());
    reply.json().unwrap()["Value"].clone()
}

/// The text of the error that an answer tells of.
#[track_caller]
fn error(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    reply.json().unwrap()["Error"].as_str().unwrap().to_owned()
}

/// The address of the leader, and those of the others.
fn sorted(cluster: &Cluster) -> (SocketAddr, Vec<SocketAddr>) {
    let leader = cluster.wait_leader().unwrap();
    let (leading, others): (Vec<_>, Vec<_>) =
        cluster.nodes().iter().enumerate().partition(|(number, _)| *number == leader);
    (leading[0].1.address(), others.into_iter().map(|(_, node)| node.address()).collect())
}

#[test]
fn t1_what_is_over_a_limit_is_400_and_names_the_limit() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    let key = "k".repeat(128);
    assert_eq!(set(node, &key, "1").status, 202);
    assert!(
        error(&set(node, &format!("{key}k"), "1"), 400)
            .contains("129 characters, the limit is 128")
    );
    assert!(error(&read(node, &format!("{key}k")), 400).contains("128"));
    // Sixteen kilobytes of JSON: two of them are the quotes.
    assert_eq!(set(node, "v", &"v".repeat(16 * 1024 - 2)).status, 202);
    let text = error(&set(node, "v", &"v".repeat(16 * 1024 - 1)), 400);
    assert!(text.contains("16385 bytes, the limit is 16384"), "{text}");
    assert!(error(&set(node, "", "1"), 400).contains("empty"));
    assert!(error(&set(node, "a%00", "1"), 400).contains("control character"));
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

#[test]
fn t7_an_unescaped_query_is_stored_as_an_object() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    let reply = ask(node, "GET", DOCUMENT, "");
    assert_eq!((reply.status, reply.text().as_str()), (202, ""));
    let want = json!({"Url": "http://live-test.ravendb.net", "Database": "Sample"});
    assert_eq!(value(node, "ravendb"), want);
    let native = ask(node, "GET", "/v1/kv/ravendb", "");
    assert_eq!(native.text(), r#"{"Url":"http://live-test.ravendb.net","Database":"Sample"}"#);
    assert_eq!(native.header("content-type"), Some("application/json"));
    // The same as a browser sends it.
    let escaped = DOCUMENT.replace(' ', "%20").replace('{', "%7B").replace('}', "%7D");
    assert_eq!(ask(node, "GET", &escaped.replace("ravendb&", "escaped&"), "").status, 202);
    assert_eq!(value(node, "escaped"), want);
}

#[test]
fn t7_anything_that_is_typed_arrives() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for (typed, stored) in [
        ("{ a: 1, /* two */ 'b': [1,2,], }", json!({"a": 1, "b": [1, 2]})),
        ("grüße \"von\" <hier> | #1 ^`\\", json!("grüße \"von\" <hier> | #1 ^`\\")),
        ("{'x': 0xFF, 'y': NaN}", json!({"x": 255, "y": "NaN"})),
        ("'2014-11-22T00:00:00'", json!("2014-11-22T00:00:00")),
        ("1+1 100% a%26b=c", json!("1 1 100% a&b=c")),
    ] {
        assert_eq!(set(node, "typed", typed).status, 202, "{typed}");
        assert_eq!(value(node, "typed"), stored, "{typed}");
    }
    // A bare ampersand ends the value: what follows is no parameter, which is better said.
    let text = error(&set(node, "typed", "{ 'a': 'x&y' }"), 400);
    assert!(text.contains("`y' }`") && text.contains("%26"), "{text}");
    assert_eq!(value(node, "typed"), json!("1 1 100% a&b=c"));
}

/// Sends bytes as they are, in pieces, and reads until the node closes the connection.
fn raw(node: SocketAddr, pieces: &[&str]) -> String {
    let mut stream = TcpStream::connect(node).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for piece in pieces {
        stream.write_all(piece.as_bytes()).unwrap();
        thread::yield_now();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn t7_a_line_may_come_in_pieces_and_several_on_one_connection() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    let close = "Connection: close\r\n\r\n";
    let line = format!("GET {DOCUMENT} HTTP/1.1\r\nHost: localhost\r\n");
    let pieces: Vec<String> = format!("{line}{close}").chars().map(String::from).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    assert!(raw(node, &pieces).starts_with("HTTP/1.1 202 Accepted\r\n"));
    assert_eq!(value(node, "ravendb")["Database"], "Sample");
    // Three at once, without waiting for the answers.
    let answer = raw(node, &[&format!("{line}\r\n{line}\r\n{line}{close}")]);
    assert_eq!(answer.matches("HTTP/1.1 202 Accepted").count(), 3, "{answer}");
    // Behind a body nothing is taken for a line: this is refused as on every other connection.
    let post = "POST /tailfeather/key-val/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n[]";
    let answer = raw(node, &[post, &line, close]);
    assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
    assert!(answer.contains("HTTP/1.1 400 Bad Request"), "{answer}");
    let answer = raw(node, &["GET /v1/kv/a b HTTP/1.1\r\nHost: localhost\r\n", close]);
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
    let mut client = HttpClient::new(node, PATIENCE);
    for number in 0..5 {
        let target = format!("/tailfeather/key-val/set?key=k&val={{ 'n': {number} }}");
        assert_eq!(client.get(&target).unwrap().status, 202);
        assert_eq!(
            client.get("/tailfeather/key-val/read?key=k").unwrap().json().unwrap()["Value"]["n"],
            number
        );
    }
}

#[test]
fn t8_what_is_not_json_is_stored_as_a_string() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for (val, stored) in [
        ("hello", "\"hello\""),
        ("42", "42"),
        ("true", "true"),
        ("null", "null"),
        ("%22x%22", "\"x\""),
        ("", "\"\""),
        ("12345678901234567890.10", "12345678901234567890.10"),
        ("%7B%20%22b%22:%201,%20%22a%22:%202%20%7D", "{ \"b\": 1, \"a\": 2 }"),
    ] {
        let reply = set(node, "k", val);
        assert_eq!((reply.status, reply.body.len()), (202, 0), "{val}");
        let reply = ask(node, "GET", "/v1/kv/k", "");
        assert_eq!(reply.text(), stored);
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[test]
fn t9_a_set_without_a_value_is_400() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for target in ["set?key=k", "set?val=1", "set", "read", "del", "cas?key=k&val=1"] {
        let reply = ask(node, "GET", &format!("/tailfeather/key-val/{target}"), "");
        assert!(error(&reply, 400).contains("is missing"), "{target}");
    }
    assert_eq!(read(node, "k").status, 404, "nothing was stored");
}

#[test]
fn t10_a_read_is_of_this_node_with_its_state_and_indented() {
    let cluster = cluster(3);
    let (leader, others) = sorted(&cluster);
    assert_eq!(set(leader, "ravendb", "{'Url':'http://x','List':[]}").status, 202);
    let want = "{\n  \"State\": \"Leader\",\n  \"Key\": \"ravendb\",\n  \"Value\": {\n    \"Url\": \"http://x\",\n    \"List\": []\n  }\n}\n";
    assert_eq!(read(leader, "ravendb").text(), want);
    for other in others {
        let reply = eventually("the write on a follower", || {
            Some(read(other, "ravendb")).filter(|reply| reply.status == 200)
        });
        assert_eq!(reply.text(), want.replace("Leader", "Follower"));
    }
}

#[test]
fn t11_a_missing_key_is_404_and_says_missing() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    let reply = read(node, "k");
    assert_eq!(reply.status, 404);
    assert_eq!(reply.json().unwrap(), json!({"State": "Leader", "Key": "k", "Missing": true}));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    // What was set to null is not missing.
    set(node, "k", "null");
    assert_eq!(
        read(node, "k").json().unwrap(),
        json!({"State": "Leader", "Key": "k", "Value": null})
    );
}

#[test]
fn t12_the_read_modes_say_how_fresh_and_where() {
    let cluster = cluster(3);
    let (leader, others) = sorted(&cluster);
    let target = |mode: &str| format!("/tailfeather/key-val/read?key=k&{mode}");
    for number in 0..20 {
        assert_eq!(set(leader, "k", &number.to_string()).status, 202);
        // No waiting: these see what was acknowledged, on whichever node.
        for (node, mode) in [
            (others[0], "mode=quorum"),
            (others[1], "consistency=linearizable"),
            (leader, "mode=leader"),
        ] {
            let reply = ask(node, "GET", &target(mode), "");
            assert_eq!(reply.json().unwrap()["Value"], number, "{mode}");
        }
    }
    let reply = ask(others[0], "GET", &target("mode=leader"), "");
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some(&*format!("http://{leader}{}", target("mode=leader"))))
    );
    assert_eq!(ask(others[0], "HEAD", &target("mode=leader"), "").status, 302);
    assert_eq!(ask(others[0], "GET", &target("mode=any"), "").status, 200);
    assert_eq!(error(&ask(leader, "GET", &target("mode=all"), ""), 400), "Unknown read mode");
}

#[test]
fn t13_a_delete_is_202_whether_the_key_is_there_or_not() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    set(node, "k", "1");
    for _ in 0..2 {
        let reply = ask(node, "GET", "/tailfeather/key-val/del?key=k", "");
        assert_eq!((reply.status, reply.body.len()), (202, 0));
        assert_eq!(read(node, "k").status, 404);
    }
}

#[test]
fn t14_a_batch_is_applied_in_order_and_as_one() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    let batch = |body: &str| ask(node, "POST", "/tailfeather/key-val/batch", body);
    let revision =
        || ask(node, "GET", "/v1/status", "").json().unwrap()["revision"].as_u64().unwrap();
    set(node, "b", "0");
    let before = revision();
    let body = r#"[{"Type":"Add","Key":"a","Value":1},{"Type":"Del","Key":"b"},
        {"type":0,"key":"c","value":{ "x": 1.50 }},{"Type":"Add","Key":"d","Value":1},
        {"Type":1,"Key":"d"},{"Type":"Del","Key":"never"}]"#;
    let reply = batch(body);
    assert_eq!((reply.status, reply.body.len()), (202, 0), "{}", reply.text());
    assert_eq!(revision(), before + 1, "one transaction");
    assert_eq!(
        (value(node, "a"), read(node, "b").status, read(node, "d").status),
        (json!(1), 404, 404)
    );
    assert_eq!(ask(node, "GET", "/v1/kv/c", "").text(), "{ \"x\": 1.50 }");
    assert_eq!(batch("[{Type:'Add', Key:'e', Value:'lenient'},] // as Json.NET").status, 202);
    assert_eq!(value(node, "e"), "lenient");
    assert_eq!(batch("[]").status, 202);

    let before = revision();
    let large = format!(
        r#"[{{"Type":"Add","Key":"a","Value":2}},{{"Type":"Add","Key":"z","Value":"{}"}}]"#,
        "v".repeat(17_000)
    );
    for (body, said) in [
        (
            r#"[{"Type":"Add","Key":"a","Value":2},{"Type":"Move","Key":"b"}]"#,
            "operation 1: `Type` is \"Move\"",
        ),
        (r#"[{"Type":"Add","Key":"a","Value":2},{"Type":"Add","Key":"b"}]"#, "`Value` is missing"),
        (&large, "operation 1: the value has 17002 bytes"),
        ("{}", "the body is [{"),
        ("[{", "the body is [{"),
        ("", "the body is [{"),
    ] {
        let text = error(&batch(body), 400);
        assert!(text.contains(said), "{body}: {text}");
    }
    assert_eq!((revision(), value(node, "a")), (before, json!(1)), "nothing of them was applied");
}

fn cas(node: SocketAddr, val: &str, previous: &str) -> bool {
    let target = format!("/tailfeather/key-val/cas?key=k&val={val}&prevValue={previous}");
    let reply = ask(node, "GET", &target, "");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json().unwrap();
    assert_eq!((&body["State"], &body["Key"]), (&json!("Leader"), &json!("k")));
    body["ValueChanged"].as_bool().unwrap()
}

#[test]
fn t15_compare_and_set_compares_deeply() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    assert!(!cas(node, "1", "0"));
    assert!(cas(node, "{'a':1,'b':[true]}", "null"), "a missing key is null");
    assert!(!cas(node, "2", "null"));
    assert!(!cas(node, "2", "{'a':1,'b':[false]}"));
    assert!(cas(node, "2", "{ \"b\" : [ true ], a : 1.0 }"), "order does not matter");
    assert_eq!(value(node, "k"), 2);
    // What another dialect stored as text is a JSON string here.
    ask(node, "POST", "/v1/data", r#"{"k":"k","v":"2"}"#);
    assert!(!cas(node, "3", "2"));
    assert!(cas(node, "3", "'2'"));
}

#[test]
fn t15_of_many_at_a_time_each_wins_once() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    set(node, "k", "0");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    loop {
                        let now = value(node, "k").as_u64().unwrap();
                        if cas(node, &(now + 1).to_string(), &now.to_string()) {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(value(node, "k"), 100);
}

/// Follows a redirect as `curl -L` does: after 302 with GET, after 307 as it was.
fn follow(reply: &Reply, method: &str, body: &str) -> Reply {
    let location = reply.header("location").unwrap().strip_prefix("http://").unwrap();
    let (address, target) = location.split_at(location.find('/').unwrap());
    let node = address.parse().unwrap();
    match reply.status {
        302 => ask(node, if method == "HEAD" { method } else { "GET" }, target, ""),
        307 => ask(node, method, target, body),
        other => panic!("{other} is no redirect: {}", reply.text()),
    }
}

#[test]
fn t17_a_follower_redirects_writes_to_the_leader_with_path_and_query() {
    let cluster = cluster(3);
    let (leader, others) = sorted(&cluster);
    let reply = ask(others[0], "GET", DOCUMENT, "");
    let location = "/tailfeather/key-val/set?key=ravendb&val=%7B%20'Url':%20'http://live-test.ravendb.net',%20'Database':%20'Sample'%20%7D";
    assert_eq!((reply.status, reply.body.len()), (302, 0));
    assert_eq!(reply.header("location"), Some(&*format!("http://{leader}{location}")));
    assert_eq!(follow(&reply, "GET", "").status, 202);
    assert_eq!(value(leader, "ravendb")["Database"], "Sample");

    for target in ["key-val/cas?key=n&val=1&prevValue=null", "key-val/del?key=ravendb"] {
        let reply = ask(others[1], "GET", &format!("/tailfeather/{target}"), "");
        assert!(matches!(follow(&reply, "GET", "").status, 200 | 202), "{target}");
    }
    assert_eq!((value(leader, "n"), read(leader, "ravendb").status), (json!(1), 404));

    let body = r#"[{"Type":"Add","Key":"a","Value":1}]"#;
    let reply = ask(others[0], "POST", "/tailfeather/key-val/batch", body);
    assert_eq!(reply.status, 307, "a POST stays a POST");
    assert_eq!(follow(&reply, "POST", body).status, 202);
    assert_eq!(value(leader, "a"), 1);
    // What cannot be done at all is said at once.
    assert_eq!(ask(others[0], "POST", "/tailfeather/key-val/batch", "[{").status, 400);
}

#[test]
fn t18_without_a_leader_it_is_412_and_try_again_later() {
    let mut cluster = cluster(3);
    let last = cluster.nodes()[2].address();
    let (leader, _) = sorted(&cluster);
    assert_eq!(set(leader, "k", "1").status, 202);
    cluster.node(0).kill().unwrap();
    cluster.node(1).kill().unwrap();
    let reply = eventually("a node that knows no leader", || {
        Some(set(last, "k", "2")).filter(|reply| reply.status == 412)
    });
    assert_eq!(error(&reply, 412), "No current leader, try again later");
    assert!(reply.header("retry-after").is_some());
    for target in ["admin/fly-away?name=n1", "key-val/read?key=k&mode=leader"] {
        let reply = ask(last, "GET", &format!("/tailfeather/{target}"), "");
        assert_eq!(error(&reply, 412), "No current leader, try again later");
    }
    // Its own copy can be read for as long as it runs.
    let state = read(last, "k").json().unwrap();
    assert_ne!((&state["State"], &state["Value"]), (&json!("Leader"), &Value::Null));
    cluster.node(0).start().unwrap();
    eventually("a leader again", || {
        let reply = set(last, "k", "3");
        match reply.status {
            202 => Some(reply),
            302 => Some(follow(&reply, "GET", "")).filter(|reply| reply.status == 202),
            _ => None,
        }
    });
}

fn flock(node: SocketAddr) -> Value {
    let reply = ask(node, "GET", "/tailfeather/admin/flock", "");
    assert_eq!(reply.status, 200);
    reply.json().unwrap()
}

fn names(flock: &Value, kind: &str) -> Vec<String> {
    let nodes = flock[kind].as_array().unwrap();
    nodes.iter().map(|node| node["Name"].as_str().unwrap().to_owned()).collect()
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
    let (leader, _) = sorted_of(&cluster, 3);
    let reply = ask(leader, "GET", &format!("/tailfeather/admin/fly-with-us?url=http://{url}"), "");
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(names(&flock(leader), "AllVotingNodes"), ["n1", "n2", "n3", "n4"]);
}

/// As [`sorted`], of the first nodes.
fn sorted_of(cluster: &Cluster, nodes: usize) -> (SocketAddr, Vec<SocketAddr>) {
    let (leader, others) = sorted(cluster);
    let first: Vec<SocketAddr> =
        cluster.nodes()[..nodes].iter().map(|node| node.address()).collect();
    (leader, others.into_iter().filter(|node| first.contains(node)).collect())
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
        ("url=http://localhost&name=Two", "HOST:PORT"),
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

#[test]
fn a_page_of_another_site_cannot_write() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    let target = "/tailfeather/key-val/set?key=k&val=1";
    for header in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ] {
        let reply = ask_with(node, "GET", target, &[header], "");
        assert!(error(&reply, 403).contains("another site"), "{header:?}");
    }
    // A name that was pointed at this machine.
    let rebound =
        format!("GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    let answer = raw(node, &[&rebound]);
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden"), "{answer}");
    assert!(answer.contains("evil.example") && answer.contains("--allow-host"), "{answer}");
    assert_eq!(read(node, "k").status, 404, "nothing was written");
    // What a person opens, and what a program sends.
    for headers in [&[("Sec-Fetch-Site", "none")][..], &[("Cookie", "session=1")], &[]] {
        assert_eq!(ask_with(node, "GET", target, headers, "").status, 202);
    }
    let old = format!("GET {target} HTTP/1.0\r\n\r\n");
    assert!(raw(node, &[&old]).starts_with("HTTP/1.0 202"));
}

#[test]
fn other_methods_are_405_and_other_paths_404() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    for (method, target, allow) in [
        ("POST", "key-val/set?key=k&val=1", "GET"),
        ("HEAD", "key-val/set?key=k&val=1", "GET"),
        ("PUT", "key-val/read?key=k", "GET, HEAD"),
        ("GET", "key-val/batch", "POST"),
        ("DELETE", "admin/flock", "GET, HEAD"),
    ] {
        let reply = ask(node, method, &format!("/tailfeather/{target}"), "");
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {target}");
    }
    for target in ["/tailfeather/", "/tailfeather/key-val", "/tailfeather/key-val/sets?key=k"] {
        error(&ask(node, "GET", target, ""), 404);
    }
}

#[test]
fn a_key_of_one_dialect_is_read_through_the_others() {
    let cluster = cluster(1);
    let node = cluster.nodes()[0].address();
    assert_eq!(set(node, "t", "{ 'a': 'ü', 'n': 1.50 }").status, 202);
    assert_eq!(ask(node, "GET", "/v1/kv/t", "").text(), r#"{"a":"ü","n":1.50}"#);
    assert_eq!(ask(node, "GET", "/v1/data/t", "").json().unwrap()["v"], r#"{"a":"ü","n":1.50}"#);
    assert_eq!(set(node, "s", "hello").status, 202);
    assert_eq!(ask(node, "GET", "/v1/data/s", "").json().unwrap()["v"], "hello");
    assert_eq!(ask(node, "POST", "/v1/data", r#"{"k":"r","v":"{\"a\":1}"}"#).status, 200);
    assert_eq!(value(node, "r"), "{\"a\":1}", "text stays text");
    assert_eq!(ask(node, "PUT", "/v1/kv/n", "{\"z\":1,\"a\":[]}").status, 201);
    assert_eq!(value(node, "n"), json!({"z": 1, "a": []}));
    assert_eq!(ask(node, "PUT", "/v1/kv/plain", "two words").status, 201);
    assert_eq!(value(node, "plain"), "two words");
    let mut client = HttpClient::new(node, PATIENCE);
    assert_eq!(client.request("PUT", "/v1/kv/bytes", &[], &[0xff, 0]).unwrap().status, 201);
    assert_eq!(value(node, "bytes"), json!({"base64": "/wA="}));
}
