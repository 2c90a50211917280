//! The client of TailFeather's API: whom it believes, what it repeats, how far it follows.

use remex_client::tailfeather::TailFeatherClient;
use remex_client::{Code, Outcome};

use crate::script::{Script, Seen, Step};

const NO_LEADER: &str = r#"{"Error":"No current leader, try again later"}"#;
const DEFECT: &str = r#"{"Error":"a defect; it may still have happened"}"#;

/// What a node answers that believes the leader at this address.
fn flock(leader: &str, commit_index: u64) -> &'static str {
    format!(
        r#"{{"CurrentLeader":"L","CommitIndex":{commit_index},
        "AllVotingNodes":[{{"Name":"L","Uri":"http://{leader}"}}]}}"#
    )
    .leak()
}

fn starts(seen: &[Seen]) -> Vec<&str> {
    seen.iter().filter_map(|one| one.head.split(" HTTP").next()).collect()
}

#[tokio::test]
async fn t23_the_highest_commit_index_wins_and_a_write_is_repeated_only_if_it_was_refused() {
    // Where it leads is known only once it runs, so that it answers with the address of nobody:
    // the one that knows more is believed.
    let leader = Script::start(vec![
        Step::Reply("412 Precondition Failed", NO_LEADER),
        Step::Reply("200 OK", flock("127.0.0.1:9", 7)),
        Step::Reply("202 Accepted", ""),
        Step::Reply("500 Internal Server Error", DEFECT),
    ]);
    let behind = flock("127.0.0.1:9", 5);
    let behind = Script::start(vec![Step::Reply("200 OK", behind), Step::Reply("200 OK", behind)]);
    let ahead = flock(&leader.address, 9);
    let ahead = Script::start(vec![Step::Reply("200 OK", ahead), Step::Reply("200 OK", ahead)]);
    let client = TailFeatherClient::new([&behind.address, &ahead.address]).unwrap();

    client.set("k", &1).await.unwrap();
    let error = client.remove("k").await.unwrap_err();
    assert_eq!((error.status, error.outcome), (Some(500), Outcome::Unknown));
    assert!(error.problem.detail.contains("may still have happened"), "{error}");

    let seen = leader.seen().await;
    let (batch, asked) = ("POST /tailfeather/key-val/batch", "GET /tailfeather/admin/flock");
    assert_eq!(starts(&seen), [batch, asked, batch, batch]);
    assert_eq!(seen[0].body, r#"[{"Type":"Add","Key":"k","Value":1}]"#);
    assert_eq!(seen[2].body, seen[0].body);
    assert_eq!(seen[3].body, r#"[{"Type":"Del","Key":"k"}]"#);
    assert_eq!(starts(&behind.seen().await), [asked, asked]);
    assert_eq!(starts(&ahead.seen().await), [asked, asked]);
}

#[tokio::test]
async fn t23_a_redirect_is_followed_as_it_was_sent_and_not_for_ever() {
    let leader = Script::start(vec![
        Step::Reply("202 Accepted", ""),
        Step::Reply("404 Not Found", r#"{"State":"Leader","Key":"k","Missing":true}"#),
    ]);
    let moved = format!(
        "307 Temporary Redirect\r\nlocation: http://{}/tailfeather/key-val/batch",
        leader.address
    );
    let follower = Script::start(vec![
        Step::Reply("200 OK", r#"{"CurrentLeader":null,"CommitIndex":1}"#),
        Step::Reply(moved.leak(), ""),
    ]);
    let client = TailFeatherClient::new([&follower.address]).unwrap();
    client.set("k", &"v").await.unwrap();
    assert_eq!(client.get("k").await.unwrap(), None, "the leader is remembered");
    follower.seen().await;
    let seen = leader.seen().await;
    assert_eq!(
        starts(&seen),
        ["POST /tailfeather/key-val/batch", "GET /tailfeather/key-val/read?key=k&mode=leader"]
    );
    assert_eq!(seen[0].body, r#"[{"Type":"Add","Key":"k","Value":"v"}]"#);

    let mut next = "127.0.0.1:9".to_owned();
    let mut chain = Vec::new();
    for _ in 0..5 {
        let moved = format!("302 Found\r\nlocation: http://{next}/tailfeather/key-val/batch");
        let moved = Step::Reply(moved.leak(), "");
        let first = Step::Reply("200 OK", r#"{"CurrentLeader":null,"CommitIndex":1}"#);
        let is_entry = chain.len() == 4;
        let script = Script::start(if is_entry { vec![first, moved] } else { vec![moved] });
        next.clone_from(&script.address);
        chain.push(script);
    }
    let error = TailFeatherClient::new([next]).unwrap().remove("k").await.unwrap_err();
    assert_eq!((error.code, error.outcome), (Code::BAD_ANSWER, Outcome::NotApplied));
    assert!(error.problem.detail.contains("more than 5 times"), "{:?}", error.problem);
}
