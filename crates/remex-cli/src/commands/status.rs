//! `remex status`: who leads, who is in, and what may still fail.

use std::collections::BTreeSet;

use clap::Args;
use remex_client::{Answer, Call, Cluster, Endpoint, Error, Member};

use super::cluster::{ago, table};
use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::session::Session;

/// A member that was not heard of for this long is most likely down.
const SILENCE_MAX_MS: u64 = 5_000;
/// A member that is further behind than this does not keep up.
const LAG_MAX: u64 = 10_000;

/// Who leads, who is in, and what may still fail
#[derive(Debug, Args)]
#[command(after_help = "\
Asks the endpoint, and then the leader, which alone knows how far the others are. Lines that begin
with ! say what is wrong and what to run.

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
    if cluster.id.is_none() {
        let why = "the node belongs to no cluster yet";
        return Err(Failure::new(Exit::CheckFailed, why).hint("invite it, or start it with --join"));
    }
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
    text.push('\n');
    text.push_str(&table(&cluster.members));
    let troubles = troubles(cluster);
    if !troubles.is_empty() {
        text.push('\n');
        for trouble in troubles {
            text.push_str(&format!("! {trouble}\n"));
        }
    }
    text
}

/// What is wrong, and what to run, a line each.
fn troubles(cluster: &Cluster) -> Vec<String> {
    let mut lines = Vec::new();
    let quorum = cluster.quorum;
    if cluster.id.is_none() {
        let here = cluster.members.first().map_or("HOST:PORT", |node| node.peer_address.as_str());
        let fix = format!(
            "invite it through a member: remex cluster add {} -e MEMBER; or start it with --join",
            output::on_a_line(here, 80)
        );
        // Nobody else is known, and the node itself has just answered.
        return vec![format!("this node belongs to no cluster yet; {fix}")];
    } else if quorum.reachable < quorum.needed {
        let missing = quorum.needed - quorum.reachable;
        lines.push(format!(
            "no writes: start {missing} more of the members below; if they are lost for good: \
             remex cluster recover --help"
        ));
    } else if cluster.leader.is_none() {
        lines.push("no leader: an election is on; if it lasts: remex health --wait".to_owned());
    }
    if cluster.changing {
        lines.push("a change of the membership is under way; others wait for it".to_owned());
    }
    for member in &cluster.members {
        let name = output::on_a_line(&member.name, 80);
        if let Some(silence) = silence(member) {
            lines.push(format!(
                "{name} {silence}; start it, or if it is gone for good: remex cluster remove {name}"
            ));
        }
        if member.disk.is_some_and(|disk| disk.full) {
            lines.push(format!("{name} has a full disk: free space there, or delete keys"));
        }
        if member.lag.is_some_and(|lag| lag > LAG_MAX) {
            let lag = member.lag.unwrap_or_default();
            lines.push(format!("{name} is {lag} entries behind; look at its disk and its log"));
        }
    }
    let versions: BTreeSet<&str> =
        cluster.members.iter().filter_map(|member| member.version.as_deref()).collect();
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.into_iter().collect();
        lines.push(format!("the members run different versions: {}", versions.join(", ")));
    }
    lines
}

/// What is said of a member that is not heard.
fn silence(member: &Member) -> Option<String> {
    match member.last_contact_ms {
        None if member.awaited => None,
        None => Some("was never heard of".to_owned()),
        Some(ms) if ms > SILENCE_MAX_MS => Some(format!("was last heard of {}", ago(ms))),
        Some(_) => None,
    }
}

/// How many more voters may fail, in words.
fn margin(cluster: &Cluster) -> String {
    if cluster.id.is_none() {
        return "none yet".to_owned();
    }
    let quorum = cluster.quorum;
    let state = format!("{} of {} voters reachable", quorum.reachable, quorum.voters);
    match quorum.reachable.checked_sub(quorum.needed) {
        None => format!("LOST: {state}, {} needed", quorum.needed),
        Some(0) if quorum.voters == 1 => format!("{state}; a single node: can lose none"),
        Some(0) => format!("{state}; can lose none"),
        Some(margin) => format!("{state}; can lose {margin} more"),
    }
}

#[cfg(test)]
mod tests {
    use remex_client::Disk;

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
    fn what_is_wrong_is_said_with_what_to_run() {
        let mut cluster = cluster(3, 3);
        cluster.members[1].awaited = true;
        assert_eq!(troubles(&cluster), Vec::<String>::new(), "nobody expects to hear of it");
        cluster.members[1].awaited = false;
        cluster.members[1].last_contact_ms = Some(20);
        assert_eq!(troubles(&cluster), Vec::<String>::new());

        cluster.changing = true;
        cluster.members[0].disk = Some(Disk { full: true, ..Disk::default() });
        cluster.members[1].last_contact_ms = Some(180_000);
        cluster.members[1].lag = Some(LAG_MAX + 1);
        cluster.members[1].version = Some("0.2.0".to_owned());
        let text = troubles(&cluster).join("\n");
        for part in [
            "under way",
            "n1 has a full disk",
            "n2 was last heard of 3 min ago",
            "remex cluster remove n2",
            "10001 entries behind",
            "0.1.0, 0.2.0",
        ] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        cluster.quorum.reachable = 1;
        assert!(troubles(&cluster)[0].contains("remex cluster recover"));
    }

    #[test]
    fn a_node_without_a_cluster_is_not_told_to_be_started_or_removed() {
        let mut cluster = cluster(0, 0);
        cluster.id = None;
        cluster.leader = None;
        cluster.members.remove(0);
        let text = describe(&cluster, "http://h:3");
        assert!(text.contains("quorum   none yet\n"), "{text}");
        assert!(text.contains("\n! this node belongs to no cluster yet; invite it"), "{text}");
        assert!(text.contains("remex cluster add h:4 -e MEMBER"), "{text}");
        assert!(!text.contains("was never heard of"), "{text}");
        let failure = verdict(&cluster).unwrap_err();
        assert_eq!(
            (failure.exit, failure.message.as_str()),
            (Exit::CheckFailed, "the node belongs to no cluster yet")
        );
    }

    #[test]
    fn the_page_names_leader_quorum_members_and_troubles() {
        let text = describe(&cluster(3, 3), "http://h:1");
        assert!(text.contains("leader   n1\n"), "{text}");
        assert!(text.contains("n2      a2  learner  -"), "{text}");
        assert!(
            text.ends_with(
                "! n2 was never heard of; start it, or if it is gone for good: \
            remex cluster remove n2\n"
            ),
            "{text}"
        );
    }
}
