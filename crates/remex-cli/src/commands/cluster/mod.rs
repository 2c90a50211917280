//! `remex cluster`: who belongs to the cluster and who leads it, one file for each kind of change.

mod change;
mod members;
mod recover;

use clap::{Args, Subcommand};

use crate::cli::Globals;
use crate::exit::Failure;

pub(crate) use members::{ago, table};

/// Members and leadership: list, add, remove, promote, demote, transfer, recover
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
The membership changes one step at a time, and only if a reachable majority is left. A new node is
a learner first; it becomes a voter by itself when it has caught up.

Exit code 3 if there is no such member, 9 if the change was refused to protect data.

Examples:
  remex cluster members
  remex cluster add 10.0.0.4:7481
  remex cluster remove n1
  remex cluster transfer n2
  remex cluster recover --data-dir /var/lib/remex"
)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Members(members::Members),
    Add(change::Add),
    Remove(change::Remove),
    Promote(change::Promote),
    Demote(change::Demote),
    Transfer(change::Transfer),
    Recover(recover::Recover),
}

impl Cluster {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        match self.command {
            Command::Members(members) => members.run(globals).await,
            Command::Add(add) => add.run(globals).await,
            Command::Remove(remove) => remove.run(globals).await,
            Command::Promote(promote) => promote.run(globals).await,
            Command::Demote(demote) => demote.run(globals).await,
            Command::Transfer(transfer) => transfer.run(globals).await,
            Command::Recover(recover) => recover.run(globals),
        }
    }
}
