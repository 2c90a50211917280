//! `remex dev`: a whole cluster in one command, and nothing left of it afterwards. Names that begin
//! with a letter and a number are rows of the list of imitated behaviors, docs/dialects/raft.md.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use remex_testkit::cluster::{Logs, PATIENCE, Process, Signal, ports};
use remex_testkit::http::HttpClient;
use tempfile::TempDir;

use crate::{Ran, binary, done, run, wait_for};

/// Client ports lie this far apart; each node's peer port is the one above.
const STRIDE: u16 = 10;
const NODES: u16 = 3;

/// Where the nodes of a cluster listen, for clients and for peers.
#[derive(Clone, Debug)]
struct Places(Vec<[SocketAddr; 2]>);

impl Places {
    /// Consecutive ports from these on.
    fn counted(client: u16, peer: u16) -> Self {
        Self((0..NODES).map(|node| [local(client + node), local(peer + node)]).collect())
    }

    /// Where `--port-base` puts them.
    fn based(base: u16) -> Self {
        let client = |node| base + node * STRIDE;
        Self((0..NODES).map(|node| [local(client(node)), local(client(node) + 1)]).collect())
    }

    fn client(&self, node: usize) -> HttpClient {
        client(self.0[node][0])
    }

    fn wait_ready(&self, processes: &mut [Process], tail: impl Fn() -> String) {
        for node in 0..self.0.len() {
            wait_for("a node that is ready", || {
                for process in &mut *processes {
                    let exited = process.exit_status().unwrap();
                    assert!(exited.is_none(), "{exited:?}\n{}", tail());
                }
                self.client(node).get("/readyz").is_ok_and(|reply| reply.status == 200)
            });
        }
    }

    /// Every port can be bound again: no child is left that listens.
    fn wait_gone(&self) {
        for address in self.0.iter().flatten() {
            wait_for("the end of every child", || TcpListener::bind(address).is_ok());
        }
    }
}

/// A running `remex dev`.
struct Dev {
    process: Process,
    logs: Logs,
    places: Places,
}

impl Dev {
    fn start(directory: &Path, base: u16, arguments: &[&str]) -> Self {
        let base_text = base.to_string();
        let arguments = [&["--port-base", &base_text], arguments].concat();
        Self::start_at(directory, Places::based(base), &arguments)
    }

    fn start_at(directory: &Path, places: Places, arguments: &[&str]) -> Self {
        let logs = Logs::new(directory, "dev");
        let arguments = [&["dev"], arguments].concat();
        let process = Process::start(binary(), &arguments, &logs).unwrap();
        let mut dev = Self { process, logs, places };
        let logs = dev.logs.clone();
        dev.places.wait_ready(std::slice::from_mut(&mut dev.process), || logs.tail());
        dev
    }

    /// Ends it in good order.
    fn stop(mut self, signal: Signal) {
        self.process.signal(signal).unwrap();
        let status = self.process.wait_exit(PATIENCE).unwrap();
        assert!(status.success(), "{status}\n{}", self.logs.tail());
        self.places.wait_gone();
    }
}

/// Nodes that were started by commands as `dev` printed them, each in a shell of its own.
struct ByHand {
    processes: Vec<Process>,
    places: Places,
}

impl ByHand {
    fn start(directory: &Path, places: &Places, printed: &str) -> Self {
        let start = |(at, line): (usize, &str)| {
            let logs = Logs::new(directory, &format!("by-hand-{at}"));
            // The shell becomes the node, so that the node is what is killed at the end.
            let script = format!("exec {line}");
            Process::start(Path::new("/bin/sh"), &["-c", &script], &logs).unwrap()
        };
        let processes: Vec<Process> = printed.lines().enumerate().map(start).collect();
        assert_eq!(processes.len(), places.0.len(), "{printed}");
        let mut nodes = Self { processes, places: places.clone() };
        nodes.places.wait_ready(&mut nodes.processes, || {
            (0..NODES).map(|at| Logs::new(directory, &format!("by-hand-{at}")).tail()).collect()
        });
        nodes
    }

