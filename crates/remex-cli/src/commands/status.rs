//! `remex status`: who leads, who is in, and what may still fail.

use clap::Args;
use remex_client::{Answer, Call, Cluster, Endpoint, Error, Member};

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::session::Session;

/// Who leads, who is in, and what may still fail
#[derive(Debug, Args)]
#[command(after_help = "\
Asks the endpoint, and then the leader, which alone knows how far the others are.

Exit code 6 if no endpoint answers, 8 if the cluster has no leader or no quorum.
Output: table on a terminal, else json (the API's object, as the leader gives it).

Examples:
  remex status
  remex status -e http://127.0.0.1:7490
  remex status -o json | jq .quorum")]
pub(crate) struct Status {}

impl Status {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Table, Format::Json])?;
        let session = Session::open(globals)?;
        let call = Call::read("/v1/cluster");
        let mut answer = session.send(&call).await?;
        let mut cluster: Cluster = answer.json()?;
        match ask_leader(globals, &call, &cluster, &answer).await {
            None => {}
            Some(Ok(theirs)) => {
                cluster = theirs.json()?;
                answer = theirs;
            }
            Some(Err(error)) if !globals.quiet => {
                let detail = &error.problem.detail;
                output::note(&format!("the leader cannot be asked, so lag is not known: {detail}"));
            }
            Some(Err(_)) => {}
        }
        match format {
            Format::Json => output::document(&answer.body)?,
            Format::Table | Format::Ndjson | Format::Value => {
                output::write(describe(&cluster, &answer.endpoint).as_bytes())?;
            }
        }
        verdict(&cluster)
    }
}

/// Asks the leader, if there is one and the endpoint is not it.
async fn ask_leader(
    globals: &Globals,
    call: &Call,
    cluster: &Cluster,
    answer: &Answer,
) -> Option<Result<Answer, Error>> {
    let leader = cluster.members.iter().find(|member| member.leader)?;
    if leader.client_url == answer.endpoint {
        return None;
    }
    let endpoint: Endpoint = leader.client_url.parse().ok()?;
    let session = Session::with(vec![endpoint], globals).ok()?;
    Some(session.send(call).await)
}

/// Whether the cluster can take writes now.
fn verdict(cluster: &Cluster) -> Result<(), Failure> {
    let quorum = cluster.quorum;
    if quorum.reachable < quorum.needed || cluster.leader.is_none() {
        // Said in the table already.
        let why = format!(
            "no quorum or no leader: {} of {} voters reachable, {} needed",
            quorum.reachable, quorum.voters, quorum.needed
        );
        return Err(Failure::new(Exit::CheckFailed, why)
            .hint("start the members that are not reachable; nothing acknowledged is lost"));
    }
    Ok(())
}

fn describe(cluster: &Cluster, endpoint: &str) -> String {
    let leader = cluster.members.iter().find(|member| member.leader);
    let rows = [
        ("cluster", cluster.id.clone().unwrap_or_else(|| "not formed yet".to_owned())),
        ("leader", leader.map_or("none".to_owned(), |leader| leader.name.clone())),
        ("term", cluster.term.to_string()),
        ("quorum", margin(cluster)),
        ("seen by", endpoint.to_owned()),
    ];
    let mut text = output::table(&rows.map(|(name, value)| vec![name.to_owned(), value]));
    let heading = ["MEMBER", "ROLE", "CLIENTS", "PEERS", "MATCH", "LAG", "LAST CONTACT", "VERSION"];
    let mut members = vec![heading.map(str::to_owned).to_vec()];
    members.extend(cluster.members.iter().map(row));
    text.push('\n');
    text.push_str(&output::table(&members));
    text
}

/// How many more voters may fail, in words.
fn margin(cluster: &Cluster) -> String {
    let quorum = cluster.quorum;
    let state = format!("{} of {} voters reachable", quorum.reachable, quorum.voters);
    match quorum.reachable.checked_sub(quorum.needed) {
        None => format!("LOST: {state}, {} needed", quorum.needed),
        Some(0) if quorum.voters == 1 => format!("{state}; a single node: can lose none"),
        Some(0) => format!("{state}; can lose none"),
        Some(margin) => format!("{state}; can lose {margin} more"),
    }
}

fn row(member: &Member) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let role = if member.leader { "leader" } else { &member.role };
    vec![
        member.name.clone(),
        role.to_owned(),
        or_dash(&member.client_url),
        or_dash(&member.peer_address),
        number(member.match_index),
        number(member.lag),
        member.last_contact_ms.map_or("never".to_owned(), ago),
        or_dash(member.version.as_deref().unwrap_or_default()),
    ]
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { output::on_a_line(text, 80) }
}

fn ago(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms ago"),
        1_000..120_000 => format!("{} s ago", ms / 1_000),
        _ => format!("{} min ago", ms / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(voters: usize, reachable: usize) -> Cluster {
        let needed = voters / 2 + 1;
        serde_json::from_value(serde_json::json!({
            "id": "c1", "term": 7, "leader": "a1",
            "quorum": {"voters": voters, "reachable": reachable, "needed": needed, "margin": null},
            "members": [
                {"id": "a1", "name": "n1", "role": "voter", "leader": true,
                 "client_url": "http://h:1", "peer_address": "h:2", "version": "0.1.0",
                 "match_index": 90, "lag": 0, "last_contact_ms": 0},
                {"id": "a2", "name": "n2", "role": "learner", "leader": false, "client_url": "",
                 "peer_address": "h:4", "version": null, "match_index": 80, "lag": 10,
                 "last_contact_ms": null},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn the_margin_is_said_in_words() {
        assert_eq!(margin(&cluster(3, 3)), "3 of 3 voters reachable; can lose 1 more");
        assert_eq!(margin(&cluster(3, 2)), "2 of 3 voters reachable; can lose none");
        assert_eq!(margin(&cluster(3, 1)), "LOST: 1 of 3 voters reachable, 2 needed");
        assert_eq!(margin(&cluster(5, 5)), "5 of 5 voters reachable; can lose 2 more");
        assert!(margin(&cluster(1, 1)).ends_with("a single node: can lose none"));
    }

    #[test]
    fn a_lost_quorum_is_a_failed_check() {
        assert_eq!(verdict(&cluster(3, 2)), Ok(()));
        assert_eq!(verdict(&cluster(3, 1)).unwrap_err().exit, Exit::CheckFailed);
        let leaderless = Cluster { leader: None, ..cluster(3, 3) };
        assert_eq!(verdict(&leaderless).unwrap_err().exit, Exit::CheckFailed);
    }

    #[test]
    fn members_are_a_table() {
        let text = describe(&cluster(3, 3), "http://h:1");
        assert!(text.contains("leader   n1\n"), "{text}");
        assert!(text.contains("n2      learner  -           h:4    80     10   never"), "{text}");
    }
}
