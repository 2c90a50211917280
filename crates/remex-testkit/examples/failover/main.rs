//! How long clients feel the death of a leader, and how long a restart takes; beside etcd where it
//! is found.
//!
//! ```text
//! cargo xtask failover [--etcd PATH] [--rounds N] [--keys N]
//! ```
//!
//! **Failover**: three nodes under load by clients that each prefer one node, two for each. A
//! client's request is a put with a key of its own; a refusal or a broken connection sends the same
//! put to the next node, until it is acknowledged. The leader is killed with `kill -9`, or falls silent
//! (SIGSTOP, which nobody is told of, as when a machine hangs or a cable is pulled), and the load goes
//! on until it is over. Of each round the longest request of any client is told, the longest of
//! clients that prefer a node that lives, and the longest time without an acknowledged write.
//!
//! **Restart**: one node with many keys of 256 bytes is killed with `kill -9` and started; told are
//! the time until a put is acknowledged, and the memory at that moment and at its highest.

#![expect(clippy::print_stdout, reason = "the tables are what this program is for")]

mod restart;
mod rounds;
mod systems;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

use rounds::Loss;
use systems::{Etcd, System, remex};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is measured.
struct Arguments {
    remex: PathBuf,
    etcd: Option<PathBuf>,
    rounds: usize,
    keys: usize,
}

impl Arguments {
    fn read() -> anyhow::Result<Self> {
        let (mut remex, mut etcd, mut rounds, mut keys) = (None, None, 10, 1_000_000);
        let mut arguments = std::env::args().skip(1);
        while let Some(flag) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--remex" => remex = Some(PathBuf::from(value)),
                "--etcd" => etcd = Some(PathBuf::from(value)),
                "--rounds" => rounds = value.parse().context("--rounds")?,
                "--keys" => keys = value.parse().context("--keys")?,
                _ => bail!("unknown: {flag}"),
            }
        }
        let remex = remex.context("--remex PATH is missing: cargo xtask failover gives it")?;
        Ok(Self { remex, etcd: etcd.or_else(find_etcd), rounds, keys })
    }
}

/// The `etcd` that the shell would find.
fn find_etcd() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|file| file.is_file())
}

fn main() -> anyhow::Result<()> {
    let Arguments { remex: binary, etcd, rounds, keys } = Arguments::read()?;
    if etcd.is_none() {
        println!("etcd is not in PATH: add --etcd PATH to measure beside it\n");
    }
    if rounds > 0 {
        println!("{}", rounds::HEADING);
        for loss in [Loss::Killed, Loss::Silent] {
            rounds::measure("remex", &mut remex(&binary, 3)?, rounds, loss)?;
            if let Some(etcd) = &etcd {
                rounds::measure("etcd", &mut Etcd::start(etcd, 3)?, rounds, loss)?;
            }
        }
    }
    if keys > 0 {
        println!("\n{}", restart::HEADING);
        restart::measure("remex", &mut remex(&binary, 1)?, keys)?;
        if let Some(etcd) = &etcd {
            restart::measure("etcd", &mut Etcd::start(etcd, 1)?, keys)?;
        }
    }
    Ok(())
}

/// Milliseconds, for people.
fn ms(duration: Duration) -> String {
    format!("{:.0}", duration.as_secs_f64() * 1000.0)
}

/// The middle one, and the largest.
fn summary(mut durations: Vec<Duration>) -> Option<(Duration, Duration)> {
    durations.sort_unstable();
    Some((*durations.get(durations.len() / 2)?, *durations.last()?))
}

/// Waits until some node leads.
fn wait_leader(system: &dyn System) -> anyhow::Result<usize> {
    let mut patience = remex_testkit::cluster::Patience::default();
    loop {
        if let Some(leader) = system.leader() {
            return Ok(leader);
        }
        anyhow::ensure!(patience.pause(), "no node leads");
    }
}