    fn stop(mut self) {
        for process in &self.processes {
            process.signal(Signal::TERM).unwrap();
        }
        for process in &mut self.processes {
            assert!(process.wait_exit(PATIENCE).unwrap().success());
        }
        self.places.wait_gone();
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn client(address: SocketAddr) -> HttpClient {
    HttpClient::new(address, Duration::from_secs(20))
}

/// The first of some ports that are free at these distances.
fn free(distances: impl Iterator<Item = u16> + Clone) -> u16 {
    loop {
        let first = ports::free_address().unwrap().port();
        let free = |port: u16| TcpListener::bind(local(port)).is_ok();
        if distances.clone().all(|distance| free(first + distance)) {
            return first;
        }
    }
}

/// The first of six free ports in the places where `dev` puts them.
fn free_base() -> u16 {
    free((0..NODES).flat_map(|node| [node * STRIDE, node * STRIDE + 1]))
}

/// The first of each of three ranges of consecutive ports that do not meet.
fn free_ranges() -> [u16; 3] {
    let first = free(0..3 * NODES);
    [first + NODES, first, first + 2 * NODES]
}

fn put(places: &Places, node: usize, key: &str, value: &str) {
    let target = format!("/v1/kv/{key}");
    let reply = places.client(node).request("PUT", &target, &[], value.as_bytes()).unwrap();
    assert_eq!(reply.status, 201, "{}", reply.text());
}

fn get(places: &Places, node: usize, key: &str) -> String {
    places.client(node).get(&format!("/v1/kv/{key}")).unwrap().text()
}

/// Everything in a folder, but what the nodes keep: paths with their text.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.insert(path.clone(), fs::read_to_string(&path).unwrap());
        } else if path.file_name().unwrap() != "data" {
            files.extend(self::files(&path));
        }
    }
    files
}

fn refused(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(parts.iter().all(|part| ran.stderr.contains(part)), "{parts:?}: {ran:?}");
}

#[test]
fn sigterm_leaves_no_process_behind_and_kept_data_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().join("kept");
    let flags = ["--keep", keep.to_str().unwrap()];
    let dev = Dev::start(directory.path(), free_base(), &flags);
    put(&dev.places, 0, "color", "blue");
    assert_eq!(get(&dev.places, 1, "color"), "blue");
    for [address, _] in &dev.places.0 {
        let address = address.to_string();
        wait_for("the addresses", || dev.logs.stdout().unwrap().contains(&address));
    }
    let places = dev.places.clone();
    dev.stop(Signal::TERM);

    // The directory knows its nodes and ports.
    let again = Dev::start_at(directory.path(), places, &flags);
    assert_eq!(get(&again.places, 2, "color"), "blue");
    again.stop(Signal::INT);
}

#[test]
fn kill_9_of_the_parent_leaves_no_process_behind() {
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().join("kept");
    let mut dev = Dev::start(directory.path(), free_base(), &["--keep", keep.to_str().unwrap()]);
    dev.process.kill().unwrap();
    dev.places.wait_gone();
}

#[test]
fn a_port_in_use_is_named() {
    let base = free_base();
    let taken = TcpListener::bind(local(base + STRIDE)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&run(&["dev", "--port-base", &base.to_string()]), 1, &[&port, "in use"]);
}

#[test]
fn u14_the_printed_commands_start_the_cluster_and_nothing_else_is_done() {
    let directory = tempfile::tempdir().unwrap();
    // Whatever a path may hold, a shell must take it as it is.
    let keep = directory.path().join("it's $HOME; a `cluster`");
    let base = free_base();
    let (base_text, keep_text) = (base.to_string(), keep.to_str().unwrap());
    let printed = done(run(&["dev", "--dry-run", "--port-base", &base_text, "--keep", keep_text]));
    assert!(!keep.exists());
    Places::based(base).wait_gone();

    let places = Places::based(base);
    let nodes = ByHand::start(directory.path(), &places, &printed);
    put(&places, 0, "color", "blue");
    assert_eq!(get(&places, 2, "color"), "blue");
    nodes.stop();
}

#[test]
fn u12_u14_a_cluster_laid_out_in_files_is_started_by_hand_and_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = directory.path().join("local-cluster");
    let [client_port, peer_port, dialect_port] = free_ranges();
    let (client_text, peer_text) = (client_port.to_string(), peer_port.to_string());
    let dialect = format!("hraftd={dialect_port}");
    let ports = ["--client-port", &client_text, "--peer-port", &peer_text, "--dialect", &dialect];
    let write = ["dev", "--name-prefix", "node-", "--write", cluster.to_str().unwrap()];
    let lay_out = || run(&[&write[..], &ports].concat());
    let printed = done(lay_out());
    let written = files(&cluster);
    let names: Vec<_> = written.keys().map(|path| path.strip_prefix(&cluster).unwrap()).collect();
    assert_eq!(
        names,
        ["cluster.json", "node-1/remex.toml", "node-2/remex.toml", "node-3/remex.toml"]
            .map(Path::new)
    );
    let places = Places::counted(client_port, peer_port);
    places.wait_gone();
    let entries: serde_json::Value =
        serde_json::from_str(&written[&cluster.join("cluster.json")]).unwrap();
    let third = serde_json::json!({
        "node_id": "node-3",
        "rpc_url": format!("127.0.0.1:{}", peer_port + 2),
        "api_url": format!("127.0.0.1:{}", client_port + 2),
    });
    assert_eq!((entries.as_array().unwrap().len(), &entries[2]), (3, &third));

    let nodes = ByHand::start(directory.path(), &places, &printed);
    put(&places, 0, "color", "blue");
    let status = client(local(dialect_port + 1)).get("/status").unwrap();
    assert!(status.text().contains("node-2"), "{}", status.text());
    nodes.stop();
    // Once more changes nothing, although the nodes have run.
    assert_eq!(done(lay_out()), printed);
    assert_eq!(files(&cluster), written);

    let flags = ["--keep", cluster.to_str().unwrap()];
    let dev = Dev::start_at(directory.path(), places, &flags);
    assert_eq!(get(&dev.places, 1, "color"), "blue");
    dev.stop(Signal::TERM);
}

