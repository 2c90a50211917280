//! The disk is full: puts are refused with 507 and have no effect, reads and deletes go on, a kill
//! in the middle changes nothing, and as soon as there is room puts are taken again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use remex_testkit::cluster::{Cluster, Node, PATIENCE, Plan};

use crate::disks::{Kind, Mount};
use crate::life::{Context, verify_present};
use crate::settings::{binary, say, skip};
use crate::writer::{Step, Writer, client};

/// Size of the file system, and of a file on it that is in the way, in mebibytes.
const DISK_MIB: u64 = 96;
const BALLAST_MIB: u64 = 24;

/// Bytes of a value.
const VALUE_BYTES: usize = 8 * 1024;

/// More puts than any of these disks has room for.
const PUTS_MAX: usize = 100_000;

/// Deletions that must go through while the disk is full.
const DELETES: usize = 300;

/// A file that takes room until it is removed.
struct Ballast(PathBuf);

impl Ballast {
    fn put(folder: &Path) -> Self {
        let path = folder.join("ballast");
        let mut file = File::create(&path).unwrap();
        for _ in 0..BALLAST_MIB {
            file.write_all(&[1; 1 << 20]).unwrap();
        }
        file.sync_all().unwrap();
        Self(path)
    }

    fn remove(self) {
        fs::remove_file(self.0).unwrap();
    }
}

fn prepare(nodes: usize) -> Cluster {
    Cluster::prepare(&Plan { binary: binary(), nodes, arguments: Vec::new() }).unwrap()
}

/// Puts fresh keys until the disk is full. Returns how many were taken. A put may also be refused
/// because those before it have taken all the room there was when it was last measured.
fn fill(node: &Node, writer: &mut Writer) -> usize {
    let mut http = client(node.address());
    let mut taken = 0;
    while taken < PUTS_MAX {
        match writer.put(&mut http, taken, VALUE_BYTES) {
            Step::Acknowledged => taken += 1,
            Step::Refused(507) if is_full(node) => return taken,
            Step::Refused(507) => thread::sleep(Duration::from_millis(20)),
            other => panic!("put {taken}: {other:?}\n{}", node.logs().tail()),
        }
    }
    panic!("{PUTS_MAX} puts have fitted");
}

/// Whether the node says that its disk is full.
fn is_full(node: &Node) -> bool {
    node.look("/v1/status").unwrap().json().unwrap()["disk"]["full"] == true
}

