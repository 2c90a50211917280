//! `remex get`: reads a key.

use clap::Args;
use remex_client::{Answer, Get as GetOptions};

use crate::cli::Globals;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::session::Session;

/// Read a key
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the value byte for byte. On a terminal a line break is added if the value does not end in
one; into a file or pipe go exactly the bytes that were stored.

Exit code 3 if the key does not exist; standard output is empty then.
Output: value (default), json (the API's object). With --meta: table on a terminal, else json.

Examples:
  remex get app/config
  remex get app/config --meta
  remex get app/config --rev 41
  remex get app/config -o json | jq .value
  remex get app/logo > logo.png")]
pub(crate) struct Get {
    /// The key
    key: String,
    /// Read the value as it was at this revision
    #[arg(long, value_name = "R", value_parser = crate::cli::revision)]
    rev: Option<u64>,
    /// Print revisions and version along with the value
    #[arg(long)]
    meta: bool,
}

impl Get {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let offered: &[Format] =
            if self.meta { &[Format::Table, Format::Json] } else { &[Format::Value, Format::Json] };
        let format = output::choose(globals.output, offered)?;
        let session = Session::open(globals)?;
        let mut get = GetOptions::new().consistency(globals.consistency.into());
        if let Some(revision) = self.rev {
            get = get.at_revision(revision);
        }
        if format == Format::Json {
            let answer = session.send(&get.meta().call(&self.key)?).await?;
            return output::document(&answer.body);
        }
        let answer = session.send(&get.call(&self.key)?).await?;
        if format == Format::Table {
            return output::write(described(&self.key, &answer).as_bytes());
        }
        output::write(&answer.body)?;
        if output::is_terminal() && !answer.body.ends_with(b"\n") {
            output::write(b"\n")?;
        }
        Ok(())
    }
}

/// The metadata, then the value, for people.
fn described(key: &str, answer: &Answer) -> String {
    let number = |header| answer.number(header).map_or_else(|| "?".to_owned(), |n| n.to_string());
    let rows = [
        ("key", output::on_a_line(key, usize::MAX)),
        ("revision", number("etag")),
        ("create revision", number("remex-create-revision")),
        ("version", number("remex-version")),
        ("type", answer.content_type().to_owned()),
        ("bytes", answer.body.len().to_string()),
    ];
    let mut text = output::table(&rows.map(|(name, value)| vec![name.to_owned(), value]));
    match std::str::from_utf8(&answer.body) {
        Ok(value) => {
            text.push('\n');
            for line in value.lines() {
                text.push_str(&output::on_a_line(line, usize::MAX));
                text.push('\n');
            }
        }
        Err(_) => text.push_str("\n(not text: use remex get KEY > FILE)\n"),
    }
    text
}