#[test]
fn what_somebody_else_put_there_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    fs::write(directory.path().join("letter"), "dear").unwrap();
    refused(&run(&["dev", "--write", path]), 9, &["letter", "empty directory"]);
    assert_eq!(files(directory.path()).len(), 1);

    fs::remove_file(directory.path().join("letter")).unwrap();
    done(run(&["dev", "--write", path]));
    let edited = directory.path().join("n2/remex.toml");
    fs::write(&edited, "name = 'n2'\n").unwrap();
    refused(&run(&["dev", "--write", path]), 9, &["n2/remex.toml", "options"]);
    assert_eq!(fs::read_to_string(&edited).unwrap(), "name = 'n2'\n");

    let kept = tempfile::tempdir().unwrap();
    fs::create_dir(kept.path().join("n1")).unwrap();
    fs::write(kept.path().join("n1/thesis"), "").unwrap();
    let base = free_base().to_string();
    let ran = run(&["dev", "--port-base", &base, "--keep", kept.path().to_str().unwrap()]);
    refused(&ran, 9, &["thesis", "empty directory"]);
}

#[test]
fn a_kept_cluster_is_not_mixed_with_another_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    done(run(&["dev", "--nodes", "5", "--write", path]));
    for other in [["--nodes", "3"], ["--port-base", "9000"], ["--name-prefix", "x"]] {
        let ran = run(&[&["dev", "--keep", path], &other[..]].concat());
        refused(&ran, 2, &["a cluster of 5 nodes", "n5 on 7520 and 7521", "leave out", other[0]]);
    }
    let printed = done(run(&["dev", "--dry-run", "--keep", path]));
    assert_eq!(printed.lines().count(), 5);
}

#[test]
fn u14_ports_that_overlap_are_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().join("kept");
    for (options, parts) in [
        (
            &["--client-port", "7777", "--peer-port", "7779"][..],
            &["7777 to 7779 for clients", "7779 to 7781 for peers", "try --peer-port 7780"][..],
        ),
        (
            &["--nodes", "2", "--dialect", "raftexample=7481"],
            &["7481, 7491 for peers", "7481 to 7482 for clients of raftexample", "=7482"],
        ),
        (
            &["--dialect", "raftexample=50000+10000"],
            &["50000 to 70000 (--dialect raftexample=50000+10000)", "start them at 45535"],
        ),
        (&["--peer-port", "65534"], &["65534 to 65536 (--peer-port 65534)", "65533 or below"]),
        (&["--dialect", "hraftd=1,hraftd=9"], &["hraftd is given twice"]),
        (
            &["--port-base", "1", "--client-port", "7", "--peer-port", "77"],
            &["no effect", "leave it out"],
        ),
    ] {
        let keep_text = keep.to_str().unwrap();
        for form in [&["--keep", keep_text][..], &["--write", keep_text], &["--dry-run"]] {
            refused(&run(&[&["dev"], options, form].concat()), 2, parts);
        }
        assert!(!keep.exists());
    }
}

#[test]
fn forms_that_contradict_each_other_are_usage_errors() {
    for options in [
        &["--dry-run", "--tmux"][..],
        &["--dry-run", "--write", "x"],
        &["--tmux", "--write", "x"],
        &["--keep", "x", "--write", "x"],
        &["--name-prefix", "a b"],
        &["--dialect", "tailfeather=1"],
        &["--dialect", "raftexample"],
        &["--client-port", "0"],
        &["--nodes", "0"],
        &["--log-level", "loud"],
    ] {
        let ran = run(&[&["dev"], options].concat());
        assert_eq!(ran.code, Some(2), "{options:?}: {ran:?}");
        assert!(ran.stderr.contains("\nhint: "), "{options:?}: {ran:?}");
    }
}

