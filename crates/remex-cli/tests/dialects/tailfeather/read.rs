//! Reading keys, of this dialect and of others.

use remex_testkit::cluster::PATIENCE;
use remex_testkit::http::HttpClient;
use serde_json::json;

use super::{error, read, set, sorted, value};
use crate::{ask, cluster, eventually};

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
