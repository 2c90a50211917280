//! Members that are named before their nodes run.

use remex::{Config, Fatal};
use remex_model::{ErrorCode, MemberRole, MemberStep, MemberView};

use super::fleet::Fleet;
use super::membership::{alone, joining, waiting};
use super::{PATIENCE, put, value};

const TRIO: [&str; 3] = ["n1", "n2", "n3"];

fn awaited(name: &str, address: &str, role: MemberRole) -> MemberStep {
    let (peer_address, name) = (address.to_owned(), Some(name.to_owned()));
    MemberStep::Add { peer_address, name, role, awaited: true }
}

/// A fleet of these and of others that do not run yet.
async fn founded(running: &[&'static str], later: &[&'static str]) -> Fleet {
    let mut fleet = Fleet::new(&[running, later].concat());
    fleet.start_with(alone(&fleet, running[0])).await;
    put(&fleet.service(running[0]), "key", "1").await;
    for &name in &running[1..] {
        fleet.start_with(joining(&fleet, name, running[0])).await;
    }
    fleet.until_voters(running[0], running).await;
    fleet
}

fn member(fleet: &Fleet, by: &str, name: &str) -> Option<MemberView> {
    fleet.view(by).members.into_iter().find(|member| member.name == name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_awaited_become_voters_when_they_appear() {
    let mut fleet = founded(&["n1"], &["n2", "n3", "n4"]).await;
    for name in ["n2", "n3", "n4"] {
        let step = awaited(name, &fleet.address(name), MemberRole::Voter);
        let added = fleet.change("n1", step.clone()).await.unwrap();
        assert_eq!((added.name.as_str(), added.role), (name, MemberRole::Learner));
        assert!(added.awaited && added.auto_promote && added.last_contact_ms.is_none());
        let again = fleet.change("n1", step).await.unwrap();
        assert_eq!(again.id, added.id, "again: nothing changes");
    }
    // They count for nothing: one node is a majority of itself, and its log is trimmed.
    assert_eq!(fleet.view("n1").quorum.needed, 1);
    fleet.write_much("n1").await;

    // One waits to be invited, one founded a cluster of its own, one asks to be taken in.
    fleet.start_with(waiting(&fleet, "n2")).await;
    fleet.start_with(alone(&fleet, "n3")).await;
    fleet.start_with(joining(&fleet, "n4", "n1")).await;
    for name in ["n2", "n3", "n4"] {
        fleet.until_voters(name, &["n1", "n2", "n3", "n4"]).await;
        assert_eq!(value(&fleet.service(name), "key").await.as_deref(), Some("1"));
        let view = member(&fleet, "n1", name).unwrap();
        assert_eq!(view.id, fleet.node(name).admin().node().id);
        assert!(!view.awaited);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_leader_looks_out_for_those_that_its_predecessor_awaited() {
    let mut fleet = founded(&TRIO, &["n4"]).await;
    let leader = fleet.leader().expect("a leader");
    let rest: Vec<&str> = TRIO.into_iter().filter(|name| *name != leader).collect();
    // Through a member that does not lead.
    let step = awaited("n4", &fleet.address("n4"), MemberRole::Voter);
    fleet.change(rest[0], step).await.unwrap();
    fleet.kill(leader);
    put(&fleet.service(rest[0]), "key", "2").await;
    fleet.start_with(waiting(&fleet, "n4")).await;
    fleet
        .until(rest[1], "a voter", |view| {
            let fourth = view.members.iter().find(|member| member.name == "n4");
            fourth.is_some_and(|member| member.role == MemberRole::Voter && !view.changing)
        })
        .await;
    assert_eq!(value(&fleet.service("n4"), "key").await.as_deref(), Some("2"));
    // It can take the place of one that is lost: three of the four are there.
    put(&fleet.service("n4"), "key", "3").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_awaited_member_can_move_be_removed_and_be_promoted_in_advance() {
    let mut fleet = founded(&["n1"], &["n2", "n3"]).await;
    let nowhere = super::free_addresses(1).remove(0);
    let added = fleet.change("n1", awaited("n2", &nowhere, MemberRole::Learner)).await.unwrap();
    let step = awaited("n2", &fleet.address("n2"), MemberRole::Learner);
    let moved = fleet.change("n1", step).await.unwrap();
    assert_eq!((moved.id, &moved.peer_address), (added.id, &fleet.address("n2")));
    let promoted = fleet.change("n1", MemberStep::Promote("n2".to_owned())).await.unwrap();
    assert_eq!(promoted.role, MemberRole::Learner, "it is not there yet");

    fleet.change("n1", awaited("n3", &fleet.address("n3"), MemberRole::Voter)).await.unwrap();
    let gone = fleet.change("n1", MemberStep::Remove("n3".to_owned())).await.unwrap();
    assert_eq!(gone.name, "n3");
    assert_eq!(member(&fleet, "n1", "n3"), None);
    fleet.start_with(waiting(&fleet, "n3")).await;
    fleet.start_with(waiting(&fleet, "n2")).await;
    fleet.until_voters("n2", &["n1", "n2"]).await;
    assert_eq!(fleet.view("n3").id, None, "nobody awaits it any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_awaited_is_told_from_who_answers() {
    let mut fleet = founded(&["n1"], &["n2", "n3"]).await;
    let nameless = MemberStep::Add {
        peer_address: fleet.address("n2"),
        name: None,
        role: MemberRole::Voter,
        awaited: true,
    };
    let refused = async |step| fleet.change("n1", step).await.unwrap_err();
    let error = refused(nameless).await;
    assert_eq!(error.code, ErrorCode::BadRequest);
    assert_eq!(refused(awaited("n2", "n2", MemberRole::Voter)).await.code, ErrorCode::BadRequest);
    let own = fleet.address("n1");
    assert_eq!(refused(awaited("n2", &own, MemberRole::Voter)).await.code, ErrorCode::Conflict);

    // Another node runs at the address, with data of its own: it is left alone, and the awaited
    // one stays awaited.
    let step = awaited("n2", &fleet.address("n3"), MemberRole::Voter);
    let added = fleet.change("n1", step.clone()).await.unwrap();
    fleet.start_with(alone(&fleet, "n3")).await;
    put(&fleet.service("n3"), "own", "3").await;
    let error = fleet.change("n1", step).await.unwrap_err();
    assert!(error.detail.contains("n3") && error.detail.contains("n2"), "{error:?}");
    assert_eq!(member(&fleet, "n1", "n2").unwrap().id, added.id);
    assert_eq!(value(&fleet.service("n3"), "own").await.as_deref(), Some("3"));

    // It may ask by itself, from elsewhere.
    fleet.start_with(joining(&fleet, "n2", "n1")).await;
    fleet.until_voters("n2", &["n1", "n2"]).await;
    let view = member(&fleet, "n1", "n2").unwrap();
    assert_eq!(view.peer_address, fleet.address("n2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_cluster_starts_again_with_a_member_that_is_awaited() {
    let mut fleet = founded(&TRIO, &["n4"]).await;
    fleet.change("n1", awaited("n4", &fleet.address("n4"), MemberRole::Voter)).await.unwrap();
    // Those that come later get it by a snapshot; the others from their disks.
    fleet.write_much("n1").await;
    for name in TRIO {
        fleet.kill(name);
    }
    for name in TRIO {
        let config = Config { join: Vec::new(), expect: None, ..fleet.config(name) };
        fleet.start_with(config).await;
    }
    put(&fleet.service("n2"), "key", "2").await;
    for name in TRIO {
        assert_eq!(member(&fleet, name, "n4").unwrap().role, MemberRole::Learner);
        assert_eq!(fleet.view(name).quorum.needed, 2);
    }
    fleet.start_with(waiting(&fleet, "n4")).await;
    fleet.until_voters("n4", &["n1", "n2", "n3", "n4"]).await;
    assert_eq!(value(&fleet.service("n4"), "key").await.as_deref(), Some("2"));
}

/// Of two nodes that come under the awaited name at once, one is the awaited one, and stays: it is
/// not taken for gone before it had the time to connect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_two_nodes_of_the_awaited_name_is_not_pushed_out_by_the_second() {
    let fleet = founded(&["n1"], &["n2", "twin"]).await;
    fleet.change("n1", awaited("n2", &fleet.address("n2"), MemberRole::Voter)).await.unwrap();
    // Whoever leads for a moment only takes nobody for gone.
    let is_old = |fleet: &Fleet| fleet.node("n1").admin().status().uptime_ms > 4000;
    fleet.until("n1", "a leader that knows who is alive", |_| is_old(&fleet)).await;
    let first = joining(&fleet, "n2", "n1");
    let second = Config {
        peer_listen: fleet.address("twin").parse().unwrap(),
        data_dir: fleet.directory("twin"),
        ..first.clone()
    };
    let (first, second) = tokio::join!(fleet.try_start(first), fleet.try_start(second));
    let (first, second) = (first.unwrap(), second.unwrap());
    let ended = async {
        tokio::select! {
            fatal = first.failed() => fatal,
            fatal = second.failed() => fatal,
        }
    };
    let fatal =
        tokio::time::timeout(PATIENCE, ended).await.expect("one is told that it is too many");
    assert!(matches!(&fatal, Fatal::Failed(reason) if reason.contains("n2")), "{fatal:?}");
    fleet.until_voters("n1", &["n1", "n2"]).await;
}
