//! The command line without a cluster: arguments, output, exit codes, help. Where a server is
//! needed, one that follows a script answers, or a single real node.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]

mod cluster;
mod data;
mod fake;
mod help;
mod node;
mod notify;
mod server;

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The program under test.
fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_remex")
}

/// The program without any setting of the environment.
fn remex(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REMEX_")) {
        command.env_remove(name);
    }
    command
}

/// What a run came to.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Ran {
    fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Checks code and standard output.
    #[track_caller]
    fn expect(&self, code: i32, stdout: &str) -> &Self {
        assert_eq!((self.code, self.stdout()), (Some(code), stdout), "{self:?}");
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn run(arguments: &[&str]) -> Ran {
    remex(arguments).output().unwrap().into()
}

/// Runs with this on standard input.
fn run_with_input(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = remex(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}
