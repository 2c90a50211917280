//! `remex snapshot`: the whole state as a file, one file for each thing done with it.

mod restore;
mod save;
mod verify;

use clap::{Args, Subcommand};

use crate::cli::Globals;
use crate::exit::Failure;

/// The whole state as a file: save, verify, restore
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
A snapshot sees every write that was acknowledged before it was asked for. Any node gives one, and
a new cluster can be founded from it.

Examples:
  remex snapshot save backup.snapshot
  remex snapshot verify backup.snapshot
  remex snapshot restore backup.snapshot --data-dir ./restored"
)]
pub(crate) struct Snapshot {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Save(save::Save),
    Verify(verify::Verify),
    Restore(restore::Restore),
}

impl Snapshot {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        match self.command {
            Command::Save(save) => save.run(globals).await,
            Command::Verify(verify) => verify.run(globals),
            Command::Restore(restore) => restore.run(globals),
        }
    }
}
