//! What the tests of `remex as` share: command lines that end, nodes that answer after a moment,
//! nodes that stop in good order.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use remex_testkit::cluster::{PATIENCE, Patience, Signal, ports};
use remex_testkit::http::{HttpClient, Reply};

use crate::Stage;

/// What a command that ended came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Addresses on loopback that nobody else uses.
pub(crate) fn addresses<const N: usize>() -> [SocketAddr; N] {
    std::array::from_fn(|_| ports::free_address().unwrap())
}

impl Stage {
    /// Runs a command to its end, in the directory.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REMEX_")) {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asks a node again and again until the answer is good.
    ///
    /// # Panics
    /// If its process ends, or patience does; with what it said.
    pub(crate) fn until(
        &mut self,
        node: usize,
        address: SocketAddr,
        (method, target, body): (&str, &str, &str),
        is_good: impl Fn(&Reply) -> bool,
    ) -> Reply {
        let mut patience = Patience::default();
        loop {
            let reply =
                HttpClient::new(address, PATIENCE).request(method, target, &[], body.as_bytes());
            let last = match reply {
                Ok(reply) if is_good(&reply) => return reply,
                Ok(reply) => format!("{} {}", reply.status, reply.text()),
                Err(failure) => failure.to_string(),
            };
            let ended = self.process(node).exit_status().unwrap();
            if ended.is_some() || !patience.pause() {
                let tail = self.process(node).logs().tail();
                panic!("{method} {target} at {address} ({ended:?}): {last}\n{tail}");
            }
        }
    }

    /// Stops a node by SIGTERM; it ends in good order.
    pub(crate) fn stop(&mut self, node: usize) {
        let process = self.process(node);
        process.signal(Signal::TERM).unwrap();
        let status = process.wait_exit(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(0), "{}", process.logs().tail());
    }

    /// The command line that a node said to be its native one, for a shell.
    pub(crate) fn native(&mut self, node: usize) -> Command {
        let stderr = self.stderr(node);
        let mut said = stderr.lines().filter_map(|line| line.strip_prefix("native: "));
        let line = said.next().unwrap_or_else(|| panic!("no native line in:\n{stderr}"));
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {line}")]);
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// What a node has written to standard error since its first start.
    pub(crate) fn stderr(&mut self, node: usize) -> String {
        self.process(node).logs().stderr().unwrap()
    }
}

/// Checks that a line is said exactly once for each start.
#[track_caller]
pub(crate) fn said(stderr: &str, line: &str, times: usize) {
    let count = stderr.lines().filter(|said| said.starts_with(line)).count();
    assert_eq!(count, times, "{line} in:\n{stderr}");
}
