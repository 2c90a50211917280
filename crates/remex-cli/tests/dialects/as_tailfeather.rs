//! `remex as tailfeather`: rows T2 to T6 and the walk of the article, with its own command lines.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;

use remex_testkit::cluster::PATIENCE;

use crate::as_walk::{addresses, said};
use crate::{Stage, ask};

const SET: &str = "/tailfeather/key-val/set?key=ravendb&val=\
                   { 'Url': 'http://live-test.ravendb.net', 'Database': 'Sample' }";
const READ: (&str, &str, &str) = ("GET", "/tailfeather/key-val/read?key=ravendb", "");

const FOUNDED: &str = "Setup node as the cluster seed, exiting...\n";
const READY: &str = "Ready & processing requests, press ENTER to sop\n";

/// The article's option in one quoted word.
fn line(address: SocketAddr, name: &str) -> String {
    format!("--port={} --DataPath={name} --Name={name}", address.port())
}

fn bootstrap(stage: &Stage, address: SocketAddr) {
    let port = format!("--port={}", address.port());
    let ended = stage.run(&[
        "as",
        "tailfeather",
        &port,
        "--DataPath=One",
        "--Name=One",
        "\u{2013}Bootstrap",
    ]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), FOUNDED), "{}", ended.stderr);
    said(&ended.stderr, "native: ", 1);
}

fn is_sample(reply: &remex_testkit::http::Reply) -> bool {
    reply.status == 200
        && reply.json().unwrap()["Value"]
            == serde_json::json!({"Url": "http://live-test.ravendb.net", "Database": "Sample"})
}

#[test]
fn t2_bootstrap_marks_the_node_and_exits_and_changes_nothing_again() {
    let stage = &mut Stage::new();
    let [address] = addresses();
    bootstrap(stage, address);
    let identity = std::fs::read(stage.path().join("One/identity")).unwrap();
    bootstrap(stage, address);
    assert_eq!(std::fs::read(stage.path().join("One/identity")).unwrap(), identity);
    // It is a cluster of one node at once.
    let node = stage.start("One", &["as", "tailfeather", &line(address, "One")]);
    stage.until(node, address, ("GET", SET, ""), |reply| reply.status == 202);
    assert!(is_sample(&ask(address, READ.0, READ.1, "")));
    let native = ask(address, "GET", "/v1/kv/ravendb", "");
    assert_eq!(native.json().unwrap()["Url"], "http://live-test.ravendb.net");
}

#[test]
fn t2_what_is_missing_is_named_and_exits_with_1() {
    let stage = Stage::new();
    for (words, want) in [
        (&[][..], "-p/--port required option is missing."),
        (&["--port=1", "--Name=x"], "-d/--DataPath required option is missing."),
        (&["--DataPath=x"], "-p/--port required option is missing."),
        (&["--Prot=1"], "Option 'Prot' is unknown."),
    ] {
        let ended = stage.run(&[&["as", "tailfeather"], words].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{words:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(want), "{ended:?}");
    }
    assert_eq!(std::fs::read_dir(stage.path()).unwrap().count(), 0, "nothing is made");
}

#[test]
fn t3_a_node_that_was_never_bootstrapped_waits_and_founds_nothing() {
    let stage = &mut Stage::new();
    let [address] = addresses();
    let node = stage.start("Two", &["as", "tailfeather", &line(address, "Two")]);
    let flock = ("GET", "/v1/node", "");
    let reply = stage.until(node, address, flock, |reply| reply.status == 200);
    assert!(reply.json().unwrap()["cluster_id"].is_null(), "{}", reply.text());
    let reply = ask(address, "GET", SET, "");
    assert_eq!(reply.status, 412, "{}", reply.text());
    stage.stop(node);
    // What waits can be bootstrapped later.
    let port = format!("-p{}", address.port());
    let ended = stage.run(&["as", "tailfeather", &port, "-d", "Two", "-n", "Two", "-Bootstrap"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), FOUNDED), "{}", ended.stderr);
    let node = stage.start("Two", &["as", "tailfeather", &line(address, "Two")]);
    stage.until(node, address, ("GET", SET, ""), |reply| reply.status == 202);
}

