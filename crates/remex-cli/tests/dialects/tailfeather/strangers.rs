//! Requests of others than the users, and requests for nothing that there is.

use super::{error, raw, read};
use crate::{ask, ask_with, cluster};

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
