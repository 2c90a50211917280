//! `remex snapshot restore`: founds a new cluster from a snapshot.

use std::path::PathBuf;

use clap::Args;
use remex::{OpenError, offline};

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// Found a new cluster of one node from a file
#[derive(Debug, Args)]
#[command(after_help = "\
Makes a data directory with the state of the snapshot, for a cluster of one node with a new cluster
id. Start a node there; others join it. Needs no server.

Refuses a directory that holds anything (exit code 9). A snapshot that is not good is exit code 8.
Output: value (default): the new cluster's id; json.

Examples:
  remex snapshot restore backup.snapshot --data-dir /var/lib/remex
  remex snapshot restore backup.snapshot --data-dir ./restored --name n1
  remex serve --data-dir ./restored")]
pub(crate) struct Restore {
    /// The file
    file: PathBuf,
    /// The data directory to make
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Label of the node; by default the host name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl Restore {
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Value, Format::Json])?;
        if let Some(name) = &self.name {
            crate::settings::check_name(name)
                .map_err(|why| Failure::usage(format!("--name: '{name}' {why}")))?;
        }
        crate::commands::readable(&self.file)?;
        let restored = offline::restore(&self.file, &self.data_dir, self.name);
        let founded = restored.map_err(|error| match error {
            OpenError::Recovery(message) => Failure::new(Exit::CheckFailed, message),
            other => other.into(),
        })?;
        if format == Format::Json {
            return output::line(&crate::commands::founded_json(&founded));
        }
        output::line(&founded.cluster.to_string())?;
        if !globals.quiet {
            let directory = self.data_dir.display();
            output::note(&format!(
                "{} is the only member of the new cluster {}, at revision {}\nStart it: \
                 remex serve --name {} --data-dir {directory}",
                founded.name, founded.cluster, founded.revision, founded.name
            ));
        }
        Ok(())
    }
}
