//! `remex cluster members`: the list, and the table that `remex status` shows too.

use clap::Args;
use remex_client::{Call, Member, Members as List};

use crate::cli::Globals;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::session::Session;

/// List the members
#[derive(Debug, Args)]
#[command(after_help = "\
MATCH and LAG (entries) are known to the leader alone: remex status asks it.

Output: table on a terminal, else json (the API's object).

Examples:
  remex cluster members
  remex cluster members -o json | jq -r '.members[] | select(.role == \"learner\").name'")]
pub(crate) struct Members {}

impl Members {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Table, Format::Json])?;
        let session = Session::open(globals)?;
        let answer = session.send(&Call::read("/v1/cluster/members")).await?;
        if format == Format::Json {
            return output::document(&answer.body);
        }
        let list: List = answer.json()?;
        output::write(table(&list.members).as_bytes())
    }
}

/// The members in columns.
pub(crate) fn table(members: &[Member]) -> String {
    let heading = [
        "MEMBER",
        "ID",
        "ROLE",
        "CLIENTS",
        "PEERS",
        "MATCH",
        "LAG",
        "LAST CONTACT",
        "DISK USED",
        "FREE",
        "VERSION",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(members.iter().map(row));
    output::table(&rows)
}

fn row(member: &Member) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let role = if member.leader { "leader" } else { &member.role };
    let disk = member.disk;
    let free = |disk: remex_client::Disk| {
        let full = if disk.full { " FULL" } else { "" };
        format!("{}{full}", output::size(disk.free_bytes))
    };
    vec![
        or_dash(&member.name),
        or_dash(&member.id),
        role.to_owned(),
        or_dash(&member.client_url),
        or_dash(&member.peer_address),
        number(member.match_index),
        number(member.lag),
        match member.last_contact_ms {
            None if member.awaited => "awaited".to_owned(),
            None => "never".to_owned(),
            Some(ms) => ago(ms),
        },
        disk.map_or("-".to_owned(), |disk| output::size(disk.used_bytes)),
        disk.map_or("-".to_owned(), free),
        or_dash(member.version.as_deref().unwrap_or_default()),
    ]
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { output::on_a_line(text, 80) }
}

/// How long ago, for people.
pub(crate) fn ago(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms ago"),
        1_000..120_000 => format!("{} s ago", ms / 1_000),
        _ => format!("{} min ago", ms / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_a_table() {
        let members: Vec<Member> = serde_json::from_value(serde_json::json!([
            {"id": "a1", "name": "n1", "role": "voter", "leader": true,
             "client_url": "http://h:1", "peer_address": "h:2", "version": "0.1.0",
             "match_index": 90, "lag": 0, "last_contact_ms": 0,
             "disk": {"used_bytes": 67108864, "free_bytes": 1024, "full": true}},
            {"id": "a2", "name": "n2", "role": "learner", "leader": false, "client_url": "",
             "peer_address": "h:4", "version": null, "match_index": 80, "lag": 10,
             "last_contact_ms": null, "disk": null},
            {"id": "a3", "name": "n3", "role": "learner", "auto_promote": true, "awaited": true,
             "peer_address": "h:6"},
        ]))
        .unwrap();
        assert_eq!(
            table(&members),
            "\
MEMBER  ID  ROLE     CLIENTS     PEERS  MATCH  LAG  LAST CONTACT  DISK USED  FREE          VERSION
n1      a1  leader   http://h:1  h:2    90     0    0 ms ago      64.0 MiB   1.0 KiB FULL  0.1.0
n2      a2  learner  -           h:4    80     10   never         -          -             -
n3      a3  learner  -           h:6    -      -    awaited       -          -             -
"
        );
    }
}
