//! Deletes, batches, compare-and-set.

use std::net::SocketAddr;
use std::thread;

use serde_json::json;

use super::{error, read, set, value};
use crate::{ask, cluster};

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
