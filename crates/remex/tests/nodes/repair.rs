//! Disks that are lost, damaged or old, and nodes that are far behind.

use std::fs;
use std::path::Path;

use remex::offline;
use remex_model::{MemberRole, Revision};

use super::fleet::Fleet;
use super::{PATIENCE, put, value};

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the copy works");
    for entry in fs::read_dir(from).expect("files can be read and written") {
        let entry = entry.expect("files can be read and written");
        if entry.file_type().expect("files can be read and written").is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name()))
                .expect("files can be read and written");
        }
    }
}

/// Flips a bit in what every file of a folder holds: in the first group of a segment of the log, for
/// what lies further back may be left from an earlier use of the file; near the middle of others.
pub(crate) fn rot(folder: &Path) {
    let mut flipped = 0;
    for entry in fs::read_dir(folder).expect("files can be read and written") {
        let path = entry.expect("files can be read and written").path();
        if path.is_dir() {
            continue;
        }
        let mut bytes = fs::read(&path).expect("files can be read and written");
        if bytes.len() > 4096 {
            let is_segment = path.extension().is_some_and(|extension| extension == "log");
            let place = if is_segment { 4096 + 40 } else { bytes.len() / 2 };
            bytes[place] ^= 0x10;
            fs::write(&path, &bytes).expect("files can be read and written");
            flipped += 1;
        }
    }
    assert!(flipped > 0, "nothing to damage in {}", folder.display());
}

pub(crate) async fn until_equal(fleet: &Fleet, name: &str, key: &str, expected: &str) {
    let found = value(&fleet.service(name), key).await;
    assert_eq!(found.as_deref(), Some(expected));
}

