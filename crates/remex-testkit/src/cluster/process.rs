//! One process of the program under test, with its outputs in files.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Pause between two looks at something that only shows by asking.
const POLL_PAUSE: Duration = Duration::from_millis(10);

/// How many bytes of each output a failure shows.
const LOG_BYTES_SHOWN: usize = 8 * 1024;

/// A running process and its two output files. Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    exited: Option<ExitStatus>,
    logs: Logs,
}

/// Where a program's outputs go: appended to `NAME.stdout` and `NAME.stderr`, so that they hold
/// the words of every run.
#[derive(Clone, Debug)]
pub struct Logs {
    stem: PathBuf,
}

impl Process {
    /// Starts a program. No `REMEX_*` variable of the developer's reaches it.
    ///
    /// # Errors
    /// If the process cannot be made or its output files cannot be opened.
    pub fn start<A: AsRef<str>>(
        program: &Path,
        arguments: &[A],
        logs: &Logs,
    ) -> anyhow::Result<Self> {
        Self::start_with(program, arguments, &[], logs)
    }

    /// As [`Process::start`], with these environment variables.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_with<A: AsRef<str>>(
        program: &Path,
        arguments: &[A],
        variables: &[(String, String)],
        logs: &Logs,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments.iter().map(AsRef::as_ref)).stdin(Stdio::null());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::launch(command, logs)
    }

    /// Starts what a command says, its working directory and standard input included. No `REMEX_*`
    /// variable of the developer's reaches it, unless the command sets it.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn launch(mut command: Command, logs: &Logs) -> anyhow::Result<Self> {
        for (name, _) in std::env::vars_os() {
            let is_set = command.get_envs().any(|(other, _)| other == name);
            if !is_set && name.to_string_lossy().starts_with("REMEX_") {
                command.env_remove(name);
            }
        }
        command.stdout(logs.open("stdout")?).stderr(logs.open("stderr")?);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("starting {program}"))?;
        Ok(Self { child, exited: None, logs: logs.clone() })
    }

    /// Its standard input, if the command made a pipe of it and nobody took it.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What it says.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does and reaps it. Nothing happens if it has exited.
    ///
    /// # Errors
    /// If the process cannot be signalled or reaped.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("sending SIGKILL")?;
        self.child.wait().context("reaping a killed process").map(drop)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it has exited.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        if let Some(status) = self.exited {
            bail!("the process has exited ({status})\n{}", self.logs.tail());
        }
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("sending {signal:?}"))
    }

    /// Its exit status if it has exited.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn exit_status(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().context("asking for the exit status")?;
        }
        Ok(self.exited)
    }

    /// Waits until it has exited by itself. A process that does not within `limit` is left
    /// running.
    ///
    /// # Errors
    /// If it is still running after `limit`; shows what it said.
    pub fn wait_exit(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("the process still runs after {limit:?}\n{}", self.logs.tail());
            }
            thread::sleep(POLL_PAUSE);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that cannot be killed is one that is gone.
        self.kill().ok();
    }
}

impl Logs {
    /// Output files `NAME.stdout` and `NAME.stderr` in a directory.
    #[must_use]
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { stem: directory.join(name) }
    }

    fn path(&self, stream: &str) -> PathBuf {
        self.stem.with_added_extension(stream)
    }

    fn open(&self, stream: &str) -> anyhow::Result<File> {
        let path = self.path(stream);
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&path);
        file.with_context(|| format!("opening {}", path.display()))
    }

    fn read(&self, stream: &str) -> anyhow::Result<String> {
        let path = self.path(stream);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Everything that was written to standard output.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn stdout(&self) -> anyhow::Result<String> {
        self.read("stdout")
    }

    /// Everything that was written to standard error.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn stderr(&self) -> anyhow::Result<String> {
        self.read("stderr")
    }

    /// The end of both outputs, for messages.
    #[must_use]
    pub fn tail(&self) -> String {
        let mut text = String::new();
        for stream in ["stdout", "stderr"] {
            let path = self.path(stream);
            let bytes = fs::read(&path).unwrap_or_default();
            let shown = &bytes[bytes.len().saturating_sub(LOG_BYTES_SHOWN)..];
            let shown = String::from_utf8_lossy(shown);
            text.push_str(&format!("--- {} ---\n{shown}\n", path.display()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Logs, Process) {
        let directory = tempfile::tempdir().unwrap();
        let logs = Logs::new(directory.path(), "sh.1");
        let process = Process::start(Path::new("/bin/sh"), &["-c", script], &logs).unwrap();
        (directory, logs, process)
    }

    #[test]
    fn outputs_and_exit_status_are_kept() {
        let (_directory, logs, mut process) = shell("echo out; echo err >&2; exit 3");
        let status = process.wait_exit(super::super::PATIENCE).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(
            (logs.stdout().unwrap().as_str(), logs.stderr().unwrap().as_str()),
            ("out\n", "err\n")
        );
        assert!(process.signal(Signal::TERM).unwrap_err().to_string().contains("exit"));
    }

    #[test]
    fn a_process_that_stays_is_killed_when_dropped() {
        let (_directory, _logs, mut process) = shell("while :; do sleep 60; done");
        assert!(process.wait_exit(Duration::ZERO).unwrap_err().to_string().contains("still runs"));
        process.signal(Signal::STOP).unwrap();
        process.kill().unwrap();
        assert!(!process.exit_status().unwrap().unwrap().success());
    }
}
