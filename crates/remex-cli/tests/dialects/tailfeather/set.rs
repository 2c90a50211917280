//! Setting keys: limits, values of every kind, and request lines as they are typed.

use remex_testkit::cluster::PATIENCE;
use remex_testkit::http::HttpClient;
use serde_json::json;

use super::{DOCUMENT, error, raw, read, set, value};
use crate::{ask, cluster};

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
