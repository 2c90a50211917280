//! One real node: what it logs, measures, and lets itself be told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use remex_testkit::http::HttpClient;

use crate::{remex, run};

/// Time for one answer; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node on any free port, stopped in the end whatever happens.
struct Node {
    child: Child,
    url: String,
    /// Reads what it logs while it runs: a full pipe would hold it up.
    log: Option<JoinHandle<String>>,
}

impl Node {
    fn start(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let ports = ["serve", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"];
        let mut command = remex(&[&ports[..], arguments].concat());
        command.current_dir(directory).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut logged = String::new();
            stderr.read_to_string(&mut logged).unwrap();
            logged
        });
        let mut banner = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut banner).unwrap();
        let url = banner.trim_end().rsplit_once(" serves ").unwrap().1.to_owned();
        run(&["health", "--wait", "-e", &url]).expect(0, &format!("{url} ready\n"));
        Self { child, url, log: Some(log) }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut client = HttpClient::new(address.parse().unwrap(), PATIENCE);
        let reply = client.request(method, path, &[], body.as_bytes()).unwrap();
        (reply.status, reply.text())
    }

    /// Stops it; returns everything that it logged.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let logged = self.log.take().unwrap().join().unwrap();
        assert!(self.child.wait().unwrap().success(), "{logged}");
        logged
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn every_line_of_json_logs_is_an_object_without_a_value() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--log-format", "json", "--log-level", "trace"];
    let node = Node::start(directory.path(), &arguments, &[]);
    assert_eq!(node.ask("GET", "/v1/log-level", ""), (200, "{\"level\":\"trace\"}\n".to_owned()));
    run(&["put", "a", "s3cret", "-e", &node.url]).expect(0, "revision 2\n");
    run(&["put", "a", "\"s3cret\"", "--if-absent", "-e", &node.url]).expect(4, "");
    run(&["get", "a", "-e", &node.url]).expect(0, "s3cret");
    let (status, _) = node.ask("POST", "/v1/batch", "[{\"put\":\"s3cret\"}]");
    assert_eq!(status, 400);
    let (status, said) = node.ask("PUT", "/v1/log-level", "{\"level\":\"info,remex=debug\"}");
    assert_eq!((status, &*said), (200, "{\"level\":\"info,remex=debug\"}\n"));
    let logged = node.stop();
    assert!(logged.lines().count() > 5, "{logged}");
    for line in logged.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        for field in ["timestamp", "level", "target", "message"] {
            assert!(object[field].is_string(), "no {field} in {line}");
        }
    }
    assert!(!logged.contains("s3cret"), "{logged}");
}

#[test]
fn the_series_of_a_node_are_those_of_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let documented: BTreeMap<&str, &str> =
        rows.map(|(name, rest)| (name, rest.split(' ').next().unwrap())).collect();
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path(), &[], &[]);
    let (status, text) = node.ask("GET", "/metrics", "");
    assert_eq!(status, 200);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let shown: BTreeMap<&str, &str> = types.collect();
    assert_eq!(shown, documented);
    // One series cannot stand there twice, and every line has a name that was announced.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let series: BTreeSet<&str> =
        lines.iter().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    assert_eq!(series.len(), lines.len(), "{text}");
    for line in lines {
        let name = line.split(['{', ' ']).next().unwrap();
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known = |name: &str| shown.contains_key(name);
        assert!(known(name) || bare.is_some_and(known), "{line}");
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
    }
    node.stop();
}

#[test]
fn a_misspelt_variable_is_told_on_start() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path(), &[], &[("REMEX_DATADIR", "/nonexistent")]);
    let logged = node.stop();
    let warning = "WARN remex::commands::serve: the variable REMEX_DATADIR is no setting; did you \
                   mean REMEX_DATA_DIR?";
    assert!(logged.contains(warning), "{logged}");
}
