//! `remex put`: writes a key.

use std::io::Read;

use clap::Args;
use remex_client::{Put as PutOptions, PutResult};

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::session::Session;

/// Longest value that is read from a file or standard input: what a server can be told to take
/// at most, and one byte to notice that there is more.
const VALUE_BYTES_MAX: u64 = remex_model::Limits::VALUE_BYTES_CEILING as u64 + 1;

/// Write a key
#[derive(Debug, Args)]
#[command(after_help = "\
What parses as JSON is stored as JSON, byte for byte; anything else as text or bytes.

Prints the revision of the write. Exit code 4 if the condition does not hold.
Output: value (default), json (the API's object).

Examples:
  remex put app/config '{\"replicas\": 3}'
  remex put app/logo @logo.png
  date | remex put app/deployed -
  remex put app/config '{\"replicas\": 5}' --if-rev 42
  remex put lock/job mine --if-absent
  remex put app/version 1.10 --raw")]
pub(crate) struct Put {
    /// The key
    key: String,
    /// The value; @FILE reads a file, - reads standard input
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// Write only if the key's last write has this revision
    #[arg(long, value_name = "R", value_parser = crate::cli::revision, conflicts_with = "if_absent")]
    if_rev: Option<u64>,
    /// Write only if the key does not exist
    #[arg(long)]
    if_absent: bool,
    /// Store the value as bytes even if it parses as JSON
    #[arg(long)]
    raw: bool,
}

impl Put {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Value, Format::Json])?;
        let session = Session::open(globals)?;
        let mut put = PutOptions::new();
        if let Some(revision) = self.if_rev {
            put = put.if_revision(revision);
        }
        if self.if_absent {
            put = put.if_absent();
        }
        if self.raw {
            put = put.content_type("application/octet-stream");
        }
        let value = read_value(&self.value)?;
        let answer = session.send(&put.call(&self.key, value)?).await?;
        if format == Format::Json {
            return output::document(&answer.body);
        }
        let result: PutResult = answer.json()?;
        output::line(&format!("revision {}", result.revision))
    }
}

fn read_value(text: &str) -> Result<Vec<u8>, Failure> {
    if text == "-" {
        return read(std::io::stdin().lock(), "standard input");
    }
    match text.strip_prefix('@') {
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|error| {
                Failure::usage(format!("cannot read {path}: {error}"))
                    .hint("a value that begins with @ is written to a file or standard input first")
            })?;
            read(file, path)
        }
        None => Ok(text.as_bytes().to_vec()),
    }
}

fn read(source: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    source
        .take(VALUE_BYTES_MAX)
        .read_to_end(&mut value)
        .map_err(|error| Failure::new(Exit::Failure, format!("cannot read {name}: {error}")))?;
    if value.len() as u64 == VALUE_BYTES_MAX {
        let max = VALUE_BYTES_MAX - 1;
        return Err(Failure::new(Exit::Failure, format!("{name} is longer than {max} bytes"))
            .hint("no server takes a longer value: split it"));
    }
    Ok(value)
}