/// Puts until one is taken, and says how long it took. All others must be refused.
fn wait_for_room(node: &Node, writer: &mut Writer) -> Duration {
    let (begun, mut http) = (Instant::now(), client(node.address()));
    loop {
        match writer.put(&mut http, 0, VALUE_BYTES) {
            Step::Acknowledged => return begun.elapsed(),
            Step::Refused(507) if begun.elapsed() < PATIENCE => {}
            other => panic!("{other:?} after {:?}\n{}", begun.elapsed(), node.logs().tail()),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn delete(node: &Node, writer: &mut Writer, deletes: usize) {
    let mut http = client(node.address());
    for number in 0..deletes {
        let step = writer.delete_first(&mut http).expect("there are more keys than deletes");
        assert_eq!(step, Step::Acknowledged, "delete {number}\n{}", node.logs().tail());
    }
}

/// Status and metrics say that the disk is full, or not.
fn wait_says(node: &mut Node, full: bool) {
    let is_right = |reply: &remex_testkit::http::Reply| {
        reply.json().is_ok_and(|status| status["disk"]["full"] == full)
    };
    node.wait_reply("/v1/status", is_right).unwrap();
    let line = format!("\nremex_disk_full {}\n", u8::from(full));
    node.wait_reply("/metrics", |reply| reply.text().contains(&line)).unwrap();
}

/// Waits until a node takes reads: on a full disk it is not ready, but alive.
fn wait_reads(node: &mut Node) {
    node.wait_reply("/v1/kv?limit=1", |reply| reply.status == 200).unwrap();
}

#[test]
fn a_full_disk_refuses_puts_and_nothing_else_until_there_is_room() {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        let mut cluster = prepare(1);
        let data = cluster.nodes()[0].data_directory().to_owned();
        let mount = match Mount::make(kind, DISK_MIB, &data, cluster.directory()) {
            Ok(mount) => mount,
            Err(missing) => return skip("a full disk", &missing),
        };
        let context = Context(format!("one node on a full {kind:?}"));
        let ballast = Ballast::put(&data);
        let node = cluster.node(0);
        node.start().unwrap();
        node.wait_ready().unwrap();
        let mut writers = [Writer::new(0)];
        let taken = fill(node, &mut writers[0]);
        wait_says(node, true);
        verify_present(node, &mut writers);
        delete(node, &mut writers[0], DELETES);

        node.kill().unwrap();
        node.start().unwrap();
        wait_reads(node);
        verify_present(node, &mut writers);
        delete(node, &mut writers[0], 20);

        fill(node, &mut writers[0]);
        ballast.remove();
        let took = wait_for_room(node, &mut writers[0]);
        wait_says(node, false);
        verify_present(node, &mut writers);
        let more = fill(node, &mut writers[0]);
        verify_present(node, &mut writers);
        node.kill().unwrap();
        node.start().unwrap();
        wait_reads(node);
        verify_present(node, &mut writers);
        say(&format!(
            "{kind:?} of {DISK_MIB} MiB: full after {taken} puts of {VALUE_BYTES} bytes; {took:.1?} \
             after {BALLAST_MIB} MiB were given back puts went on, {more} more"
        ));
        drop(cluster);
        drop(mount);
        drop(context);
    }
}

/// Hands leadership to a node, or away from it.
fn lead(cluster: &Cluster, node: usize) {
    let body = format!(r#"{{"to":"{}"}}"#, cluster.nodes()[node].name());
    let mut http = client(cluster.nodes()[node].address());
    let reply = http.request("POST", "/v1/cluster/leader/transfer", &[], body.as_bytes()).unwrap();
    assert!(reply.status == 200, "{}", reply.text());
}

#[test]
fn one_full_disk_of_three_costs_nothing_that_was_acknowledged() {
    for leader_is_full in [true, false] {
        let mut cluster = prepare(3);
        let data = cluster.nodes()[0].data_directory().to_owned();
        let mount = match Mount::make(Kind::Tmpfs, DISK_MIB, &data, cluster.directory()) {
            Ok(mount) => mount,
            Err(missing) => return skip("a full disk of one node of three", &missing),
        };
        let context = Context(format!("three nodes, the leader's disk is full: {leader_is_full}"));
        let ballast = Ballast::put(&data);
        for node in cluster.nodes_mut() {
            node.start().unwrap();
        }
        cluster.wait_ready().unwrap();
        lead(&cluster, usize::from(!leader_is_full));
        let mut writers = [Writer::new(0)];
        // The leader's client, or one of the full follower.
        let taken = fill(cluster.node(0), &mut writers[0]);
        wait_says(cluster.node(0), true);
        let (mut http, mut others) = (client(cluster.nodes()[1].address()), 0);
        if !leader_is_full {
            // The others need neither this node nor its disk.
            for number in 0..300 {
                let step = writers[0].put(&mut http, number, VALUE_BYTES);
                assert_eq!(step, Step::Acknowledged, "put {number} with a full follower");
                others += 1;
            }
        }
        delete(&cluster.nodes()[1], &mut writers[0], DELETES);
        verify_present(&cluster.nodes()[1], &mut writers);

        cluster.node(0).kill().unwrap();
        delete(&cluster.nodes()[1], &mut writers[0], 20);
        cluster.node(0).start().unwrap();
        if leader_is_full {
            // Whoever leads now has room.
            wait_for_room(&cluster.nodes()[1], &mut writers[0]);
        }
        ballast.remove();
        let took = wait_for_room(&cluster.nodes()[1], &mut writers[0]);
        cluster.wait_ready().unwrap();
        for node in cluster.nodes() {
            verify_present(node, &mut writers);
        }
        say(&format!(
            "three nodes, one with {DISK_MIB} MiB, leader {leader_is_full}: full after {taken} puts, \
             {others} more through the others, {took:.1?} until puts went on"
        ));
        drop(cluster);
        drop(mount);
        drop(context);
    }
}
