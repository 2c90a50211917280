//! The dialects as their users know them: every request and command line that the imitated systems
//! document, sent to real nodes. One test target, a module per dialect; the names of the tests begin
//! with the row of `docs/dialects/*.md` that they stand for.
//!
//! Nothing here sleeps to wait for something: conditions are asked for until they hold, and a
//! generous deadline calls a hang a failure.

#![expect(
    clippy::unwrap_used,
    reason = "all of it is test code; clippy only spares test functions"
)]

mod across;
mod as_hraftd;
mod as_raft;
mod as_raft_example;
mod as_raftexample;
mod as_tailfeather;
mod as_walk;
mod hraftd;
mod raft;
mod raft_example;
mod raftexample;
mod speaker;
mod tailfeather;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use remex_testkit::cluster::{Cluster, Logs, PATIENCE, Patience, Plan, Process};
use remex_testkit::http::{HttpClient, Reply};
use tempfile::TempDir;

/// The program under test.
fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_remex"))
}

/// A cluster that takes requests on every node.
fn cluster(nodes: usize) -> Cluster {
    let arguments = Vec::new();
    Cluster::start(&Plan { binary: PathBuf::from(binary()), nodes, arguments }).unwrap()
}

/// A directory in which processes are started, as a person at a terminal would. Dropping it kills
/// what still runs.
struct Stage {
    processes: Vec<Process>,
    directory: TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { processes: Vec::new(), directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the program with these arguments, in the directory. `label` names its output files.
    fn start(&mut self, label: &str, arguments: &[&str]) -> usize {
        let command = self.command(arguments);
        self.launch(label, command)
    }

    /// A command that would start the program in the directory, without input.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn launch(&mut self, label: &str, command: Command) -> usize {
        let logs = Logs::new(self.path(), label);
        self.processes.push(Process::launch(command, &logs).unwrap());
        self.processes.len() - 1
    }

    fn process(&mut self, number: usize) -> &mut Process {
        &mut self.processes[number]
    }
}

/// One request, sent as it is: `target` may hold what no URL may.
fn ask(address: SocketAddr, method: &str, target: &str, body: &str) -> Reply {
    ask_with(address, method, target, &[], body)
}

/// As [`ask`], with headers.
fn ask_with(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut client = HttpClient::new(address, PATIENCE);
    client.request(method, target, headers, body.as_bytes()).unwrap()
}

/// Asks until the answer is good. For things that take a moment: a node that starts, a leader that
/// is elected, a follower that learns of a write.
fn eventually(what: &str, mut look: impl FnMut() -> Option<Reply>) -> Reply {
    let mut patience = Patience::default();
    loop {
        if let Some(reply) = look() {
            return reply;
        }
        assert!(patience.pause(), "{what}: not within {PATIENCE:?}");
    }
}
