//! The same keys are overwritten for minutes: the disk holds what is kept of the past and of the
//! log, and what compaction needs, and no more.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use remex_testkit::cluster::{Cluster, Plan};

use crate::settings::{binary, number, say};

/// Different keys.
const KEYS: &str = "10000";

/// Pause between two looks at the disk.
const LOOK: Duration = Duration::from_secs(5);

/// What is kept by default: a gibibyte of the past, before compression; 64 MiB of the log, in segments
/// of 64 MiB, one in use and one to spare; and what compaction writes before it removes what it
/// has read: at most as much again as the past.
const TOTAL_MIB_MAX: u64 = 2 * 1024 + 4 * 64;

/// Mebibytes of the files below a folder. Files come and go meanwhile.
fn mebibytes(path: &Path) -> u64 {
    fn bytes(path: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(path) else { return 0 };
        let size = |entry: fs::DirEntry| match entry.metadata() {
            Ok(data) if data.is_dir() => bytes(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        };
        entries.flatten().map(size).sum()
    }
    bytes(path) >> 20
}

#[test]
fn overwriting_the_same_keys_does_not_fill_the_disk() {
    let minutes = number("REMEX_RIG_MINUTES", 0);
    if minutes == 0 {
        return say("overwrites take minutes: cargo xtask crash overwrites --minutes 10");
    }
    let plan = Plan { binary: binary(), nodes: 1, arguments: Vec::new() };
    let cluster = Cluster::start(&plan).unwrap();
    let node = &cluster.nodes()[0];
    let look = || {
        let data = node.data_directory();
        (mebibytes(data), mebibytes(&data.join("log")), mebibytes(&data.join("engine")))
    };
    let duration = format!("{}s", minutes * 60);
    let mut bench = Command::new(binary())
        .args(["bench", "put", "--keys", KEYS, "--duration", &duration, "--endpoints"])
        .arg(format!("http://{}", node.address()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (begun, before, mut most) = (Instant::now(), look(), (0, 0, 0));
    while bench.try_wait().unwrap().is_none() {
        let (total, log, engine) = look();
        most = most.max((total, log, engine));
        say(&format!(
            "{:4.0} s: {total} MiB, log {log}, engine {engine}",
            begun.elapsed().as_secs_f64()
        ));
        thread::sleep(LOOK);
    }
    assert!(bench.wait().unwrap().success());
    let after = look();
    let status = node.look("/v1/status").unwrap().json().unwrap();
    say(&format!(
        "total, log, engine in MiB: before {before:?}, after {after:?}, most {most:?}, revision {}",
        status["revision"]
    ));
    assert!(most.0 < TOTAL_MIB_MAX, "{most:?}");
}
