//! Nodes that are further behind than the log reaches, backups, and a majority that is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use remex_testkit::cluster::{Cluster, Node, Patience};

use crate::{
    MUCH, cluster_id, done, get, put, remex, run, small, start, start_small, wait_for, wait_voters,
    write_much,
};

/// Writes some megabytes while a node is down, more than the log keeps.
fn leave_behind(cluster: &mut Cluster, node: usize) {
    cluster.node(node).kill().unwrap();
    let leader = cluster.wait_leader().unwrap();
    write_much(&cluster.nodes()[leader]);
}

#[test]
fn t24_r13_u17_who_was_away_for_longer_than_the_log_reaches_comes_back_by_a_snapshot() {
    let mut cluster = start_small(3);
    let behind = (cluster.wait_leader().unwrap() + 1) % 3;
    leave_behind(&mut cluster, behind);
    put(&cluster.nodes()[(behind + 1) % 3], "color", "blue");
    cluster.node(behind).start().unwrap();
    cluster.wait_ready().unwrap();
    let node = &cluster.nodes()[behind];
    assert_eq!(get(node, "color"), "blue");
    assert_eq!(get(node, &format!("much/{:04}", MUCH - 1)).len(), 15_000);
    let installed = node.metric("remex_snapshots_installed_total", "").unwrap();
    assert!(installed.is_some_and(|number| number >= 1.0), "{installed:?}");
    let sent = |node: &Node| node.metric("remex_snapshots_sent_total", "").unwrap().unwrap_or(0.0);
    let sent: f64 = cluster.nodes().iter().map(sent).sum();
    assert!(sent >= 1.0, "nobody says that it sent one");

    // From there it goes on as everybody else does, after a crash too.
    cluster.node(behind).kill().unwrap();
    put(&cluster.nodes()[(behind + 1) % 3], "color", "green");
    cluster.node(behind).start().unwrap();
    cluster.wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[behind], "color"), "green");
}

/// What has come of a snapshot on a node's disk, if one is on its way.
fn on_its_way(node: &Node) -> Option<u64> {
    let entries = fs::read_dir(node.data_directory().join("snapshots")).ok()?;
    let is_part = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("incoming-"))
    };
    let part = entries.flatten().map(|entry| entry.path()).find(is_part)?;
    fs::metadata(part).ok().map(|metadata| metadata.len())
}

/// Lets a node run for a moment at a time until a part of a snapshot has come, and leaves it
/// stopped there. `false`, and the node runs, if it all came too fast.
fn stop_in_the_middle(cluster: &Cluster, receiver: usize) -> bool {
    let node = &cluster.nodes()[receiver];
    let mut patience = Patience::default();
    loop {
        for _ in 0..200 {
            node.pause().unwrap();
            if on_its_way(node).is_some_and(|bytes| bytes > 0) {
                return true;
            }
            node.resume().unwrap();
            thread::sleep(STEP);
        }
        if node.look("/readyz").is_ok_and(|reply| reply.status == 200) {
            return false;
        }
        assert!(patience.pause(), "no snapshot comes\n{}", cluster.log_tails());
    }
}

/// How long a node runs between two looks at what it has fetched.
const STEP: Duration = Duration::from_millis(1);

#[test]
fn a_snapshot_that_is_cut_off_goes_on_where_it_stopped_and_hurts_neither_side() {
    let mut cluster = start_small(3);
    let (mut cuts, mut resumed) = (0, 0);
    let behind = (cluster.wait_leader().unwrap() + 1) % 3;
    for round in 0..8 {
        if cuts >= 4 && resumed > 0 {
            break;
        }
        leave_behind(&mut cluster, behind);
        let sender = cluster.wait_leader().unwrap();
        let said_before = cluster.nodes()[behind].logs().stderr().unwrap().len();
        cluster.node(behind).start().unwrap();
        cuts += usize::from(stop_in_the_middle(&cluster, behind));
        // In turns, the receiver dies twice and the sender once.
        let victim = if round % 3 == 2 { sender } else { behind };
        cluster.node(victim).kill().unwrap();
        cluster.nodes()[behind].resume().ok();
        cluster.node(victim).start().unwrap();
        cluster.wait_ready().unwrap();
        let node = &cluster.nodes()[behind];
        let said = node.logs().stderr().unwrap()[said_before..].to_owned();
        resumed += usize::from(said.contains("goes on where it stopped"));
        assert_eq!(get(node, &format!("much/{:04}", MUCH - 1)).len(), 15_000);
        put(node, "round", &round.to_string());
        for node in cluster.nodes() {
            assert_eq!(get(node, "round"), round.to_string());
        }
    }
    assert!(cuts >= 3, "only {cuts} transfers were met in the middle");
    assert!(resumed > 0, "none of {cuts} went on where it stopped");
}

