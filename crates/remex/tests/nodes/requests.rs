//! Requests to nodes that cannot answer them alone, or at all.

use std::time::Instant;

use remex::Config;
use remex_model::{
    Command, Effect, Error, ErrorCode, Get, MemberRole, MemberStep, NodeRole, Operation,
    ReadOptions, Value,
};

use super::fleet::Fleet;
use super::membership::{alone, joining, waiting};
use super::{PATIENCE, put, request, value, write};

/// A leader that holds on to its office for minutes after it has lost its majority, and does not
/// answer meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_leader_does_not_answer_is_given_up_after_the_forward_timeout() {
    let mut fleet = Fleet::new(&["n1", "n2", "n3"]);
    let slow = |config| Config { election_timeout_ms: 600_000, ..config };
    let hasty = |config| Config { forward_timeout_ms: Some(500), ..slow(config) };
    fleet.start_with(slow(alone(&fleet, "n1"))).await;
    fleet.start_with(slow(joining(&fleet, "n2", "n1"))).await;
    fleet.until_voters("n1", &["n1", "n2"]).await;
    fleet.start_with(hasty(waiting(&fleet, "n3"))).await;
    let step = MemberStep::Add {
        peer_address: fleet.address("n3"),
        name: None,
        role: MemberRole::Learner,
        awaited: false,
    };
    fleet.change("n1", step).await.unwrap();
    let learner = fleet.service("n3");
    fleet.until("n3", "following", |view| view.leader.is_some()).await;

    fleet.kill("n2");
    let given_up = |error: Error, effect| {
        assert_eq!((error.code, error.effect), (ErrorCode::Timeout, effect), "{error:?}");
        assert!(error.detail.contains("n1") && error.detail.contains("500 ms"), "{error:?}");
    };
    let begin = Instant::now();
    let command = Command::put("key".into(), Value::raw("1"));
    given_up(write(&learner, command).await.unwrap_err(), Effect::Unknown);
    let get = Get { key: "key".into(), options: ReadOptions::default() };
    given_up(learner.call(request(Operation::Get(get))).await.unwrap_err(), Effect::None);
    assert!(begin.elapsed() < PATIENCE, "not before the requests' own deadlines");

    fleet.start_with(slow(joining(&fleet, "n2", "n1"))).await;
    let begin = Instant::now();
    loop {
        let command = Command::put("key".into(), Value::raw("2"));
        match write(&learner, command).await {
            Ok(_) => break,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error:?}"),
        }
    }
    assert_eq!(value(&fleet.service("n1"), "key").await.as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_waits_to_be_invited_turns_requests_away_and_says_how_to_invite_it() {
    let mut fleet = Fleet::new(&["n1", "n2", "n3"]);
    fleet.start_with(waiting(&fleet, "n2")).await;
    let service = fleet.service("n2");
    let command = Command::put("key".into(), Value::raw("1"));
    let error = write(&service, command).await.unwrap_err();
    assert_eq!((error.code, error.effect), (ErrorCode::NotReady, Effect::None));
    let hint = error.hint.unwrap();
    let invitation = format!("remex cluster add {}", fleet.address("n2"));
    assert!(hint.contains(&invitation), "{hint}");

    // A node that asks to be taken in holds requests until it is.
    fleet.start_with(joining(&fleet, "n3", "n1")).await;
    assert_eq!(fleet.node("n3").admin().status().role, NodeRole::Waiting);
    let service = fleet.service("n3");
    let held = tokio::spawn(async move { put(&service, "held", "3").await });
    fleet.start_with(alone(&fleet, "n1")).await;
    held.await.unwrap();
    assert_eq!(value(&fleet.service("n1"), "held").await.as_deref(), Some("3"));

    // Once it is invited, requests are held until it serves.
    let step = MemberStep::Add {
        peer_address: fleet.address("n2"),
        name: None,
        role: MemberRole::Voter,
        awaited: false,
    };
    fleet.change("n1", step).await.unwrap();
    put(&fleet.service("n2"), "key", "2").await;
    fleet.until_voters("n2", &["n1", "n2", "n3"]).await;
}
