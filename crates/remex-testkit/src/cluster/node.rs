//! One `remex serve` process and its directory.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;
use crate::http::{Failure, HttpClient, Reply};

/// Pause between two looks at something that only shows by asking.
const POLL_PAUSE: Duration = Duration::from_millis(10);

/// How long one look at a node may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// How many bytes of a node's log a failure shows.
const LOG_BYTES_SHOWN: usize = 8 * 1024;

/// One node: what it takes to start it, and its process while it runs.
#[derive(Debug)]
pub struct Node {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    address: SocketAddr,
    peer_address: SocketAddr,
    process: Option<Child>,
}

impl Node {
    /// A node that is not started. Its data and logs live under `directory`.
    #[must_use]
    pub fn new(
        name: &str,
        binary: &Path,
        directory: &Path,
        addresses: (SocketAddr, SocketAddr),
        extra: &[String],
    ) -> Self {
        let (address, peer_address) = addresses;
        let data = directory.join(name);
        let mut arguments: Vec<String> = ["serve", "--name", name, "--data-dir"]
            .into_iter()
            .map(str::to_owned)
            .chain([data.display().to_string()])
            .collect();
        arguments.extend(["--listen".to_owned(), address.to_string()]);
        arguments.extend(["--peer-listen".to_owned(), peer_address.to_string()]);
        arguments.extend_from_slice(extra);
        Self {
            name: name.to_owned(),
            binary: binary.to_owned(),
            arguments,
            directory: directory.to_owned(),
            address,
            peer_address,
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
    pub fn data_directory(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Starts it, always with the same command line. Does not wait for anything.
    ///
    /// # Errors
    /// If it runs already or the process cannot be made.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} was started already", self.name);
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).stdin(Stdio::null());
        // The developer's own settings must not reach the node.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REMEX_") {
                command.env_remove(name);
            }
        }
        command.stdout(self.log_file("stdout")?).stderr(self.log_file("stderr")?);
        let process =
            command.spawn().with_context(|| format!("starting {}", self.binary.display()))?;
        self.process = Some(process);
        Ok(())
    }

    fn log_file(&self, stream: &str) -> anyhow::Result<File> {
        let path = self.log_path(stream);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))
    }

    fn log_path(&self, stream: &str) -> PathBuf {
        self.directory.join(format!("{}.{stream}", self.name))
    }

    /// Kills it as `kill -9` does and reaps it. Nothing happens if it does not run.
    ///
    /// # Errors
    /// If the process cannot be signalled or reaped.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill().with_context(|| format!("killing {}", self.name))?;
        process.wait().with_context(|| format!("reaping {}", self.name))?;
        Ok(())
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
        kill_process(Pid::from_child(process), signal)
            .with_context(|| format!("sending {signal:?} to {}", self.name))
    }

    /// Waits until it has exited by itself. A process that does not within `limit` is left
    /// running.
    ///
    /// # Errors
    /// If it does not run, or is still running after `limit`; shows its log.
    pub fn wait_exit(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            let process =
                self.process.as_mut().with_context(|| format!("{} is down", self.name))?;
            if let Some(status) = process.try_wait().context("asking for the exit status")? {
                self.process = None;
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} still runs after {limit:?}\n{}", self.name, self.log_tail());
            }
            thread::sleep(POLL_PAUSE);
        }
    }

    /// Waits until `/readyz` says that it takes requests.
    ///
    /// # Errors
    /// If it exits or takes longer than [`PATIENCE`]; shows its log.
    pub fn wait_ready(&mut self) -> anyhow::Result<()> {
        self.wait_reply("/readyz", |reply| reply.status == 200)
    }

    /// Asks for a path again and again until the answer is as it should be.
    ///
    /// # Errors
    /// If the node exits or takes longer than [`PATIENCE`]; shows the last answer and its log.
    pub fn wait_reply(
        &mut self,
        target: &str,
        is_right: impl Fn(&Reply) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = match self.look(target) {
                Ok(reply) if is_right(&reply) => return Ok(()),
                Ok(reply) => format!("{} {}", reply.status, reply.text()),
                Err(failure) => failure.to_string(),
            };
            let process =
                self.process.as_mut().with_context(|| format!("{} is down", self.name))?;
            if let Some(status) = process.try_wait().context("asking for the exit status")? {
                self.process = None;
                bail!("{} exited ({status}) before {target}\n{}", self.name, self.log_tail());
            }
            if Instant::now() >= deadline {
                let name = &self.name;
                bail!("{name} did not answer {target} well: {last}\n{}", self.log_tail());
            }
            thread::sleep(POLL_PAUSE);
        }
    }

    /// Asks for a path once, on a connection of its own.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn look(&self, target: &str) -> Result<Reply, Failure> {
        HttpClient::new(self.address, LOOK_TIMEOUT).get(target)
    }

    /// Everything that it wrote to standard error since its first start.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        let path = self.log_path("stderr");
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The end of both its outputs, for messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let mut text = String::new();
        for stream in ["stdout", "stderr"] {
            let bytes = fs::read(self.log_path(stream)).unwrap_or_default();
            let shown = &bytes[bytes.len().saturating_sub(LOG_BYTES_SHOWN)..];
            let shown = String::from_utf8_lossy(shown);
            text.push_str(&format!("--- {} {stream} ---\n{shown}\n", self.name));
        }
        text
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A process that cannot be killed is one that is gone.
        self.kill().ok();
    }
}
