//! `remex as`: takes the command line of another store, and behaves as that store does.
//!
//! Five programs are imitated, a file or folder each. Such a file reads the words exactly as its
//! program reads them, and makes a [`Plan`] of them: settings of `remex serve`, and what happens
//! before and after. Then there is one road: the plan says once what the native command line would
//! be, and what was taken but means nothing here, and starts the same server as `remex serve`.
//!
//! What holds for all of them:
//! - The words are taken raw. Options of `remex` itself stand before the name of the program.
//! - The other settings of a server still come from `REMEX_*` variables and from the file that
//!   `REMEX_CONFIG` names.
//! - Relative paths are relative to the working directory, and the same command line is right for
//!   every restart.
//! - A mistake in the words ends with the exit code of the imitated program, which is 1, or 2 where
//!   Go's `flag` package finds it.
//!
//! The dialects that the imitated programs speak are in `remex-http`; nothing of them is here.

mod address;
mod carry_out;
mod go_flags;
mod hraftd;
mod machine;
mod plan;
mod raft;
mod raft_example;
mod raftexample;
mod tailfeather;

use std::ffi::OsString;

use clap::Args;

use self::machine::{Machine, ThisMachine};
use self::plan::Plan;
use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output;

/// Run a node by the command line of another store
#[derive(Debug, Args)]
#[command(
    name = "as",
    override_usage = "remex as SYSTEM [ITS OWN OPTIONS]",
    after_help = "\
Systems: tailfeather, raft-example, hraftd, raftexample, raft. `remex as SYSTEM --help` lists the
options of one. They are taken verbatim, and the node behaves as that system does; it serves
Remex's own API as well. The equivalent command line of remex serve is said on standard error.
Options of remex itself stand before the system's name; REMEX_* variables set everything else.

Examples:
  remex as tailfeather --port=9079 --DataPath=One --Name=One --Bootstrap
  remex as raft-example --node-id node1 --raft-port 2222 --http-port 8222
  remex as hraftd -id node0 ./node0
  remex as raftexample --id 1 --cluster http://127.0.0.1:12379 --port 12380
  remex as raft --help"
)]
pub(crate) struct As {
    /// The system, then its own options
    // What follows the first word is not looked at: `-id` is no cluster of our short options.
    #[arg(
        value_name = "SYSTEM",
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

/// A program that is imitated.
struct System {
    /// Its name, which is that of its dialect too.
    name: &'static str,
    /// Its options, as it lists them itself.
    help: fn() -> String,
    /// Makes a plan of its options.
    plan: fn(&[String], &dyn Machine) -> Result<Plan, Failure>,
}

/// All programs that are imitated.
const SYSTEMS: [System; 5] = [
    System { name: "tailfeather", help: tailfeather::help, plan: tailfeather::plan },
    System { name: "raft-example", help: raft_example::help, plan: raft_example::plan },
    System { name: "hraftd", help: hraftd::help, plan: hraftd::plan },
    System { name: "raftexample", help: raftexample::help, plan: raftexample::plan },
    System { name: "raft", help: raft::help, plan: raft::plan },
];

impl As {
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        let mut words = Vec::with_capacity(self.words.len());
        for word in self.words {
            words.push(word.into_string().map_err(|word| {
                Failure::usage(format!("'{}' is not UTF-8", word.to_string_lossy()))
            })?);
        }
        let name = words.remove(0);
        let names = || SYSTEMS.map(|system| system.name).join(", ");
        let system = SYSTEMS.iter().find(|system| system.name == name).ok_or_else(|| {
            Failure::usage(format!("'{name}' is no system that remex imitates"))
                .hint(format!("it imitates {}", names()))
        })?;
        if asks_for_help(&words) {
            return output::write((system.help)().as_bytes());
        }
        let plan = (system.plan)(&words, &ThisMachine).map_err(|failure| {
            // Go's mistakes have been said already, with the flags.
            if failure.message.is_empty() {
                return failure;
            }
            failure.hint(format!("run: remex as {name} --help"))
        })?;
        carry_out::carry_out(plan, globals)
    }
}

/// Whether the options are to be shown. Some of the imitated programs have no such option; none has
/// one of these names that means something else.
fn asks_for_help(words: &[String]) -> bool {
    let ended = words.iter().take_while(|word| *word != "--");
    ended.into_iter().any(|word| matches!(word.as_str(), "--help" | "-help" | "-h"))
}

/// A mistake that the imitated program ends over with exit code 1.
fn mistake(message: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failure, message)
}

/// The words of a command line in which no blank is quoted.
#[cfg(test)]
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_help_names_the_program_and_its_options() {
        for (system, option) in SYSTEMS.iter().zip([
            "--DataPath",
            "--raft-port",
            "-raddr",
            "-cluster",
            "-raft-state-path",
        ]) {
            let help = (system.help)();
            assert!(help.starts_with("Usage"), "{help}");
            assert!(help.contains(option) && help.ends_with('\n'), "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 120), "{help}");
        }
    }

    #[test]
    fn help_is_asked_for_in_every_way() {
        let asks = |line| asks_for_help(&words(line));
        assert!(asks("-id a --help") && asks("-h") && asks("-help"));
        assert!(!asks("-id help") && !asks("-- --help") && !asks(""));
    }
}
