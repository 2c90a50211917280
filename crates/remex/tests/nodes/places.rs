//! Log, engine and snapshots on disks of their own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use remex::{Config, OpenError, offline};
use remex_model::{MetricValue, NodeId};
use tempfile::TempDir;

use super::fleet::Fleet;
use super::put;
use super::repair::{other, rot, until_equal};

const TRIO: [&str; 3] = ["n1", "n2", "n3"];

/// Two more disks. The faster one is another file system than that of the data directories where
/// the machine has one: nothing can be renamed from one to the other there.
struct Disks {
    fast: TempDir,
    big: TempDir,
}

impl Disks {
    fn new() -> Self {
        let big = tempfile::tempdir().expect("a temporary directory");
        let fast = tempfile::tempdir_in("/dev/shm").or_else(|_absent| tempfile::tempdir());
        Self { fast: fast.expect("a temporary directory"), big }
    }

    /// Whether they are really two file systems.
    fn differ(&self) -> bool {
        let device = |path: &Path| fs::metadata(path).expect("it is there").dev();
        device(self.fast.path()) != device(self.big.path())
    }

    fn fast(&self, name: &str) -> PathBuf {
        self.fast.path().join(name)
    }

    /// The log and the snapshots of a node on the fast disk, its engine on the other.
    fn config(&self, fleet: &Fleet, name: &'static str) -> Config {
        Config {
            log_dir: Some(self.fast(name)),
            engine_dir: Some(self.big.path().join(name)),
            snapshot_dir: Some(self.fast(name)),
            ..fleet.config(name)
        }
    }

    async fn founded(&self) -> Fleet {
        let mut fleet = Fleet::new(&TRIO);
        for name in TRIO {
            fleet.start_with(self.config(&fleet, name)).await;
        }
        for name in TRIO {
            put(&fleet.service(name), &format!("hello-{name}"), "x").await;
        }
        fleet
    }
}

fn id(fleet: &Fleet, name: &str) -> NodeId {
    fleet.node(name).admin().node().id
}

fn count(fleet: &Fleet, name: &str, metric: &str) -> f64 {
    let metrics = fleet.node(name).admin().metrics();
    let metric = metrics.into_iter().find(|found| found.name == metric).expect("it is measured");
    match metric.series[0].value {
        MetricValue::Number(count) => count,
        _ => panic!("a counter is a number"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_installed_across_file_systems_and_a_restart_needs_no_flags() {
    let disks = Disks::new();
    if Path::new("/dev/shm").is_dir() {
        assert!(disks.differ(), "this test is to cross file systems");
    }
    let mut fleet = disks.founded().await;
    let behind = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    let before = id(&fleet, behind);
    fleet.kill(behind);
    fleet.write_much(leader).await;
    put(&fleet.service(leader), "last", "1").await;
    // Without the flags: everything is where it was.
    fleet.start(behind).await;
    until_equal(&fleet, behind, "last", "1").await;
    assert!(count(&fleet, behind, "remex_snapshots_installed_total") >= 1.0);
    assert_eq!(id(&fleet, behind), before, "it is who it was");
    for folder in ["log", "engine", "snapshots"] {
        assert!(!fleet.directory(behind).join(folder).exists(), "{folder} has a folder of its own");
    }
    fleet.kill(behind);
    fleet.start_with(disks.config(&fleet, behind)).await;
    put(&fleet.service(leader), "later", "2").await;
    until_equal(&fleet, behind, "later", "2").await;
    assert_eq!(id(&fleet, behind), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_not_mounted_does_not_make_a_node_forget_its_log() {
    let disks = Disks::new();
    let mut fleet = disks.founded().await;
    let victim = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    let before = id(&fleet, victim);
    fleet.stop(victim).await;
    let (place, away) = (disks.fast(victim), disks.fast("away"));
    fs::rename(&place, &away).expect("it can be renamed");
    for mounted_empty in [false, true] {
        if mounted_empty {
            fs::create_dir(&place).expect("a mount point");
        }
        for config in [fleet.config(victim), disks.config(&fleet, victim)] {
            let error = fleet.try_start(config).await.expect_err("the log is not there");
            assert!(matches!(error, OpenError::Identity(_)), "{error}");
            assert!(error.to_string().contains("mounted"), "{error}");
        }
    }
    put(&fleet.service(leader), "meanwhile", "1").await;
    fs::remove_dir(&place).expect("nothing was written there");
    fs::rename(&away, &place).expect("it can be renamed");
    fleet.start(victim).await;
    until_equal(&fleet, victim, "meanwhile", "1").await;
    assert_eq!(id(&fleet, victim), before, "it is who it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_lost_for_good_is_replaced_once_somebody_says_so() {
    let disks = Disks::new();
    let mut fleet = disks.founded().await;
    let victim = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    let before = id(&fleet, victim);
    fleet.stop(victim).await;
    fs::remove_dir_all(disks.fast(victim)).expect("it can be removed");
    fs::create_dir(disks.fast(victim)).expect("the new disk");
    let config = fleet.config(victim);
    fleet.try_start(config).await.expect_err("nobody has said that it is right");
    fs::copy(fleet.directory(victim).join("owner"), disks.fast(victim).join("owner"))
        .expect("it can be copied");
    fleet.start(victim).await;
    fleet.until_voters(leader, &TRIO).await;
    put(&fleet.service(leader), "later", "1").await;
    until_equal(&fleet, victim, "later", "1").await;
    assert_ne!(id(&fleet, victim), before, "what it had promised is lost");
    assert!(disks.fast(victim).join("log").is_dir(), "the new log is where the old one was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_put_aside_on_its_own_disk() {
    let disks = Disks::new();
    let mut fleet = disks.founded().await;
    let damaged = other(&fleet);
    let leader = fleet.leader().expect("a leader");
    for number in 0..50 {
        put(&fleet.service(leader), "key", &number.to_string()).await;
    }
    fleet.stop(damaged).await;
    rot(&disks.fast(damaged).join("log"));
    fleet.start(damaged).await;
    fleet.until_voters(leader, &TRIO).await;
    until_equal(&fleet, damaged, "key", "49").await;
    assert!(disks.fast(damaged).join("set-aside").join("log").is_dir());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survivor_with_several_disks_is_recovered_by_its_data_directory() {
    let disks = Disks::new();
    let mut fleet = disks.founded().await;
    let leader = fleet.leader().expect("a leader");
    put(&fleet.service(leader), "key", "kept").await;
    for name in TRIO {
        fleet.stop(name).await;
    }
    let data_dir = fleet.directory(leader);
    assert!(offline::is_member(&data_dir));
    let survivor = offline::inspect(&data_dir).expect("it can be read").expect("a survivor");
    assert_eq!(survivor.others.len(), 2);
    let founded = offline::recover(&data_dir).expect("it can be recovered");
    assert_ne!(founded.cluster, survivor.cluster);
    let alone = Config { join: Vec::new(), expect: None, ..fleet.config(leader) };
    fleet.start_with(alone).await;
    until_equal(&fleet, leader, "key", "kept").await;
    assert!(disks.fast(leader).join("log").is_dir());
    assert!(disks.fast(leader).join("set-aside").join("log").is_dir());
}
