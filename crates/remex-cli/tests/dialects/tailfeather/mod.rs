//! The requests of `docs/dialects/tailfeather.md`, and who may send them.

mod client;
mod leader;
mod members;
mod read;
mod set;
mod strangers;
mod write;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use remex_testkit::cluster::{Cluster, PATIENCE};
use remex_testkit::http::Reply;
use serde_json::Value;

use crate::ask;

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
