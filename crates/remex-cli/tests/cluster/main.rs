//! Real processes of the `remex` binary, hurt in real ways. One test target, a module per topic:
//!
//! - `kill`: kill -9 at random under load, then the whole history is judged;
//! - `forming`: start orders, restarts, strangers, and starts that must be refused;
//! - `joining`: nodes that join, wait, are invited, and come back with an empty disk;
//! - `copies`: nodes started from old copies of their disk, and twice from one;
//! - `members`: clusters that grow and shrink under load while leaders are killed;
//! - `snapshots`: nodes that are far behind, backups, and a majority that is lost;
//! - `http`: the API as `curl` sees it, on every node, with and without a quorum;
//! - `shutdown`: SIGTERM under load;
//! - `rolling`: nodes restarted one after the other, and no request fails;
//! - `disk`: torn tails and damaged middles;
//! - `places`: one file for a whole cluster, ports and folders of one's own;
//! - `watching`: metrics, health, status and logs;
//! - `dev`: the cluster in one command leaves nothing behind.
//!
//! Nothing here sleeps to wait for something, apart from the pauses between kills: conditions
//! are asked for until they hold, and a generous deadline calls a hang a failure. A test that
//! fails keeps its directory and prints the path.

#![expect(
    clippy::unwrap_used,
    reason = "all of it is test code; clippy only spares test functions"
)]

mod copies;
mod dev;
mod disk;
mod forming;
mod http;
mod joining;
mod kill;
mod load;
mod members;
mod places;
mod rolling;
mod shutdown;
mod snapshots;
mod watching;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use remex_testkit::cluster::{Cluster, Node, PATIENCE, Patience, Plan};
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

/// Sizes with which a few megabytes fill buffers and segments, and nothing is kept for members that
/// are behind: who misses a little needs a snapshot.
const SMALL: [&str; 10] = [
    "--segment-bytes",
    "1MiB",
    "--buffer-bytes",
    "256KiB",
    "--log-keep-bytes",
    "0",
    "--max-request-bytes",
    "64KiB",
    "--max-batch-ops",
    "64",
];

/// As [`plan`], with sizes that make little data much.
fn small(nodes: usize) -> Plan {
    Plan { arguments: SMALL.map(str::to_owned).to_vec(), ..plan(nodes) }
}

/// A running cluster with little room.
fn start_small(nodes: usize) -> Cluster {
    Cluster::start(&small(nodes)).unwrap()
}

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a client command against a node until it ends.
fn remex(node: &Node, arguments: &[&str]) -> Ran {
    let endpoint = format!("http://{}", node.address());
    run(&[arguments, &["--endpoint", &endpoint]].concat())
}

/// Runs a command until it ends.
fn run(arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary());
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Runs a command that must succeed; what it printed.
fn done(ran: Ran) -> String {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

/// Waits until exactly these are the members that a node knows, all voters.
fn wait_voters(cluster: &Cluster, node: usize, names: &[&str]) {
    let mut last = String::new();
    let mut patience = Patience::default();
    loop {
        let view =
            cluster.nodes()[node].look("/v1/cluster").ok().and_then(|reply| reply.json().ok());
        if let Some(view) = view {
            let members = view["members"].as_array().cloned().unwrap_or_default();
            let mut known: Vec<&str> = members.iter().filter_map(|m| m["name"].as_str()).collect();
            known.sort_unstable();
            let all_vote = members.iter().all(|member| member["role"] == "voter");
            if known == names && all_vote && view["changing"] == false {
                return;
            }
            last = view.to_string();
        }
        assert!(patience.pause(), "never {names:?}: {last}\n{}", cluster.log_tails());
    }
}

/// The id of a node.
fn node_id(node: &Node) -> String {
    text_at(&node.look("/v1/node").unwrap(), "/id")
}

/// Waits for a line that holds all of these, said by any of these nodes.
fn wait_said(nodes: &[&Node], parts: &[&str]) {
    wait_for(&format!("a line with {parts:?}"), || {
        nodes.iter().any(|node| {
            let log = node.logs().stderr().unwrap();
            log.lines().any(|line| parts.iter().all(|part| line.contains(part)))
        })
    });
}

/// Writes some megabytes through a node and waits until its log was trimmed behind them.
fn write_much(node: &Node) {
    let value = "v".repeat(15_000);
    let mut client = node.client();
    for number in 0..MUCH {
        let target = format!("/v1/kv/much/{number:04}");
        let reply = client.request("PUT", &target, &[], value.as_bytes()).unwrap();
        assert!(matches!(reply.status, 200 | 201), "{}: {}", reply.status, reply.text());
    }
    let first = |node: &Node| node.metric("remex_log_first_index", "").unwrap().unwrap_or(0.0);
    wait_for("a log that is trimmed", || first(node) > 100.0);
}

/// Keys that [`write_much`] writes.
const MUCH: usize = 500;

/// Copies a folder and all that is in it.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
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
    let mut patience = Patience::default();
    while !holds() {
        assert!(patience.pause(), "{what} did not come in {PATIENCE:?}");
    }
}
