//! `remex version`: the version of this program.

use clap::Args;

use crate::cli::Globals;
use crate::exit::Failure;
use crate::output::{self, Format};

/// Print the version
#[derive(Debug, Args)]
#[command(after_help = "\
Output: value (default), json. The version of a node: curl http://127.0.0.1:7480/version

Examples:
  remex version
  remex version -o json")]
pub(crate) struct Version {}

impl Version {
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        let version = env!("CARGO_PKG_VERSION");
        match output::choose(globals.output, &[Format::Value, Format::Json])? {
            Format::Json => output::line(&serde_json::json!({ "version": version }).to_string()),
            Format::Value | Format::Table | Format::Ndjson => {
                output::line(&format!("remex {version}"))
            }
        }
    }
}
