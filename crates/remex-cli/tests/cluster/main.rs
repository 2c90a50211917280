//! Real processes of the `remex` binary, hurt in real ways. One test target, a module per topic:
//!
//! - `kill`: kill -9 at random under load, then the whole history is judged;
//! - `forming`: start orders, restarts, strangers, and starts that must be refused;
//! - `http`: the API as `curl` sees it, on every node, with and without a quorum;
//! - `shutdown`: SIGTERM under load;
//! - `disk`: torn tails and damaged middles;
//! - `dev`: the cluster in one command leaves nothing behind.
//!
//! Nothing here sleeps to wait for something, apart from the pauses between kills: conditions
//! are asked for until they hold, and a generous deadline calls a hang a failure. A test that
//! fails keeps its directory and prints the path.

#![expect(
    clippy::unwrap_used,
    reason = "all of it is test code; clippy only spares test functions"
)]

mod dev;
mod disk;
mod forming;
mod http;
mod kill;
mod load;
mod shutdown;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use remex_testkit::cluster::{Cluster, Node, PATIENCE, Plan};
use remex_testkit::http::{HttpClient, Reply};

/// The program under test.
fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_remex"))
}

/// A cluster that takes requests on every node.
fn start(nodes: usize) -> Cluster {
    Cluster::start(&plan(nodes)).unwrap()
}

/// A cluster with its ports and directories, not started.
fn prepare(nodes: usize) -> Cluster {
    Cluster::prepare(&plan(nodes)).unwrap()
}

fn plan(nodes: usize) -> Plan {
    Plan { binary: PathBuf::from(binary()), nodes, arguments: Vec::new() }
}

/// Writes a key, which must succeed.
fn put(node: &Node, key: &str, value: &str) {
    let reply = node.client().request("PUT", &format!("/v1/kv/{key}"), &[], value.as_bytes());
    let reply = reply.unwrap();
    assert!(matches!(reply.status, 200 | 201), "{}: {}", reply.status, reply.text());
}

/// Reads a key, which must exist.
fn get(node: &Node, key: &str) -> String {
    let reply = node.look(&format!("/v1/kv/{key}")).unwrap();
    assert_eq!(reply.status, 200, "{key}: {}", reply.text());
    reply.text()
}

/// The text at a path of a JSON answer, which must be there.
fn text_at(reply: &Reply, pointer: &str) -> String {
    let json = reply.json().unwrap();
    let text = json.pointer(pointer).and_then(|value| value.as_str());
    text.unwrap_or_else(|| panic!("no text at {pointer} in {json}")).to_owned()
}

/// The cluster that a node says it belongs to.
fn cluster_id(node: &Node) -> String {
    text_at(&node.look("/v1/cluster").unwrap(), "/id")
}

/// One request that must be answered, whatever the answer.
fn ask(client: &mut HttpClient, method: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
    client.request(method, target, headers, b"").unwrap()
}

/// Asks until it holds.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come in {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
