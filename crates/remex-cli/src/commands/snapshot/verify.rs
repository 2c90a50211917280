//! `remex snapshot verify`: reads a snapshot from its first byte to its last.

use std::path::PathBuf;

use clap::Args;
use remex::offline::{self, Summary};

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// Check a file from its first byte to its last
#[derive(Debug, Args)]
#[command(after_help = "\
Every part of a snapshot has a checksum. Needs no server.

Exit code 8 if the file is damaged, cut short, or no snapshot.
Output: table (default), json.

Examples:
  remex snapshot verify backup.snapshot
  remex snapshot verify backup.snapshot -o json | jq .revision")]
pub(crate) struct Verify {
    /// The file
    file: PathBuf,
}

impl Verify {
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        let offered = [Format::Table, Format::Json];
        // A table also where nobody looks: it is what the command is for.
        let format = globals
            .output
            .map_or(Ok(Format::Table), |asked| output::choose(Some(asked), &offered))?;
        crate::commands::readable(&self.file)?;
        let summary = offline::verify(&self.file).map_err(|error| {
            let message = format!("{} is not good: {error}", self.file.display());
            Failure::new(Exit::CheckFailed, message)
                .hint("take another snapshot: remex snapshot save FILE")
        })?;
        match format {
            Format::Json => output::line(&json(&summary)),
            Format::Table | Format::Ndjson | Format::Value => {
                output::write(described(&summary).as_bytes())
            }
        }
    }
}

fn members(summary: &Summary) -> Vec<String> {
    summary.header.membership.members().map(|(member, _)| member.name.clone()).collect()
}

fn json(summary: &Summary) -> String {
    let header = &summary.header;
    serde_json::json!({
        "cluster_id": header.cluster.to_string(),
        "revision": header.revision.get(),
        "index": header.index.get(),
        "term": header.term.get(),
        "members": members(summary),
        "rows": summary.rows,
        "bytes": summary.bytes,
    })
    .to_string()
}

fn described(summary: &Summary) -> String {
    let header = &summary.header;
    let rows = [
        ("good", "yes: every checksum holds".to_owned()),
        ("cluster", header.cluster.to_string()),
        ("revision", header.revision.to_string()),
        ("entry", format!("{} of term {}", header.index, header.term)),
        ("members", members(summary).join(", ")),
        ("rows", summary.rows.to_string()),
        ("size", output::size(summary.bytes)),
    ];
    output::table(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}
