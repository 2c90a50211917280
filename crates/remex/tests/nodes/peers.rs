//! Members that come back as something else: removed meanwhile, at another address, twice.

use std::time::{Duration, Instant};

use remex::Config;
use remex_model::{ErrorCode, MemberRole, MemberStep, NodeRole};

use super::fleet::Fleet;
use super::repair::copy;
use super::{PATIENCE, put, value};

const TRIO: [&str; 3] = ["n1", "n2", "n3"];

fn followers(fleet: &Fleet) -> (&'static str, [&'static str; 2]) {
    let leader = fleet.leader().expect("a leader");
    let others: Vec<_> = TRIO.into_iter().filter(|name| *name != leader).collect();
    (leader, [others[0], others[1]])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_removed_while_it_was_away_disturbs_nobody_and_says_so() {
    let mut fleet = Fleet::founded(&TRIO).await;
    let (leader, [away, other]) = followers(&fleet);
    fleet.kill(away);
    fleet.change(other, MemberStep::Remove(away.to_owned())).await.unwrap();
    fleet
        .until_voters(leader, &{
            let mut rest = [leader, other];
            rest.sort_unstable();
            rest
        })
        .await;
    let term = fleet.node(leader).admin().status().term;
    fleet.start(away).await;
    let fatal = fleet.node(away).failed().await.to_string();
    assert!(fatal.contains("removed") && fatal.contains(away), "{fatal}");
    put(&fleet.service(other), "key", "1").await;
    let status = fleet.node(leader).admin().status();
    assert_eq!((status.term, status.role), (term, NodeRole::Leader));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_member_can_be_asked_to_remove_any_other_and_itself() {
    let fleet = Fleet::founded(&TRIO).await;
    let (leader, [first, second]) = followers(&fleet);
    let gone = fleet.change(first, MemberStep::Remove(first.to_owned())).await.unwrap();
    assert_eq!(gone.name, first);
    let id = fleet.node(leader).admin().node().id.to_string();
    let gone = fleet.change(leader, MemberStep::Remove(id)).await.unwrap();
    assert_eq!(gone.name, leader);
    fleet.until_voters(second, &[second]).await;
    put(&fleet.service(second), "key", "1").await;
    let error = fleet.change(second, MemberStep::Remove(second.to_owned())).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::WouldLoseQuorum, "{error:?}");
    let error = fleet.change(second, MemberStep::Remove(first.to_owned())).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MemberNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_comes_back_at_another_address_is_found_there() {
    let mut fleet = Fleet::founded(&TRIO).await;
    let (leader, [moved, other]) = followers(&fleet);
    fleet.stop(moved).await;
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    fleet.start_with(Config { peer_listen: anywhere, ..fleet.config(moved) }).await;
    let address = fleet.node(moved).peer_address().to_string();
    for name in [leader, other] {
        fleet
            .until(name, "at its new address", |view| {
                view.members.iter().any(|member| member.peer_address == address)
            })
            .await;
    }
    // It is in the membership: whoever starts now finds it too.
    put(&fleet.service(leader), "key", "1").await;
    fleet.stop(other).await;
    fleet.start(other).await;
    assert_eq!(value(&fleet.service(other), "key").await.as_deref(), Some("1"));
    fleet.kill(leader);
    put(&fleet.service(moved), "key", "2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_started_from_copies_of_one_disk_only_one_takes_part() {
    let mut fleet = Fleet::founded(&TRIO).await;
    let (leader, [twice, other]) = followers(&fleet);
    fleet.stop(twice).await;
    let copied = fleet.directory("copy");
    copy(&fleet.directory(twice), &copied);
    fleet.start(twice).await;
    put(&fleet.service(twice), "key", "1").await;

    let anywhere = "127.0.0.1:0".parse().expect("an address");
    let config = Config { data_dir: copied, peer_listen: anywhere, ..fleet.config(twice) };
    let double = fleet.try_start(config).await.unwrap();
    // Writes and elections go on, and the double has no part in them.
    for number in 0..50 {
        put(&fleet.service(twice), "key", &number.to_string()).await;
    }
    fleet.kill(leader);
    put(&fleet.service(other), "key", "last").await;
    assert_eq!(value(&fleet.service(twice), "key").await.as_deref(), Some("last"));
    assert_eq!(double.admin().leader(), None, "nobody speaks with it");
    let admin = double.admin();
    let role = admin.status().role;
    assert!(!matches!(role, NodeRole::Leader), "{role:?}");
    drop(double);
    put(&fleet.service(twice), "key", "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_can_be_demoted_and_a_learner_cannot_lead() {
    let fleet = Fleet::founded(&TRIO).await;
    let (leader, [other, _]) = followers(&fleet);
    let demoted = fleet.change(leader, MemberStep::Demote(leader.to_owned())).await.unwrap();
    assert_eq!((demoted.name.as_str(), demoted.role), (leader, MemberRole::Learner));
    let deadline = Instant::now() + PATIENCE;
    let admin = fleet.node(other).admin();
    let error = admin.transfer_leadership(Some(leader.to_owned()), deadline).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error:?}");
    // A learner for good stays one, however long it has caught up.
    put(&fleet.service(leader), "key", "1").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(fleet.node(leader).admin().status().role, NodeRole::Learner);
    // Asked for again, it changes nothing.
    fleet.change(other, MemberStep::Demote(leader.to_owned())).await.unwrap();
    fleet.change(leader, MemberStep::Promote(leader.to_owned())).await.unwrap();
    fleet.until_voters(other, &TRIO).await;
    fleet.change(leader, MemberStep::Promote(leader.to_owned())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_of_a_living_member_s_name_stops_rather_than_take_its_place_one_day() {
    let mut fleet = Fleet::founded(&TRIO).await;
    let (leader, [namesake, _]) = followers(&fleet);
    let id = fleet.node(namesake).admin().node().id;
    let peer_listen = super::free_addresses(1)[0].parse().expect("an address");
    let data_dir = fleet.directory("impostor");
    let impostor = Config { peer_listen, data_dir, ..fleet.config(namesake) };
    let impostor = fleet.try_start(impostor).await.unwrap();
    let fatal = impostor.failed().await.to_string();
    assert!(fatal.contains(namesake) && fatal.contains("--name"), "{fatal}");

    fleet.stop(namesake).await;
    put(&fleet.service(leader), "key", "1").await;
    fleet.start(namesake).await;
    assert_eq!(value(&fleet.service(namesake), "key").await.as_deref(), Some("1"));
    assert_eq!(fleet.node(namesake).admin().node().id, id);
    fleet.until_voters(leader, &TRIO).await;
}
