//! One store behind all dialects: what is written through one is read through every other.

use std::net::SocketAddr;

use remex_testkit::cluster::ports::free_address;
use serde_json::{Value, json};

use crate::speaker::Speaker;
use crate::{Stage, ask, ask_with};

/// A key that every dialect can name; to raftexample, it is the target.
const KEY: &str = "/app/color";

/// A node that speaks everything.
struct Polyglot {
    native: SocketAddr,
    raftexample: SocketAddr,
    hraftd: SocketAddr,
    raft_example: SocketAddr,
}

impl Polyglot {
    fn start(stage: &mut Stage) -> Self {
        let [hraftd, raft_example] = [(); 2].map(|()| free_address().unwrap());
        let more = format!("hraftd={hraftd},raft-example={raft_example}");
        let mut node = Speaker::new("raftexample", "n1", &["--dialect", &more]);
        node.start(stage);
        node.wait_ready();
        Self { native: node.native, raftexample: node.dialect, hraftd, raft_example }
    }

    /// Writes text through a dialect.
    fn write(&self, dialect: &str, text: &str) {
        let (address, method, target, body) = match dialect {
            "native" => (self.native, "PUT", "/v1/kv/%2Fapp%2Fcolor".to_owned(), text.to_owned()),
            "tailfeather" => {
                let target = format!("/tailfeather/key-val/set?key={KEY}&val={text}");
                (self.native, "GET", target, String::new())
            }
            "raft" => {
                let body = json!({"k": KEY, "v": text}).to_string();
                (self.native, "POST", "/v1/data".to_owned(), body)
            }
            "raft-example" => {
                let body = json!({"key": KEY, "value": text}).to_string();
                (self.raft_example, "POST", "/set".to_owned(), body)
            }
            "hraftd" => (self.hraftd, "POST", "/key".to_owned(), json!({KEY: text}).to_string()),
            "huffleraft" => {
                let body = json!({"key": KEY, "val": text}).to_string();
                (self.hraftd, "POST", "/raft1/key".to_owned(), body)
            }
            "raftexample" => (self.raftexample, "PUT", KEY.to_owned(), text.to_owned()),
            other => panic!("nobody speaks {other}"),
        };
        let reply = ask(address, method, &target, &body);
        assert!((200..300).contains(&reply.status), "{dialect} {text}: {}", reply.text());
    }

    /// The texts that the dialects show whose values are texts.
    fn texts(&self) -> [(&'static str, String); 4] {
        let json = |address, target: &str, member: &str| {
            let reply = ask(address, "GET", target, "");
            assert_eq!(reply.status, 200, "{target}: {}", reply.text());
            reply.json().unwrap()[member].as_str().unwrap().to_owned()
        };
        [
            ("raft", json(self.native, "/v1/data//app/color", "v")),
            ("raft-example", json(self.raft_example, "/get?key=/app/color", "data")),
            ("hraftd", json(self.hraftd, "/key//app/color", KEY)),
            ("raftexample", ask(self.raftexample, "GET", KEY, "").text()),
        ]
    }
}

/// What is written, as what it is stored, and what it is shown as.
struct Case {
    writers: &'static [&'static str],
    written: &'static str,
    stored: &'static str,
    text: &'static str,
    json: fn() -> Value,
}

const TEXT_WRITERS: &[&str] = &["raft", "raft-example", "hraftd", "huffleraft", "raftexample"];

const CASES: &[Case] = &[
    Case {
        writers: TEXT_WRITERS,
        written: "blue",
        stored: "blue",
        text: "blue",
        json: || json!("blue"),
    },
    // Text that looks like JSON stays the text that it was sent as.
    Case {
        writers: TEXT_WRITERS,
        written: "{ \"a\": 1.50 }",
        stored: "{ \"a\": 1.50 }",
        text: "{ \"a\": 1.50 }",
        json: || json!("{ \"a\": 1.50 }"),
    },
    Case {
        writers: &["native"],
        written: "{ \"a\": [1, 2] }",
        stored: "{ \"a\": [1, 2] }",
        text: "{\"a\":[1,2]}",
        json: || json!({"a": [1, 2]}),
    },
    Case {
        writers: &["native"],
        written: "\"bl\\u0075e\"",
        stored: "\"bl\\u0075e\"",
        text: "blue",
        json: || json!("blue"),
    },
    Case {
        writers: &["native"],
        written: "not JSON",
        stored: "not JSON",
        text: "not JSON",
        json: || json!("not JSON"),
    },
    Case {
        writers: &["tailfeather"],
        written: "blue",
        stored: "\"blue\"",
        text: "blue",
        json: || json!("blue"),
    },
    Case {
        writers: &["tailfeather"],
        written: "{%22a%22:1}",
        stored: "{\"a\":1}",
        text: "{\"a\":1}",
        json: || json!({"a": 1}),
    },
];