pub(crate) fn other(fleet: &Fleet) -> &'static str {
    let leader = fleet.leader().expect("a leader");
    ["n1", "n2", "n3"].into_iter().find(|name| *name != leader).expect("another")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_too_far_behind_gets_a_snapshot() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let behind = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    fleet.kill(behind);
    fleet.write_much(leader).await;
    put(&fleet.service(leader), "last", "1").await;
    fleet.start(behind).await;
    until_equal(&fleet, behind, "last", "1").await;
    let installed = fleet
        .node(behind)
        .admin()
        .metrics()
        .into_iter()
        .find(|metric| metric.name == "remex_snapshots_installed_total")
        .expect("the metric is there");
    let remex_model::MetricValue::Number(count) = installed.series[0].value else {
        panic!("a counter is a number");
    };
    assert!(count >= 1.0, "it must have come by a snapshot");
    // And it goes on from there, after a crash too.
    fleet.kill(behind);
    put(&fleet.service(leader), "later", "2").await;
    fleet.start(behind).await;
    until_equal(&fleet, behind, "later", "2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_disk_replaces_its_old_self() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let wiped = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    fleet.write_much(leader).await;
    let old = fleet.node(wiped).admin().node().id;
    fleet.kill(wiped);
    fs::remove_dir_all(fleet.directory(wiped)).unwrap();
    put(&fleet.service(leader), "meanwhile", "1").await;
    // The same command line as ever.
    fleet.start(wiped).await;
    fleet.until_voters(leader, &["n1", "n2", "n3"]).await;
    until_equal(&fleet, wiped, "meanwhile", "1").await;
    assert_ne!(fleet.node(wiped).admin().node().id, old);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_restarted_from_an_old_copy_of_its_disk_does_not_go_on_as_before() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let rolled_back = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    let directory = fleet.directory(rolled_back);
    let copied = fleet.directory("copy");
    fleet.stop(rolled_back).await;
    copy(&directory, &copied);
    fleet.start(rolled_back).await;
    let old = fleet.node(rolled_back).admin().node().id;
    for number in 0..20 {
        put(&fleet.service(rolled_back), "key", &number.to_string()).await;
    }
    fleet.kill(rolled_back);
    fs::remove_dir_all(&directory).unwrap();
    copy(&copied, &directory);
    fleet.start(rolled_back).await;
    // It is noticed: the node comes back as a new self, with everything.
    let begin = std::time::Instant::now();
    while fleet.node(rolled_back).admin().node().id == old {
        assert!(begin.elapsed() < PATIENCE, "an old disk was not noticed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    fleet.until_voters(leader, &["n1", "n2", "n3"]).await;
    until_equal(&fleet, rolled_back, "key", "19").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_engine_is_fetched_from_the_others() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let damaged = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    fleet.write_much(leader).await;
    let id = fleet.node(damaged).admin().node().id;
    fleet.stop(damaged).await;
    rot(&fleet.directory(damaged).join("engine").join("tables"));
    put(&fleet.service(leader), "meanwhile", "1").await;
    fleet.start(damaged).await;
    let begin = std::time::Instant::now();
    loop {
        let metrics = fleet.node(damaged).admin().metrics();
        let repairs = metrics.iter().find(|metric| metric.name == "remex_repairs_total").unwrap();
        let one = |series: &&remex_model::Series| {
            series.value == remex_model::MetricValue::Number(1.0) && series.labels[0].1 == "engine"
        };
        if repairs.series.iter().any(|series| one(&series)) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "the damage was not noticed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    until_equal(&fleet, damaged, "meanwhile", "1").await;
    until_equal(&fleet, damaged, "much/0000", &"v".repeat(15_000)).await;
    assert_eq!(fleet.node(damaged).admin().node().id, id, "its promises are in its log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_damaged_log_comes_back_as_a_new_self() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let damaged = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    for number in 0..50 {
        put(&fleet.service(leader), "key", &number.to_string()).await;
    }
    let old = fleet.node(damaged).admin().node().id;
    fleet.stop(damaged).await;
    rot(&fleet.directory(damaged).join("log"));
    fleet.start(damaged).await;
    fleet.until_voters(leader, &["n1", "n2", "n3"]).await;
    until_equal(&fleet, damaged, "key", "49").await;
    assert_ne!(fleet.node(damaged).admin().node().id, old);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_without_others_stops_the_node_and_names_the_place() {
    let mut fleet = Fleet::new(&["n1"]);
    let config = remex::Config { join: Vec::new(), expect: None, ..fleet.config("n1") };
    fleet.start_with(config.clone()).await;
    for number in 0..50 {
        put(&fleet.service("n1"), "key", &number.to_string()).await;
    }
    fleet.stop("n1").await;
    rot(&fleet.directory("n1").join("log"));
    let error = fleet.try_start(config).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("offset") && error.contains("log"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_founds_a_new_cluster_that_others_join() {
    let mut fleet = Fleet::new(&["n1", "n2"]);
    let alone = |fleet: &Fleet| remex::Config { join: vec![], expect: None, ..fleet.config("n1") };
    fleet.start_with(alone(&fleet)).await;
    put(&fleet.service("n1"), "key", "1").await;
    let revision = put(&fleet.service("n1"), "key", "2").await;
    let old = fleet.view("n1").id;
    let file = fleet.directory("saved");
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut source = fleet.node("n1").admin().snapshot(deadline).await.unwrap();
    assert_eq!(source.revision, revision);
    std::io::copy(&mut source.read, &mut fs::File::create(&file).unwrap()).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().len(), source.bytes);
    assert_eq!(offline::verify(&file).unwrap().header.revision, revision);
    fleet.kill("n1");
    fs::remove_dir_all(fleet.directory("n1")).unwrap();

    let name = Some("n1".to_owned());
    // A new file system is not quite empty.
    fs::create_dir_all(fleet.directory("n1").join("lost+found")).unwrap();
    let founded = offline::restore(&file, &fleet.directory("n1"), name.clone()).unwrap();
    assert_eq!(founded.revision, revision);
    assert!(offline::restore(&file, &fleet.directory("n1"), name).is_err(), "not empty any more");
    fleet.start_with(alone(&fleet)).await;
    assert_ne!(fleet.view("n1").id, old);
    until_equal(&fleet, "n1", "key", "2").await;
    let join = vec![fleet.address("n1")];
    fleet.start_with(remex::Config { join, expect: None, ..fleet.config("n2") }).await;
    fleet.until_voters("n2", &["n1", "n2"]).await;
    until_equal(&fleet, "n2", "key", "2").await;

    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert!(offline::verify(&file).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survivor_of_a_lost_majority_founds_a_cluster_of_its_own() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let revision = put(&fleet.service("n2"), "key", "1").await;
    until_equal(&fleet, "n3", "key", "1").await;
    let old = fleet.view("n3").id;
    for name in ["n1", "n2", "n3"] {
        fleet.kill(name);
    }
    let directory = fleet.directory("n3");
    let survivor = offline::inspect(&directory).unwrap().expect("nothing was begun");
    assert_eq!(survivor.others, ["n1", "n2"]);
    assert!(survivor.revision >= revision);
    let founded = offline::recover(&directory).unwrap();
    assert_eq!((founded.name.as_str(), founded.revision), ("n3", survivor.revision));
    fleet.start("n3").await;
    until_equal(&fleet, "n3", "key", "1").await;
    put(&fleet.service("n3"), "after", "2").await;
    let view = fleet.view("n3");
    assert!(view.id != old && view.members.len() == 1, "{view:?}");
    assert_eq!(view.members[0].role, MemberRole::Voter);
    assert!(founded.revision > Revision(1));
}

/// Waits until a node has begun to repair itself, once, for this cause.
async fn until_repairing(fleet: &Fleet, name: &str, cause: &str) {
    let begin = std::time::Instant::now();
    loop {
        let metrics = fleet.node(name).admin().metrics();
        let repairs = metrics.iter().find(|metric| metric.name == "remex_repairs_total");
        let repairs = repairs.expect("the metric is there");
        let begun = repairs.series.iter().any(|series| {
            series.labels[0].1 == cause && series.value != remex_model::MetricValue::Number(0.0)
        });
        if begun {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{name} never noticed: {repairs:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_damaged_engine_and_a_damaged_log_comes_back_as_a_new_self() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    let damaged = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    fleet.write_much(leader).await;
    let old = fleet.node(damaged).admin().node().id;
    fleet.stop(damaged).await;
    // An engine that cannot even be opened: the log is not looked at before.
    fs::write(fleet.directory(damaged).join("engine").join("current"), "damaged").unwrap();
    rot(&fleet.directory(damaged).join("log"));
    fleet.start(damaged).await;
    fleet.until_voters(leader, &["n1", "n2", "n3"]).await;
    until_equal(&fleet, damaged, "much/0599", &"v".repeat(15_000)).await;
    assert_ne!(fleet.node(damaged).admin().node().id, old);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_that_are_damaged_at_once_do_not_give_themselves_up() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    for number in 0..50 {
        put(&fleet.service("n1"), "key", &number.to_string()).await;
    }
    let kept = fleet.node("n3").admin().node().id;
    for name in ["n1", "n2", "n3"] {
        fleet.stop(name).await;
    }
    let (log, whole) = (fleet.directory("n3").join("log"), fleet.directory("whole"));
    copy(&log, &whole);
    for name in ["n2", "n3"] {
        rot(&fleet.directory(name).join("log"));
    }
    for name in ["n1", "n2", "n3"] {
        fleet.start(name).await;
    }
    until_repairing(&fleet, "n2", "log").await;
    until_repairing(&fleet, "n3", "log").await;
    fleet.stop("n3").await;

    // The operator finds the right disk again: with it there is a majority that spares the other.
    fs::remove_dir_all(&log).unwrap();
    copy(&whole, &log);
    fleet.start("n3").await;
    fleet.until_voters("n1", &["n1", "n2", "n3"]).await;
    for name in ["n1", "n2", "n3"] {
        until_equal(&fleet, name, "key", "49").await;
    }
    assert_eq!(fleet.node("n3").admin().node().id, kept, "it has never given itself up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survivor_that_crashed_in_the_middle_of_an_installation_is_recovered_with_it() {
    let mut fleet = Fleet::founded(&["n1", "n2", "n3"]).await;
    fleet.write_much("n1").await;
    until_equal(&fleet, "n3", "much/0599", &"v".repeat(15_000)).await;
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut source = fleet.node("n1").admin().snapshot(deadline).await.unwrap();
    for name in ["n1", "n2", "n3"] {
        fleet.kill(name);
    }
    // The engine is gone, and what is to take its place waits.
    let directory = fleet.directory("n3");
    let mut pending = fs::File::create(directory.join("snapshots").join("install")).unwrap();
    std::io::copy(&mut source.read, &mut pending).unwrap();
    fs::remove_dir_all(directory.join("engine")).unwrap();

    let founded = offline::recover(&directory).unwrap();
    assert!(founded.revision >= source.revision);
    fleet.start("n3").await;
    until_equal(&fleet, "n3", "much/0599", &"v".repeat(15_000)).await;
    assert_eq!(fleet.view("n3").members.len(), 1);
}
