//! `remex ls`: lists keys.

use clap::Args;
use remex_client::{Item, List, Page};
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::Globals;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::session::Session;

/// Keys that are asked for at a time.
const PAGE_KEYS: usize = 1000;
/// Characters of a value that a table shows.
const VALUE_CHARS: usize = 60;

/// List keys
#[derive(Debug, Args)]
#[command(after_help = "\
All pages are read at one revision, so that the listing is consistent however long it takes.

Output: table on a terminal, else ndjson; json prints the API's object of each page on a line;
value prints one key a line, as --keys does.

Examples:
  remex ls
  remex ls app/ --limit 20
  remex ls app/ --keys | wc -l
  remex ls app/ -o ndjson | jq -r .key")]
pub(crate) struct Ls {
    /// List only keys that begin with this
    #[arg(default_value = "")]
    prefix: String,
    /// Print only the keys, one a line
    #[arg(long)]
    keys: bool,
    /// Stop after this many keys
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

impl Ls {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let offered: &[Format] = if self.keys {
            &[Format::Value, Format::Ndjson, Format::Json]
        } else {
            &[Format::Table, Format::Ndjson, Format::Json, Format::Value]
        };
        let format = output::choose(globals.output, offered)?;
        let session = Session::open(globals)?;
        let keys_only = self.keys || format == Format::Value;
        let mut rows = Vec::new();
        let mut cursor = None;
        let mut left = self.limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        while left > 0 {
            let mut list =
                List::new().limit(left.min(PAGE_KEYS)).consistency(globals.consistency.into());
            if keys_only {
                list = list.keys_only();
            }
            if let Some(cursor) = cursor {
                list = list.cursor(cursor);
            }
            let answer = session.send(&list.call(&self.prefix)).await?;
            let page: Page = answer.json()?;
            match format {
                Format::Json => output::document(&answer.body)?,
                Format::Value => output::write(keys(&page.items).as_bytes())?,
                Format::Ndjson => output::write(lines(&page.items).as_bytes())?,
                Format::Table => rows.extend(page.items.iter().map(row)),
            }
            left = left.saturating_sub(page.items.len());
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if format == Format::Table {
            let heading = ["KEY", "REVISION", "VERSION", "VALUE"].map(str::to_owned).to_vec();
            rows.insert(0, heading);
            output::write(output::table(&rows).as_bytes())?;
        }
        let found = rows.len().saturating_sub(1);
        if format == Format::Table && cursor.is_some() && !globals.quiet {
            output::note(&format!("{found} keys shown, more follow (--limit)"));
        }
        Ok(())
    }
}

fn row(item: &Item) -> Vec<String> {
    let value = item.value.as_ref().map_or("", |value| value.get());
    vec![
        output::on_a_line(&item.key.to_string(), usize::MAX),
        item.revision.to_string(),
        item.version.to_string(),
        output::on_a_line(value, VALUE_CHARS),
    ]
}

fn keys(items: &[Item]) -> String {
    items.iter().map(|item| format!("{}\n", item.key)).collect()
}

/// One object a line. The value is put in as it came, so that its digits survive.
fn lines(items: &[Item]) -> String {
    items.iter().map(line).collect()
}

fn line(item: &Item) -> String {
    let key = json!(item.key.to_string());
    let (revision, version) = (item.revision, item.version);
    match item.value.as_ref().map(|value| on_one_line(value)) {
        Some(value) => format!(
            "{{\"key\":{key},\"value\":{value},\"revision\":{revision},\"version\":{version}}}\n"
        ),
        None => format!("{{\"key\":{key},\"revision\":{revision},\"version\":{version}}}\n"),
    }
}

/// JSON without the line breaks between its tokens; strings cannot hold any unescaped.
fn on_one_line(value: &RawValue) -> String {
    value.get().replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_the_digits_and_stay_lines() {
        let text = "{\"revision\":5,\"items\":[{\"key\":\"a\\n\\\"\",\"value\":{\n\"n\": 1.50},\
                    \"revision\":4,\"version\":2},{\"key\":\"b\",\"revision\":5,\"version\":1}]}";
        let page: Page = serde_json::from_str(text).unwrap();
        assert_eq!(
            lines(&page.items),
            "{\"key\":\"a\\n\\\"\",\"value\":{ \"n\": 1.50},\"revision\":4,\"version\":2}\n\
             {\"key\":\"b\",\"revision\":5,\"version\":1}\n"
        );
    }
}