#[test]
fn what_one_dialect_writes_all_others_read() {
    let mut stage = Stage::new();
    let node = Polyglot::start(&mut stage);
    for case in CASES {
        for writer in case.writers {
            node.write(writer, case.written);
            let stored = ask(node.native, "GET", "/v1/kv/%2Fapp%2Fcolor", "");
            assert_eq!(stored.text(), case.stored, "{writer} {}", case.written);
            for (reader, text) in node.texts() {
                assert_eq!(text, case.text, "{} by {writer}, read by {reader}", case.written);
            }
            let target = format!("/tailfeather/key-val/read?key={KEY}");
            let reply = ask(node.native, "GET", &target, "").json().unwrap();
            assert_eq!(reply["Value"], (case.json)(), "{} by {writer}", case.written);
        }
    }
}

/// A key that is deleted through one dialect is missing in all others.
#[test]
fn what_one_dialect_deletes_is_gone_for_all_others() {
    let mut stage = Stage::new();
    let node = Polyglot::start(&mut stage);
    for (address, method, target) in [
        (node.native, "DELETE", "/v1/kv/%2Fapp%2Fcolor"),
        (node.native, "DELETE", "/v1/data//app/color"),
        (node.native, "GET", "/tailfeather/key-val/del?key=/app/color"),
        (node.raft_example, "POST", "/del?key=/app/color"),
        (node.hraftd, "DELETE", "/key//app/color"),
        (node.hraftd, "DELETE", "/raft1/key//app/color"),
    ] {
        node.write("raftexample", "blue");
        let reply = ask(address, method, target, "");
        assert!((200..300).contains(&reply.status), "{method} {target}: {}", reply.text());
        assert_eq!(ask(node.native, "GET", "/v1/kv/%2Fapp%2Fcolor", "").status, 404);
        assert_eq!(ask(node.native, "GET", "/v1/data//app/color", "").status, 404);
        assert_eq!(ask(node.raftexample, "GET", KEY, "").status, 404);
        let reply = ask(node.native, "GET", "/tailfeather/key-val/read?key=/app/color", "");
        assert_eq!(reply.status, 404);
        let reply = ask(node.raft_example, "GET", "/get?key=/app/color", "");
        assert_eq!(reply.text(), "{\"data\":\"\"}\n");
        let reply = ask(node.hraftd, "GET", "/key//app/color", "");
        assert_eq!(reply.json().unwrap(), json!({KEY: ""}));
    }
}

/// A listener speaks its own dialect and nothing else, and the client port none of those.
#[test]
fn a_listener_speaks_one_dialect_alone() {
    let mut stage = Stage::new();
    let node = Polyglot::start(&mut stage);
    for target in ["/v1/kv/a", "/v1/status", "/metrics", "/readyz", "/"] {
        for address in [node.raft_example, node.hraftd] {
            let reply = ask(address, "GET", target, "");
            assert_eq!(reply.status, 404, "{target}");
            assert!(reply.header("remex-served-by").is_some(), "{target}");
        }
    }
    for target in ["/set", "/get?key=a", "/key/a", "/status", "/raft1/key", "/my-key"] {
        let reply = ask(node.native, "GET", target, "");
        assert_eq!(reply.status, 404, "{target}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{target}");
    }
}

/// A page may send text to any address by POST without being asked for it: browsers ask first only
/// about other methods and types.
#[test]
fn a_page_of_another_site_cannot_post_in_any_dialect() {
    let mut stage = Stage::new();
    let node = Polyglot::start(&mut stage);
    let batch = r#"{"operations":[{"put":{"key":"/app/color","value":"blue"}}]}"#;
    let list = r#"[{"Type":"Add","Key":"/app/color","Value":"blue"}]"#;
    for (address, target, body) in [
        (node.native, "/v1/data", r#"{"k":"/app/color","v":"blue"}"#),
        (node.native, "/v1/batch", batch),
        (node.native, "/v1/cluster/members", r#"{"peer_url":"127.0.0.1:9"}"#),
        (node.native, "/tailfeather/key-val/batch", list),
        (node.hraftd, "/key", r#"{"/app/color":"blue"}"#),
        (node.hraftd, "/raft1/key", r#"{"key":"/app/color","val":"blue"}"#),
        (node.hraftd, "/join", r#"{"addr":"127.0.0.1:9","id":"n2"}"#),
        (node.raft_example, "/set", r#"{"key":"/app/color","value":"blue"}"#),
        (node.raftexample, "/4", "http://127.0.0.1:9"),
    ] {
        for header in [
            ("Origin", "http://evil.example"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            let reply = ask_with(address, "POST", target, &[header], body);
            assert_eq!(reply.status, 403, "{target} {header:?}: {}", reply.text());
        }
    }
    assert_eq!(
        ask(node.native, "GET", "/v1/kv/%2Fapp%2Fcolor", "").status,
        404,
        "nothing was done"
    );
    let members = ask(node.native, "GET", "/v1/cluster/members", "").text();
    assert!(!members.contains("127.0.0.1:9\""), "{members}");
    // A page of its own.
    let own = format!("http://{}", node.hraftd);
    let reply = ask_with(node.hraftd, "POST", "/key", &[("Origin", &own)], r#"{"k":"v"}"#);
    assert_eq!(reply.status, 200, "{}", reply.text());
}
