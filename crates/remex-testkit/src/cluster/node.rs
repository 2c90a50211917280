//! One `remex serve` process and its directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;

use super::Patience;
use super::process::{Logs, Process};
use crate::http::{Failure, HttpClient, Reply};

/// How long one look at a node may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// One node: what it takes to start it, and its process while it runs.
#[derive(Debug)]
pub struct Node {
    name: String,
    binary: PathBuf,
    /// Flags that stay the same for ever.
    arguments: Vec<String>,
    /// Flags that a test may change between two starts.
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    data_directory: PathBuf,
    address: SocketAddr,
    peer_address: SocketAddr,
    logs: Logs,
    process: Option<Process>,
}

impl Node {
    /// A node that is not started. Its data is kept in `directory/NAME`, its logs beside it; the
    /// addresses are those for clients and for peers.
    #[must_use]
    pub fn new(
        name: &str,
        binary: &Path,
        directory: &Path,
        addresses: (SocketAddr, SocketAddr),
        flags: &[String],
    ) -> Self {
        let (address, peer_address) = addresses;
        let data_directory = directory.join(name);
        let mut arguments = vec!["serve".to_owned()];
        let data = data_directory.display().to_string();
        for (flag, value) in [
            ("--name", name.to_owned()),
            ("--data-dir", data),
            ("--listen", address.to_string()),
            ("--peer-listen", peer_address.to_string()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        Self {
            name: name.to_owned(),
            binary: binary.to_owned(),
            arguments,
            flags: flags.to_vec(),
            variables: Vec::new(),
            data_directory,
            address,
            peer_address,
            logs: Logs::new(directory, name),
            process: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients reach it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where peers reach it.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// Its data directory.
    #[must_use]
    pub fn data_directory(&self) -> &Path {
        &self.data_directory
    }

    /// What it has said since its first start.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Whether it was started and has not been seen to end.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// Its process id, if it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Changes the flags of later starts; name, directory and addresses stay.
    pub fn set_flags(&mut self, flags: &[String]) {
        self.flags = flags.to_vec();
    }

    /// Environment variables of later starts.
    pub fn set_variables(&mut self, variables: Vec<(String, String)>) {
        self.variables = variables;
    }

    /// Moves it to other addresses, from the next start on.
    pub fn move_to(&mut self, addresses: (SocketAddr, SocketAddr)) {
        let old = [self.address.to_string(), self.peer_address.to_string()];
        let new = [addresses.0.to_string(), addresses.1.to_string()];
        for argument in &mut self.arguments {
            for (old, new) in old.iter().zip(&new) {
                if argument == old {
                    argument.clone_from(new);
                }
            }
        }
        (self.address, self.peer_address) = addresses;
    }

    /// Starts it, always with the same command line. Does not wait for anything.
    ///
    /// # Errors
    /// If it runs already or the process cannot be made.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} was started already", self.name);
        let arguments = [self.arguments.as_slice(), &self.flags].concat();
        let (binary, variables) = (&self.binary, &self.variables);
        self.process = Some(Process::start_with(binary, &arguments, variables, &self.logs)?);
        Ok(())
    }

    /// Kills it as `kill -9` does. Nothing happens if it does not run.
    ///
    /// # Errors
    /// If the process cannot be signalled or reaped.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill().with_context(|| format!("killing {}", self.name)),
            None => Ok(()),
        }
    }

    /// Kills it without taking note of it: [`Node::kill`] must follow. For tests that look at the
    /// other nodes meanwhile.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill_process(&self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Stops its threads where they are (SIGSTOP).
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets its threads go on (SIGCONT).
    ///
    /// # Errors
    /// If it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Asks it to shut down (SIGTERM). Does not wait; see [`Node::wait_exit`].
    ///
    /// # Errors
    /// If it does not run.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let process = self.process.as_ref().with_context(|| format!("{} is down", self.name))?;
        process.signal(signal).with_context(|| format!("signalling {}", self.name))
    }

    fn running(&mut self) -> anyhow::Result<&mut Process> {
        self.process.as_mut().with_context(|| format!("{} is down", self.name))
    }

    /// Waits until it has exited by itself. A process that does not within `limit` is left
    /// running.
    ///
    /// # Errors
    /// If it does not run, or is still running after `limit`; shows its log.
    pub fn wait_exit(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let status = self.running()?.wait_exit(limit)?;
        self.process = None;
        Ok(status)
    }

    /// Waits until `/readyz` says that it takes requests.
    ///
    /// # Errors
    /// If it exits or takes longer than [`super::PATIENCE`]; shows its log.
    pub fn wait_ready(&mut self) -> anyhow::Result<()> {
        self.wait_reply("/readyz", |reply| reply.status == 200).map(drop)
    }

    /// Asks for a path again and again until the answer is as it should be, and returns it.
    ///
    /// # Errors
    /// If the node exits or takes longer than [`super::PATIENCE`]; shows the last answer and its log.
    pub fn wait_reply(
        &mut self,
        target: &str,
        is_right: impl Fn(&Reply) -> bool,
    ) -> anyhow::Result<Reply> {
        let mut patience = Patience::default();
        loop {
            let last = match self.look(target) {
                Ok(reply) if is_right(&reply) => return Ok(reply),
                Ok(reply) => format!("{} {}", reply.status, reply.text()),
                Err(failure) => failure.to_string(),
            };
            let exited = self.running()?.exit_status()?;
            if exited.is_some() {
                self.process = None;
            }
            if exited.is_some() || !patience.pause() {
                let fate = exited.map_or_else(|| "runs".to_owned(), |status| status.to_string());
                let (name, tail) = (&self.name, self.logs.tail());
                bail!("{name} ({fate}) did not answer {target} well: {last}\n{tail}");
            }
        }
    }

    /// The sum of a metric's series, of those alone that have this text among their labels; `None`
    /// if there is none.
    ///
    /// # Errors
    /// If the node does not answer, or not with numbers.
    pub fn metric(&self, name: &str, label: &str) -> anyhow::Result<Option<f64>> {
        let reply = self.look("/metrics")?;
        ensure!(reply.status == 200, "/metrics: {}", reply.status);
        let mut sum = None;
        for line in reply.text().lines().filter(|line| !line.starts_with('#')) {
            let (series, number) = line.rsplit_once(' ').context("a line without a number")?;
            let (known, labels) = series.split_once('{').unwrap_or((series, ""));
            if known == name && labels.contains(label) {
                let number: f64 = number.parse().with_context(|| line.to_owned())?;
                sum = Some(sum.unwrap_or(0.0) + number);
            }
        }
        Ok(sum)
    }

    /// Asks for a path once, on a connection of its own.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn look(&self, target: &str) -> Result<Reply, Failure> {
        self.client().get(target)
    }

    /// A client of this node.
    #[must_use]
    pub fn client(&self) -> HttpClient {
        HttpClient::new(self.address, LOOK_TIMEOUT)
    }
}
