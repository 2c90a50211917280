//! `remex del`: deletes a key, or all keys under a prefix.

use std::io::IsTerminal;

use clap::Args;
use remex_client::{Answer, Delete, DeletePrefix, Deleted};

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::session::Session;

/// Delete a key, or all keys under a prefix
#[derive(Debug, Args)]
#[command(after_help = "\
A key that does not exist is no error: 0 keys are deleted. Deleting a prefix first counts the
keys and asks; without a terminal it needs --yes.

Exit code 4 if the condition does not hold, 9 if the deletion of a prefix was not confirmed.
Output: value (default), json (the API's object).

Examples:
  remex del app/config
  remex del app/config --if-rev 42
  remex del --prefix app/
  remex del --prefix tmp/ --yes
  remex del --prefix '' --yes")]
pub(crate) struct Del {
    /// The key
    #[arg(required_unless_present = "prefix")]
    key: Option<String>,
    /// Delete only if the key's last write has this revision
    #[arg(long, value_name = "R", value_parser = crate::cli::revision, conflicts_with = "prefix")]
    if_rev: Option<u64>,
    /// Delete all keys that begin with this; '' for every key
    #[arg(long, value_name = "P", conflicts_with = "key")]
    prefix: Option<String>,
}

impl Del {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Value, Format::Json])?;
        let session = Session::open(globals)?;
        let answer = match (&self.key, &self.prefix) {
            (_, Some(prefix)) => delete_prefix(&session, globals, prefix).await?,
            (Some(key), None) => {
                let mut delete = Delete::new();
                if let Some(revision) = self.if_rev {
                    delete = delete.if_revision(revision);
                }
                session.send(&delete.call(key)?).await?
            }
            (None, None) => return Err(Failure::usage("name a key, or a prefix with --prefix")),
        };
        if format == Format::Json {
            return output::document(&answer.body);
        }
        let result: Deleted = answer.json()?;
        output::line(&format!("deleted {}", result.deleted))
    }
}

async fn delete_prefix(
    session: &Session,
    globals: &Globals,
    prefix: &str,
) -> Result<Answer, Failure> {
    let mut delete = DeletePrefix::new();
    if prefix.is_empty() {
        delete = delete.all();
    }
    if !globals.yes {
        let counted: Deleted =
            session.send(&delete.clone().dry_run().call(prefix)).await?.json()?;
        confirm(counted.deleted, prefix)?;
    }
    Ok(session.send(&delete.call(prefix)).await?)
}

/// Asks on the terminal; refuses if there is none.
fn confirm(count: u64, prefix: &str) -> Result<(), Failure> {
    let keys = if count == 1 { "1 key".to_owned() } else { format!("{count} keys") };
    let what = match prefix {
        "" => format!("all {keys} of the store"),
        prefix => format!("{keys} under '{}'", output::on_a_line(prefix, 200)),
    };
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Protected, format!("would delete {what}"))
            .hint("add --yes to delete without being asked"));
    }
    output::confirm(&format!("Delete {what}? [y/N] "), &["y", "yes"], "nothing was deleted")
}
