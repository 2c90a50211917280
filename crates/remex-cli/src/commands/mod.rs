//! The commands, one file or folder each.

mod banner;
pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod del;
pub(crate) mod dev;
pub(crate) mod get;
pub(crate) mod health;
pub(crate) mod imitate;
mod join;
pub(crate) mod ls;
mod neighbors;
pub(crate) mod put;
pub(crate) mod serve;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod version;

use std::future::Future;
use std::path::Path;

use remex::offline::Founded;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Carries out what was typed.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let globals = &cli.globals;
    match cli.command {
        Command::Serve(serve) => serve.run(globals),
        Command::Dev(dev) => dev.run(globals),
        Command::As(imitated) => imitated.run(globals),
        Command::Get(get) => interruptible(get.run(globals)),
        Command::Put(put) => interruptible(put.run(globals)),
        Command::Del(del) => interruptible(del.run(globals)),
        Command::Ls(ls) => interruptible(ls.run(globals)),
        Command::Status(status) => interruptible(status.run(globals)),
        Command::Health(health) => interruptible(health.run(globals)),
        Command::Cluster(cluster) => interruptible(cluster.run(globals)),
        Command::Snapshot(snapshot) => interruptible(snapshot.run(globals)),
        Command::Bench(bench) => interruptible(bench.run(globals)),
        Command::Version(version) => version.run(globals),
    }
}

/// Runs a command until it is done or Ctrl-C is pressed.
fn interruptible(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime(Builder::new_current_thread().enable_all())?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = work => result,
            _ = tokio::signal::ctrl_c() => Err(Failure::silent(Exit::Interrupted)),
        }
    });
    // A read of the terminal may still be waiting on a thread of the runtime.
    runtime.shutdown_background();
    result
}

fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder
        .build()
        .map_err(|error| Failure::new(Exit::Failure, format!("cannot start a runtime: {error}")))
}

/// Checks that a file is there to be read: that it is not is a mistake of typing, not damage.
fn readable(file: &Path) -> Result<(), Failure> {
    match std::fs::File::open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(format!("cannot read {}: {error}", file.display()))
            .hint("name a file that a snapshot was saved to: remex snapshot verify --help")),
    }
}

/// A cluster that was founded without a server, as JSON.
fn founded_json(founded: &Founded) -> String {
    serde_json::json!({
        "cluster_id": founded.cluster.to_string(),
        "node_id": founded.node.to_string(),
        "name": founded.name,
        "revision": founded.revision.get(),
        "index": founded.index.get(),
    })
    .to_string()
}