#[test]
fn r9_a_dialect_is_served_by_every_node_on_ports_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let base =
        free((0..NODES).flat_map(|node| [node * STRIDE, node * STRIDE + 1, node * STRIDE + 2]));
    let dialect = format!("raftexample={}+{STRIDE}", base + 2);
    let dev = Dev::start(directory.path(), base, &["--dialect", &dialect]);
    let there = |node: u16| client(local(base + node * STRIDE + 2));
    let reply = there(0).request("PUT", "/my-key", &[], b"hello").unwrap();
    assert_eq!(reply.status, 204, "{}", reply.text());
    let read = || there(2).get("/my-key").is_ok_and(|reply| reply.text() == "hello");
    wait_for("the value on another node", read);
    dev.stop(Signal::TERM);
}

/// A program in the place of tmux: it notes what it is asked, a word a line, and answers `code` to
/// whether there is a session.
fn fake_tmux(directory: &TempDir, code: u8) -> String {
    let path = directory.path().join("tmux");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{}'\n[ \"$1\" != has-session ] || exit {code}\n",
        directory.path().join("asked").display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    directory.path().to_str().unwrap().to_owned()
}

fn with_path(path: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary());
    command.args(arguments).env("PATH", path).envs(variables.iter().copied());
    // The tests themselves may run in a session.
    command.env_remove("TMUX").stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

#[test]
fn u13_each_node_gets_a_pane_of_a_new_tmux_session() {
    let directory = tempfile::tempdir().unwrap();
    let path = fake_tmux(&directory, 1);
    let base = free_base();
    let (base_text, keep) = (base.to_string(), directory.path().join("kept"));
    let options = ["--port-base", &base_text, "--keep", keep.to_str().unwrap()];
    let variables = [("REMEX_HEARTBEAT", "50ms"), ("REMEX_LISTEN", "127.0.0.1:1")];
    let tmux = [&["dev", "--tmux", "--name-prefix", "node-"], &options[..]].concat();
    let ran = with_path(&path, &variables, &tmux);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in ["tmux attach -t remex-dev-node", "tmux kill-session -t remex-dev-node", "node-3"] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
    let asked = fs::read_to_string(directory.path().join("asked")).unwrap();
    let commands: Vec<Vec<&str>> =
        asked.split("\n;\n").map(|command| command.lines().collect()).collect();
    let panes: Vec<&Vec<&str>> =
        commands.iter().filter(|command| command.contains(&"--")).collect();
    assert_eq!(panes.len(), usize::from(NODES), "{asked}");
    assert!(panes[0].contains(&"new-session") && panes[1].contains(&"split-window"), "{asked}");
    for (at, pane) in panes.iter().enumerate() {
        let command = pane.iter().position(|word| *word == "--").unwrap() + 1;
        let listen = format!("127.0.0.1:{}", base + u16::try_from(at).unwrap() * STRIDE);
        let name = format!("node-{}", at + 1);
        // The variables of this process, but not those that would be the same for every node.
        let program = ["env", "REMEX_HEARTBEAT=50ms", binary().to_str().unwrap(), "serve"];
        assert_eq!(&pane[command..command + program.len()], program, "{asked}");
        for pair in [["--name", &name], ["--listen", &listen]] {
            assert!(pane.windows(2).any(|words| words == pair), "{pair:?}: {asked}");
        }
    }

    let existing = tempfile::tempdir().unwrap();
    let ran = with_path(&fake_tmux(&existing, 0), &[], &tmux);
    refused(&ran, 1, &["a tmux session remex-dev-node already", "tmux kill-session -t"]);
    let nothing = tempfile::tempdir().unwrap();
    let ran = with_path(nothing.path().to_str().unwrap(), &[], &tmux);
    refused(&ran, 1, &["tmux is not installed", "--dry-run"]);
}

#[test]
fn u13_the_cluster_of_the_makefile_is_the_documented_one() {
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Makefile");
    let makefile = fs::read_to_string(makefile).unwrap();
    let targets = "build test-all run-local-cluster setup-local-cluster run-docker-cluster \
                   destroy-docker-cluster k8s-deploy k8s-undeploy clean build-docker-container";
    for target in targets.split(' ') {
        assert!(makefile.contains(&format!("\n{target}: ")), "{target}");
    }
    let options = makefile.lines().find_map(|line| line.strip_prefix("LOCAL_CLUSTER = ")).unwrap();
    let options: Vec<&str> = options.split(' ').collect();
    let nowhere = ["dev", "--dry-run", "--keep", "/nonexistent"];
    let printed = done(run(&[&nowhere[..], &options].concat()));
    let first = printed.lines().next().unwrap();
    assert!(first.contains("--name node-1 "), "{first}");
    assert!(first.contains("--listen 127.0.0.1:7777 --peer-listen 127.0.0.1:6666 "), "{first}");
    let last = printed.lines().last().unwrap();
    assert!(last.contains("--name node-3 "), "{last}");
    assert!(last.contains("--listen 127.0.0.1:7779 --peer-listen 127.0.0.1:6668 "), "{last}");
}
