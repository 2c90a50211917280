//! Clusters that grow, shrink and change.

use std::time::Instant;

use remex::{Config, OpenError};
use remex_model::{ErrorCode, MemberRole, MemberStep, NodeRole};

use super::fleet::Fleet;
use super::{PATIENCE, put, value};

pub(crate) fn alone(fleet: &Fleet, name: &'static str) -> Config {
    Config { join: Vec::new(), expect: None, ..fleet.config(name) }
}

pub(crate) fn joining(fleet: &Fleet, name: &'static str, to: &str) -> Config {
    Config { join: vec![fleet.address(to)], expect: None, ..fleet.config(name) }
}

pub(crate) fn waiting(fleet: &Fleet, name: &'static str) -> Config {
    Config { wait: true, ..alone(fleet, name) }
}

fn invite(fleet: &Fleet, name: &str) -> MemberStep {
    let peer_address = fleet.address(name);
    MemberStep::Add { peer_address, name: None, role: MemberRole::Voter, awaited: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_by_joining_through_any_member_and_shrinks_again() {
    let mut fleet = Fleet::new(&["n1", "n2", "n3"]);
    fleet.start_with(alone(&fleet, "n1")).await;
    put(&fleet.service("n1"), "before", "1").await;
    fleet.write_much("n1").await;
    fleet.start_with(joining(&fleet, "n2", "n1")).await;
    fleet.until_voters("n1", &["n1", "n2"]).await;
    // Through a member that does not lead.
    fleet.start_with(joining(&fleet, "n3", "n2")).await;
    fleet.until_voters("n3", &["n1", "n2", "n3"]).await;
    for name in ["n1", "n2", "n3"] {
        assert_eq!(value(&fleet.service(name), "before").await.as_deref(), Some("1"));
    }

    // Joining is for ever: the same flags change nothing at a restart.
    fleet.stop("n3").await;
    fleet.start_with(joining(&fleet, "n3", "n1")).await;
    fleet.until_voters("n3", &["n1", "n2", "n3"]).await;

    let leader = fleet.leader().expect("a leader");
    fleet.change("n2", MemberStep::Remove(leader.to_owned())).await.unwrap();
    let rest: Vec<&str> = ["n1", "n2", "n3"].into_iter().filter(|name| *name != leader).collect();
    fleet.until_voters(rest[0], &rest).await;
    put(&fleet.service(rest[1]), "after", "2").await;

    // The removed node says so, and cannot be started again as if nothing had happened.
    let fatal = fleet.node(leader).failed().await.to_string();
    assert!(fatal.contains("removed"), "{fatal}");
    fleet.kill(leader);
    let error = fleet.try_start(fleet.config(leader)).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Removed(_)), "{error}");
    assert_eq!(value(&fleet.service(rest[0]), "after").await.as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_and_a_pristine_node_are_invited_and_one_with_data_is_not() {
    let mut fleet = Fleet::new(&["n1", "n2", "n3", "n4"]);
    fleet.start_with(alone(&fleet, "n1")).await;
    put(&fleet.service("n1"), "key", "1").await;
    fleet.start_with(waiting(&fleet, "n2")).await;
    assert_eq!(fleet.node("n2").admin().status().role, NodeRole::Waiting);
    let added = fleet.change("n1", invite(&fleet, "n2")).await.unwrap();
    assert_eq!(added.name, "n2");
    fleet.until_voters("n2", &["n1", "n2"]).await;

    // It founded a cluster of its own, as a node does that is started alone; nothing is lost by
    // giving that up.
    fleet.start_with(alone(&fleet, "n3")).await;
    fleet.change("n2", invite(&fleet, "n3")).await.unwrap();
    fleet.until_voters("n3", &["n1", "n2", "n3"]).await;
    assert_eq!(value(&fleet.service("n3"), "key").await.as_deref(), Some("1"));
    // Again: nothing changes.
    fleet.change("n1", invite(&fleet, "n3")).await.unwrap();
    fleet.until_voters("n1", &["n1", "n2", "n3"]).await;

    fleet.start_with(alone(&fleet, "n4")).await;
    put(&fleet.service("n4"), "own", "4").await;
    let error = fleet.change("n1", invite(&fleet, "n4")).await.unwrap_err();
    let clusters = ["n1", "n4"].map(|name| fleet.view(name).id.expect("a cluster").to_string());
    let told = format!("{} {}", error.detail, error.hint.clone().unwrap_or_default());
    assert!(clusters.iter().all(|id| told.contains(id)), "{error:?}");
    assert_eq!(value(&fleet.service("n4"), "own").await.as_deref(), Some("4"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_would_cost_the_majority_is_refused() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let leader = fleet.leader().expect("a leader");
    let others: Vec<_> = ["n1", "n2", "n3"].into_iter().filter(|name| *name != leader).collect();
    fleet.kill(others[0]);
    fleet.until(leader, "noticed", |view| view.quorum.reachable == 2).await;
    let step = MemberStep::Remove(others[1].to_owned());
    let begin = Instant::now();
    loop {
        let error = fleet.change(leader, step.clone()).await.unwrap_err();
        // Until the leader has noticed the silence it may think the change possible.
        if error.code == ErrorCode::WouldLoseQuorum {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{error:?}");
    }
    // The one that is gone for good can go.
    fleet.change(leader, MemberStep::Remove(others[0].to_owned())).await.unwrap();
    put(&fleet.service(leader), "key", "1").await;
    let error = fleet.change(leader, MemberStep::Remove("n9".to_owned())).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MemberNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_and_votes_are_taken_and_given() {
    let fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let leader = fleet.leader().expect("a leader");
    let to = ["n1", "n2", "n3"].into_iter().find(|name| *name != leader).expect("another");
    let admin = fleet.node(leader).admin();
    let deadline = Instant::now() + PATIENCE;
    let (id, _) = admin.transfer_leadership(Some(to.to_owned()), deadline).await.unwrap();
    assert_eq!(id, fleet.node(to).admin().node().id);
    // Through a node that does not lead, and of the leader itself.
    let demoted = fleet.change(leader, MemberStep::Demote(to.to_owned())).await.unwrap();
    assert_eq!((demoted.role, demoted.auto_promote), (MemberRole::Learner, false));
    fleet
        .until(to, "a learner", |_| fleet.node(to).admin().status().role == NodeRole::Learner)
        .await;
    for name in [leader, to] {
        fleet
            .until(name, "a learner for good", |view| {
                let found = view.members.iter().find(|member| member.name == to);
                found.is_some_and(|it| it.role == MemberRole::Learner && !it.auto_promote)
            })
            .await;
    }
    let promoted = fleet.change(to, MemberStep::Promote(to.to_owned())).await.unwrap();
    assert_eq!(promoted.role, MemberRole::Voter);
    fleet.until_voters(leader, &["n1", "n2", "n3"]).await;
}

/// A founder that was started alone cannot know whom to ask when its disk is gone: the others, who
/// know where it was, take it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_founder_that_lost_its_disk_comes_back_by_itself() {
    let mut fleet = Fleet::new(&["n1", "n2", "n3"]);
    fleet.start_with(alone(&fleet, "n1")).await;
    fleet.start_with(joining(&fleet, "n2", "n1")).await;
    fleet.start_with(joining(&fleet, "n3", "n1")).await;
    fleet.until_voters("n1", &["n1", "n2", "n3"]).await;
    put(&fleet.service("n1"), "key", "1").await;
    fleet.kill("n1");
    std::fs::remove_dir_all(fleet.directory("n1")).unwrap();
    put(&fleet.service("n2"), "key", "2").await;
    fleet.start_with(alone(&fleet, "n1")).await;
    fleet.until("n1", "a member again", |view| view.members.len() == 3).await;
    fleet.until_voters("n2", &["n1", "n2", "n3"]).await;
    assert_eq!(value(&fleet.service("n1"), "key").await.as_deref(), Some("2"));
}