#[test]
fn t4_the_name_is_that_of_the_machine_with_the_port() {
    let stage = &mut Stage::new();
    let [address] = addresses();
    let port = address.port().to_string();
    let node = stage.start("x", &["as", "tailfeather", "-p", &port, "-d", "x"]);
    let reply = stage.until(node, address, ("GET", "/v1/node", ""), |reply| reply.status == 200);
    let view = reply.json().unwrap();
    let name = view["name"].as_str().unwrap();
    let machine = name.strip_suffix(&format!(":{port}")).unwrap();
    assert!(!machine.is_empty());
    // Its own URL has that name if it leads to this machine.
    let url = view["client_url"].as_str().unwrap();
    let urls = [format!("http://{machine}:{port}"), format!("http://127.0.0.1:{port}")];
    assert!(urls.iter().any(|known| known == url), "{url}");
}

#[test]
fn t5_it_says_that_it_is_ready_and_enter_stops_it() {
    let stage = &mut Stage::new();
    let [address] = addresses();
    bootstrap(stage, address);
    let mut command = stage.command(&["as", "tailfeather", &line(address, "One")]);
    command.stdin(Stdio::piped());
    let node = stage.launch("One", command);
    stage.until(node, address, ("GET", SET, ""), |reply| reply.status == 202);
    assert_eq!(stage.process(node).logs().stdout().unwrap(), READY);
    said(&stage.stderr(node), "native: ", 1);
    let mut input = stage.process(node).take_input().unwrap();
    input.write_all(b"\n").unwrap();
    let status = stage.process(node).wait_exit(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(0));

    // The end of its input does not stop it.
    let mut command = stage.command(&["as", "tailfeather", &line(address, "One")]);
    command.stdin(Stdio::piped());
    let node = stage.launch("again", command);
    drop(stage.process(node).take_input());
    assert!(is_sample(&stage.until(node, address, READ, |reply| reply.status == 200)));
    assert_eq!(stage.process(node).exit_status().unwrap(), None);
    stage.stop(node);
    let native = stage.native(node);
    let node = stage.launch("native", native);
    assert!(is_sample(&stage.until(node, address, READ, |reply| reply.status == 200)));
}

/// The article from start to end: bootstrap, three nodes, a value, two invitations.
#[test]
fn t2_t3_t7_t10_t20_the_walk_of_the_article() {
    let stage = &mut Stage::new();
    let three: [SocketAddr; 3] = addresses();
    let names = ["One", "Two", "Three"];
    bootstrap(stage, three[0]);
    let start = |stage: &mut Stage, at: usize| {
        stage.start(names[at], &["as", "tailfeather", &line(three[at], names[at])])
    };
    let nodes: Vec<usize> = (0..3).map(|at| start(stage, at)).collect();
    stage.until(nodes[0], three[0], ("GET", SET, ""), |reply| reply.status == 202);
    assert!(is_sample(&ask(three[0], READ.0, READ.1, "")));
    for at in [1, 2] {
        let target = format!(
            "/tailfeather/admin/fly-with-us?url=http://localhost:{}&name={}",
            three[at].port(),
            names[at]
        );
        stage.until(nodes[0], three[0], ("GET", &target, ""), |reply| reply.status == 202);
        // The value is read where it was just added.
        stage.until(nodes[at], three[at], READ, is_sample);
    }
    let all = |view: &serde_json::Value| view["AllVotingNodes"].as_array().map(Vec::len) == Some(3);
    let flock = ("GET", "/tailfeather/admin/flock", "");
    stage.until(nodes[2], three[2], flock, |reply| {
        reply.status == 200 && reply.json().is_ok_and(|view| all(&view))
    });

    // The same command lines are right for every restart, two of three of them at first.
    nodes.iter().for_each(|&node| stage.stop(node));
    let again: Vec<usize> = [1, 2].map(|at| start(stage, at)).to_vec();
    let set = ("GET", "/tailfeather/key-val/set?key=after&val=42", "");
    for (&node, address) in again.iter().zip([three[1], three[2]]) {
        stage.until(node, address, READ, is_sample);
        // A follower sends the client to the leader.
        stage.until(node, address, set, |reply| matches!(reply.status, 202 | 302));
    }
}
