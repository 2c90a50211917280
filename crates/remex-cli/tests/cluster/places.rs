//! Where nodes listen and keep their data: one file for a whole cluster, a single port, ports for
//! dialects, folders of their own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use remex_testkit::cluster::{Logs, PATIENCE, Process, ports};
use remex_testkit::http::HttpClient;
use tempfile::TempDir;

use crate::{binary, wait_for};

/// Three nodes of which one file tells all addresses.
struct Trio {
    directory: TempDir,
    api: Vec<SocketAddr>,
    processes: Vec<Option<Process>>,
}

impl Trio {
    /// Writes the file; with a single port each, or with two.
    fn new(single_port: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let api: Vec<SocketAddr> = (0..3).map(|_| ports::free_address().unwrap()).collect();
        let line = |(index, api): (usize, &SocketAddr)| {
            let rpc = if single_port { *api } else { ports::free_address().unwrap() };
            let name = format!("node-{}", index + 1);
            serde_json::json!({
                "node_id": name,
                "rpc_url": format!("localhost:{}", rpc.port()),
                "api_url": format!("http://localhost:{}", api.port()),
            })
        };
        let nodes: Vec<serde_json::Value> = api.iter().enumerate().map(line).collect();
        let text = serde_json::to_string(&nodes).unwrap();
        fs::write(directory.path().join("cluster.json"), text).unwrap();
        Self { directory, api, processes: vec![None, None, None] }
    }

    /// Starts a node with nothing but its name, the file, and what is special.
    fn start(&mut self, index: usize, special: &[&str]) {
        let name = format!("node-{}", index + 1);
        let mut command = Command::new(binary());
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.args(["serve", "--name", &name, "--data-dir", &name]);
        command.args(["--cluster-file", "cluster.json"]).args(special);
        let logs = Logs::new(self.directory.path(), &name);
        self.processes[index] = Some(Process::launch(command, &logs).unwrap());
    }

    fn process(&mut self, index: usize) -> &mut Process {
        self.processes[index].as_mut().unwrap()
    }

    fn ask(&self, index: usize, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut client = HttpClient::new(self.api[index], PATIENCE);
        let reply = client.request(method, path, &[], body.as_bytes()).ok()?;
        Some((reply.status, reply.text()))
    }

    /// Waits until every node shows what was written through another one.
    fn until_written(&self, value: &str) {
        let put = || self.ask(0, "PUT", "/v1/kv/color", value);
        wait_for("a write", || put().is_some_and(|(status, _)| status / 100 == 2));
        for index in 0..3 {
            let get = || self.ask(index, "GET", "/v1/kv/color", "");
            wait_for("a read", || get() == Some((200, value.to_owned())));
        }
    }
}

#[test]
fn u12_one_file_and_a_name_start_every_node_of_a_cluster() {
    let mut trio = Trio::new(false);
    for index in 0..3 {
        trio.start(index, &[]);
    }
    trio.until_written("blue");
    // Flags win over the file, and the same line is right for a restart.
    trio.process(1).kill().unwrap();
    trio.start(1, &["--election-timeout", "2s", "--heartbeat", "500ms"]);
    trio.until_written("green");
}

#[test]
fn nodes_with_one_port_each_serve_clients_and_peers_there() {
    let mut trio = Trio::new(true);
    for index in 0..3 {
        trio.start(index, &[]);
    }
    trio.until_written("blue");
    let (status, cluster) = trio.ask(2, "GET", "/v1/cluster", "").unwrap();
    assert_eq!(status, 200, "{cluster}");
    let cluster: serde_json::Value = serde_json::from_str(&cluster).unwrap();
    for (index, member) in cluster["members"].as_array().unwrap().iter().enumerate() {
        let port = format!("localhost:{}", trio.api[index].port());
        assert_eq!(member["peer_address"], port, "{cluster}");
    }
    trio.process(0).kill().unwrap();
    trio.start(0, &[]);
    trio.until_written("green");
}

#[test]
fn a_log_on_another_disk_is_found_without_the_flag_and_missed_when_it_is_away() {
    let mut trio = Trio::new(false);
    let fast = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let place = fast.path().join("node-1");
    let place = place.to_str().unwrap();
    trio.start(0, &["--log-dir", place, "--snapshot-dir", place]);
    trio.start(1, &[]);
    trio.start(2, &[]);
    trio.until_written("blue");
    assert!(Path::new(place).join("log").is_dir());
    let id = |trio: &Trio| {
        let (_, text) = trio.ask(0, "GET", "/v1/node", "").unwrap();
        let node: serde_json::Value = serde_json::from_str(&text).unwrap();
        node["id"].clone()
    };
    let before = id(&trio);
    trio.process(0).kill().unwrap();

    let away = fast.path().join("away");
    fs::rename(place, &away).unwrap();
    for special in [&[][..], &["--log-dir", place]] {
        trio.start(0, special);
        let exit = trio.process(0).wait_exit(PATIENCE).unwrap();
        let said = trio.process(0).logs().stderr().unwrap();
        assert_eq!(exit.code(), Some(1), "{said}");
        assert!(said.contains("mounted") && said.contains(place), "{said}");
    }
    trio.start(0, &["--log-dir", "elsewhere"]);
    assert_eq!(trio.process(0).wait_exit(PATIENCE).unwrap().code(), Some(1));
    fs::rename(&away, place).unwrap();
    trio.start(0, &[]);
    trio.until_written("green");
    assert_eq!(id(&trio), before, "it never forgot who it was");
}

#[test]
fn a_dialect_has_its_own_port_and_the_banner_says_what_to_try() {
    let directory = tempfile::tempdir().unwrap();
    let (native, dialect) = (ports::free_address().unwrap(), ports::free_address().unwrap());
    let mut command = Command::new(binary());
    command.current_dir(directory.path()).stdin(Stdio::null());
    command.args(["serve", "--listen", &native.to_string(), "--peer-listen", "127.0.0.1:0"]);
    command.args(["--dialect", &format!("hraftd={dialect}")]);
    let mut process = Process::launch(command, &Logs::new(directory.path(), "n1")).unwrap();
    let ask = |address: SocketAddr, method: &str, path: &str, body: &str| {
        let reply = HttpClient::new(address, PATIENCE).request(method, path, &[], body.as_bytes());
        reply.map(|reply| (reply.status, reply.text())).ok()
    };
    wait_for("the dialect", || {
        let answer = ask(dialect, "POST", "/key", r#"{"user1":"batman"}"#);
        answer.is_some_and(|(status, _)| status == 200)
    });
    assert_eq!(ask(native, "GET", "/v1/kv/user1", ""), Some((200, "batman".to_owned())));
    assert_eq!(ask(dialect, "GET", "/v1/kv/user1", "").unwrap().0, 404, "only the dialect");
    let banner = process.logs().stdout().unwrap();
    let example = banner.lines().find(|line| line.contains("curl") && line.contains("/key"));
    assert!(banner.contains(&format!("hraftd  http://{dialect}")), "{banner}");
    assert!(example.is_some_and(|line| line.contains(&dialect.to_string())), "{banner}");
    // All listeners are drained.
    process.signal(remex_testkit::cluster::Signal::TERM).unwrap();
    assert!(process.wait_exit(PATIENCE).unwrap().success());
    assert_eq!(ask(dialect, "GET", "/key/user1", ""), None);
}
