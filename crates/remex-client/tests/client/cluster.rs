//! Members, transfer of leadership, snapshots.

use std::sync::Mutex;

use remex_client::{AddMember, ChangeMember, Code, Outcome, Transfer};
use sha2::{Digest, Sha256};

use crate::client;
use crate::script::{Script, Step};

const MEMBER: &str = r#"{"id":"04","name":"n4","role":"learner","leader":false,
    "client_url":"http://h:1","peer_address":"h:2","version":null,"match_index":null,"lag":7,
    "last_contact_ms":null,"disk":{"used_bytes":5,"free_bytes":6,"full":true}}"#;
const MISSING: &str = r#"{"code":"member_not_found","detail":"no n9","outcome":"not_applied"}"#;
const BUSY: &str = r#"{"code":"change_in_progress","detail":"wait","outcome":"not_applied"}"#;

#[tokio::test]
async fn members_are_listed_added_and_changed() {
    let listed: &'static str = format!(r#"{{"changing":true,"members":[{MEMBER}]}}"#).leak();
    let script = Script::start(vec![
        Step::Reply("200 OK", listed),
        Step::Reply("404 Not Found", MISSING),
        Step::Reply("202 Accepted", MEMBER),
        Step::Reply("200 OK", MEMBER),
        Step::Reply("200 OK", MEMBER),
        Step::Reply("409 Conflict", BUSY),
        Step::Reply("200 OK", r#"{"leader":"02","name":"n2","term":8}"#),
    ]);
    let client = client(&script.address, 0);
    let members = client.members().await.unwrap();
    assert!(members.changing && members.members[0].disk.unwrap().full);
    assert_eq!(client.member("n/9").await.unwrap(), None);
    let add = AddMember::new("h:2").name("n4").learner();
    assert_eq!(client.add_member(&add).await.unwrap().name, "n4");
    client.change_member(&ChangeMember::promote("n4")).await.unwrap();
    client.change_member(&ChangeMember::demote("n4").force()).await.unwrap();
    let busy = client.change_member(&ChangeMember::remove("n4")).await.unwrap_err();
    assert_eq!(busy.code, "change_in_progress");
    assert_eq!(busy.outcome, Outcome::NotApplied);
    let leader = client.transfer(&Transfer::new().to("n2")).await.unwrap();
    assert_eq!((leader.name.as_deref(), leader.term), (Some("n2"), 8));

    let seen = script.seen().await;
    let starts: Vec<&str> = seen.iter().filter_map(|one| one.head.split(" HTTP").next()).collect();
    assert_eq!(
        starts,
        [
            "GET /v1/cluster/members",
            "GET /v1/cluster/members/n%2F9",
            "POST /v1/cluster/members",
            "POST /v1/cluster/members/n4/promote",
            "POST /v1/cluster/members/n4/demote?force=true",
            "DELETE /v1/cluster/members/n4",
            "POST /v1/cluster/leader/transfer",
        ]
    );
    assert_eq!(seen[2].body, r#"{"name":"n4","peer_url":"h:2","role":"learner"}"#);
    assert_eq!(seen[6].body, r#"{"to":"n2"}"#);
}

#[tokio::test]
async fn what_changes_nothing_the_second_time_is_repeated_and_a_removal_is_not() {
    let script = Script::start(vec![Step::Hang, Step::Reply("200 OK", MEMBER)]);
    client(&script.address, 1).change_member(&ChangeMember::promote("n4")).await.unwrap();
    assert_eq!(script.seen().await.len(), 2);
    let script = Script::start(vec![Step::Hang]);
    let remove = ChangeMember::remove("n4");
    let error = client(&script.address, 1).change_member(&remove).await.unwrap_err();
    assert_eq!(error.outcome, Outcome::Unknown);
    assert_eq!(script.seen().await.len(), 1);
}

const BYTES: &str = "all there is";

fn snapshot(digest_of: &str) -> &'static str {
    use base64::Engine;
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(digest_of));
    format!(
        "200 OK\r\nrepr-digest: sha-256=:{digest}:\r\nremex-revision: 42\r\n\
         content-disposition: attachment; filename=\"remex-c1-9.snapshot\""
    )
    .leak()
}

#[tokio::test]
async fn a_snapshot_is_checked_while_it_is_written() {
    let script = Script::start(vec![
        Step::Reply("503 Service Unavailable", r#"{"code":"draining","outcome":"not_applied"}"#),
        Step::Reply(snapshot(BYTES), BYTES),
        Step::Reply(snapshot("something else"), BYTES),
        Step::Reply("200 OK", BYTES),
    ]);
    let client = client(&script.address, 1);
    let begun = client.snapshot().await.unwrap();
    assert_eq!((begun.bytes, begun.revision), (BYTES.len() as u64, Some(42)));
    assert_eq!(begun.file_name.as_deref(), Some("remex-c1-9.snapshot"));
    let (mut out, told) = (Vec::new(), Mutex::new(0));
    let saved = begun.write_to(&mut out, |bytes| *told.lock().unwrap() = bytes).await.unwrap();
    assert_eq!((out, saved.bytes), (BYTES.as_bytes().to_vec(), told.into_inner().unwrap()));
    assert_eq!(saved.sha256[..], Sha256::digest(BYTES)[..]);

    for why in ["do not have the digest", "without a digest"] {
        let begun = client.snapshot().await.unwrap();
        let error = begun.write_to(&mut Vec::new(), |_| ()).await.unwrap_err();
        assert_eq!(error.code, Code::BAD_ANSWER);
        assert!(error.problem.detail.contains(why), "{error}");
    }
    // A snapshot's connection is not used again.
    drop(client);
    script.seen().await;
}

#[tokio::test]
async fn a_snapshot_that_breaks_off_is_an_error() {
    let script = Script::start(vec![Step::CutBody(snapshot(BYTES), BYTES)]);
    let begun = client(&script.address, 0).snapshot().await.unwrap();
    let error = begun.write_to(&mut Vec::new(), |_| ()).await.unwrap_err();
    assert_eq!(error.code, Code::CONNECTION_LOST);
    script.seen().await;
}