/// A path as an argument.
fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_backup_is_saved_verified_and_founds_a_cluster_that_others_join() {
    let mut cluster = start(3);
    put(&cluster.nodes()[0], "color", "blue");
    put(&cluster.nodes()[0], "color", "green");
    let id = cluster_id(&cluster.nodes()[0]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    let said = done(remex(&cluster.nodes()[1], &["snapshot", "save", &text(&file)]));
    assert!(said.contains(&text(&file)), "{said}");
    let verified = done(run(&["snapshot", "verify", &text(&file), "-o", "json"]));
    let verified: serde_json::Value = serde_json::from_str(&verified).unwrap();
    let revision = verified["revision"].as_f64().unwrap();
    // Written later: not in the backup.
    put(&cluster.nodes()[0], "color", "red");

    // One bit is noticed, and founds nothing.
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = directory.path().join("damaged");
    fs::write(&damaged, bytes).unwrap();
    assert_eq!(run(&["snapshot", "verify", &text(&damaged)]).code, Some(8));
    for node in cluster.nodes_mut() {
        node.kill().unwrap();
    }
    let mut fresh = cluster.nodes()[0].data_directory().to_owned();
    fs::remove_dir_all(&fresh).unwrap();
    let restore = |file: &Path, into: &Path| {
        run(&["snapshot", "restore", &text(file), "--data-dir", &text(into), "--name", "n1"])
    };
    assert_eq!(restore(&damaged, &fresh).code, Some(8));
    fs::remove_dir_all(&fresh).ok();
    let new_id = done(restore(&file, &fresh)).trim().to_owned();
    assert_ne!(new_id, id);
    // A directory that holds anything is left alone.
    assert_eq!(restore(&file, &fresh).code, Some(9));

    cluster.node(0).set_flags(&[]);
    cluster.node(0).start().unwrap();
    cluster.wait_ready().unwrap();
    assert_eq!(cluster_id(&cluster.nodes()[0]), new_id);
    assert_eq!(get(&cluster.nodes()[0], "color"), "green");
    let now = cluster.nodes()[0].metric("remex_revision", "").unwrap();
    assert_eq!(now, Some(revision), "revisions go on");
    // Those that belong to the old cluster must forget it first.
    fresh = cluster.nodes()[1].data_directory().to_owned();
    fs::remove_dir_all(&fresh).unwrap();
    let address = cluster.nodes()[0].peer_address().to_string();
    cluster.node(1).set_flags(&["--join".to_owned(), address]);
    cluster.node(1).start().unwrap();
    wait_voters(&cluster, 0, &["n1", "n2"]);
    cluster.wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[1], "color"), "green");
}

#[test]
fn the_survivor_of_a_lost_majority_founds_a_cluster_by_one_command() {
    let mut cluster = Cluster::start(&small(3)).unwrap();
    let id = cluster_id(&cluster.nodes()[0]);
    write_much(&cluster.nodes()[0]);
    put(&cluster.nodes()[2], "color", "blue");
    assert_eq!(get(&cluster.nodes()[0], "color"), "blue");
    let data = text(cluster.nodes()[0].data_directory());
    let recover = ["cluster", "recover", "--data-dir", &data];
    // Not while it runs, and not without being asked to.
    assert_eq!(run(&[&recover[..], &["--yes"]].concat()).code, Some(9));
    for node in cluster.nodes_mut() {
        node.kill().unwrap();
    }
    for lost in [1, 2] {
        fs::remove_dir_all(cluster.nodes()[lost].data_directory()).unwrap();
    }
    let asked = run(&recover);
    assert_eq!(asked.code, Some(9), "{asked:?}");
    assert!(asked.stderr.contains("LOST") && asked.stderr.contains("n2, n3"), "{asked:?}");
    cluster.node(0).start().unwrap();
    cluster.node(0).wait_reply("/readyz", |reply| reply.status == 503).unwrap();
    cluster.node(0).kill().unwrap();

    let new_id = done(run(&[&recover[..], &["--yes"]].concat())).trim().to_owned();
    assert_ne!(new_id, id);
    cluster.node(0).start().unwrap();
    cluster.wait_ready().unwrap();
    assert_eq!(cluster_id(&cluster.nodes()[0]), new_id);
    assert_eq!(get(&cluster.nodes()[0], "color"), "blue");
    assert_eq!(get(&cluster.nodes()[0], &format!("much/{:04}", MUCH - 1)).len(), 15_000);
    put(&cluster.nodes()[0], "color", "green");
    // The others come with empty disks, and the command line that they always had.
    for lost in [1, 2] {
        cluster.node(lost).start().unwrap();
    }
    wait_for("all three", || {
        cluster.nodes()[1].look("/readyz").is_ok_and(|reply| reply.status == 200)
    });
    wait_voters(&cluster, 0, &["n1", "n2", "n3"]);
    cluster.wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[2], "color"), "green");
}
