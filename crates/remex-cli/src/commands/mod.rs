//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod del;
pub(crate) mod dev;
pub(crate) mod get;
pub(crate) mod ls;
pub(crate) mod put;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod version;

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Carries out what was typed.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let globals = &cli.globals;
    match cli.command {
        Command::Serve(serve) => serve.run(globals),
        Command::Dev(dev) => dev.run(globals),
        Command::Get(get) => interruptible(get.run(globals)),
        Command::Put(put) => interruptible(put.run(globals)),
        Command::Del(del) => interruptible(del.run(globals)),
        Command::Ls(ls) => interruptible(ls.run(globals)),
        Command::Status(status) => interruptible(status.run(globals)),
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
