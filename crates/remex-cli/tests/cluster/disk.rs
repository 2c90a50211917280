//! Damage on disk: a torn tail was never acknowledged and is cut; a damaged middle was, and is not:
//! it comes back from the other members, and where there are none the node names the place and stops.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use remex_testkit::cluster::{Cluster, PATIENCE};
use remex_testkit::http::HttpClient;

use crate::{
    MUCH, get, node_id, put, start, start_small, wait_for, wait_said, wait_voters, write_much,
};

/// Unit of the log's format (`docs/data-format.md`): segments and groups begin at a multiple.
const BLOCK: usize = 4096;
const SEGMENT_MAGIC: &[u8] = b"REMEXLOG";
const GROUP_MAGIC: &[u8] = b"RXLG";

/// A segment of the log of a node that is down.
struct Segment {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Offsets of its groups. The first block is the segment's header.
    groups: Vec<usize>,
}

impl Segment {
    /// The segment that the node wrote to last.
    fn newest(data_directory: &Path) -> Self {
        let mut newest: Option<(u64, PathBuf, Vec<u8>)> = None;
        for entry in fs::read_dir(data_directory.join("log")).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            if !bytes.starts_with(SEGMENT_MAGIC) || bytes.get(BLOCK..).is_none() {
                continue;
            }
            let sequence = u64::from_le_bytes(bytes[32..40].try_into().unwrap());
            // A spare that waits to be used again carries an old header under another name.
            let groups = bytes[BLOCK..].starts_with(GROUP_MAGIC);
            if groups && newest.as_ref().is_none_or(|(known, _, _)| *known < sequence) {
                newest = Some((sequence, path, bytes));
            }
        }
        let (_, path, bytes) = newest.expect("a node that was written to has a segment");
        // A group is marked with the low half of the segment's salt.
        let mark = [GROUP_MAGIC, &bytes[40..44]].concat();
        let blocks = (BLOCK..bytes.len()).step_by(BLOCK);
        let groups = blocks.filter(|offset| bytes[*offset..].starts_with(&mark)).collect();
        Self { path, bytes, groups }
    }

    fn write(&self) {
        fs::write(&self.path, &self.bytes).unwrap();
    }
}

/// A node with some data that was killed.
fn killed(nodes: usize) -> Cluster {
    let mut cluster = start(nodes);
    for number in 0..50 {
        put(&cluster.nodes()[0], &format!("key/{number}"), &format!("value {number}"));
    }
    cluster.node(0).kill().unwrap();
    cluster
}

#[test]
fn a_torn_tail_is_cut_and_the_log_says_so() {
    let mut cluster = killed(1);
    let mut segment = Segment::newest(cluster.nodes()[0].data_directory());
    // A power failure in the middle of a write: the group's first bytes are there, the rest is
    // what the disk held before.
    let last = *segment.groups.last().unwrap();
    let end = (last + BLOCK..)
        .step_by(BLOCK)
        .find(|offset| segment.bytes[*offset..*offset + BLOCK].iter().all(|byte| *byte == 0))
        .unwrap();
    let head = segment.bytes[last..last + 8].to_vec();
    segment.bytes[end..end + 8].copy_from_slice(&head);
    segment.bytes[end + 8..end + 700].fill(0xAB);
    segment.write();

    let said_before = cluster.nodes()[0].logs().stderr().unwrap().len();
    cluster.node(0).start().unwrap();
    cluster.wait_ready().unwrap();
    let said = cluster.nodes()[0].logs().stderr().unwrap()[said_before..].to_lowercase();
    let file = segment.path.file_name().unwrap().to_string_lossy().to_lowercase();
    let cut = said.lines().find(|line| line.contains("torn") || line.contains("cut"));
    let cut = cut.unwrap_or_else(|| panic!("no word of the torn tail:\n{said}"));
    assert!(cut.contains(&file), "{cut} does not name {file}");
    for number in 0..50 {
        let value = get(&cluster.nodes()[0], &format!("key/{number}"));
        assert_eq!(value, format!("value {number}"));
    }
    put(&cluster.nodes()[0], "after", "the cut");
}

#[test]
fn a_damaged_middle_stops_the_node_and_names_file_and_offset() {
    let mut cluster = killed(1);
    let mut segment = Segment::newest(cluster.nodes()[0].data_directory());
    assert!(segment.groups.len() > 10, "{} groups", segment.groups.len());
    let damaged = segment.groups[segment.groups.len() / 2];
    segment.bytes[damaged + 64] ^= 1;
    segment.write();

    let node = cluster.node(0);
    let said_before = node.logs().stderr().unwrap().len();
    node.start().unwrap();
    let status = node.wait_exit(PATIENCE).unwrap();
    let said = node.logs().stderr().unwrap()[said_before..].to_owned();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {said}");
    let complaint = said.lines().last().unwrap_or_default();
    for part in [segment.path.parent().unwrap(), Path::new(segment.path.file_name().unwrap())] {
        let part = part.display().to_string();
        assert!(complaint.contains(&part), "no {part} in: {said}");
    }
    assert!(complaint.contains(&damaged.to_string()), "no offset {damaged} in: {said}");
    // It stays so: nothing was cut or repaired in passing.
    assert_eq!(fs::read(&segment.path).unwrap(), segment.bytes);
}

/// Flips a bit in the middle of every table of a node's engine, in place.
fn rot_engine(data_directory: &Path) {
    let mut flipped = 0;
    for entry in fs::read_dir(data_directory.join("engine").join("tables")).unwrap() {
        let path = entry.unwrap().path();
        // A table may go at any moment: it was merged with others.
        let Ok(file) = fs::OpenOptions::new().read(true).write(true).open(&path) else { continue };
        let place = file.metadata().unwrap().len() / 2;
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], place).unwrap();
        flipped += 1;
    }
    assert!(flipped > 0, "no table to damage in {}", data_directory.display());
}

/// Waits until a node has counted a repair with this cause, and takes requests again.
fn wait_repaired(cluster: &mut Cluster, node: usize, cause: &str) {
    wait_for("a repair", || {
        let repairs = cluster.nodes()[node].metric("remex_repairs_total", cause);
        repairs.is_ok_and(|repairs| repairs >= Some(1.0))
    });
    cluster.wait_ready().unwrap();
    wait_voters(cluster, node, &["n1", "n2", "n3"]);
    wait_said(&[&cluster.nodes()[node]], &["damaged", cause]);
}

#[test]
fn damage_in_the_log_of_a_stopped_member_is_repaired_from_the_others() {
    let mut cluster = killed(3);
    let mut segment = Segment::newest(cluster.nodes()[0].data_directory());
    let damaged = segment.groups[segment.groups.len() / 2];
    segment.bytes[damaged + 64] ^= 1;
    segment.write();
    let leader = cluster.wait_leader().unwrap();
    put(&cluster.nodes()[leader], "meanwhile", "1");
    cluster.node(0).start().unwrap();
    wait_repaired(&mut cluster, 0, "log");
    let file = segment.path.file_name().unwrap().to_string_lossy().into_owned();
    wait_said(&[&cluster.nodes()[0]], &[&file, &damaged.to_string()]);
    assert_eq!(get(&cluster.nodes()[0], "meanwhile"), "1");
    assert_eq!(get(&cluster.nodes()[0], "key/49"), "value 49");
    // It counts again.
    cluster.node(1).kill().unwrap();
    put(&cluster.nodes()[0], "after", "the repair");
}

#[test]
fn damage_under_a_running_member_is_repaired_from_the_others() {
    let mut cluster = start_small(3);
    write_much(&cluster.nodes()[0]);
    let victim = (cluster.wait_leader().unwrap() + 1) % 3;
    let id = node_id(&cluster.nodes()[victim]);
    rot_engine(cluster.nodes()[victim].data_directory());
    // Whoever reads what is damaged gets an error or the right value, never a wrong one. What was
    // read or written lately is in memory: a backup reads everything.
    let mut number = 0;
    let mut client = HttpClient::new(cluster.nodes()[victim].address(), PATIENCE);
    wait_for("a repair of the engine", || {
        let target = format!("/v1/kv/much/{:04}?consistency=stale", number % MUCH);
        number += 1;
        let node = &cluster.nodes()[victim];
        if let Ok(reply) = node.look(&target)
            && reply.status == 200
        {
            assert_eq!(reply.text(), "v".repeat(15_000));
        }
        drop(client.get("/v1/snapshot"));
        node.metric("remex_repairs_total", "engine").is_ok_and(|repairs| repairs >= Some(1.0))
    });
    wait_repaired(&mut cluster, victim, "engine");
    assert_eq!(node_id(&cluster.nodes()[victim]), id, "its promises are in its log");
    for number in 0..MUCH {
        let value = get(&cluster.nodes()[victim], &format!("much/{number:04}"));
        assert_eq!(value.len(), 15_000);
    }

    // The log is read when a node starts: a crash brings the damage to light.
    for number in 0..20 {
        put(&cluster.nodes()[victim], "color", &number.to_string());
    }
    let mut segment = Segment::newest(cluster.nodes()[victim].data_directory());
    let damaged = segment.groups[segment.groups.len() / 2];
    segment.bytes[damaged + 64] ^= 1;
    let file = fs::OpenOptions::new().write(true).open(&segment.path).unwrap();
    file.write_all_at(&segment.bytes[damaged..damaged + BLOCK], damaged as u64).unwrap();
    cluster.node(victim).kill().unwrap();
    cluster.node(victim).start().unwrap();
    wait_repaired(&mut cluster, victim, "log");
    assert_ne!(node_id(&cluster.nodes()[victim]), id, "nobody knows what it had promised");
    assert_eq!(get(&cluster.nodes()[victim], "color"), "19");
}

#[test]
fn damage_in_the_engine_of_a_stopped_member_is_repaired_and_that_of_a_single_node_is_named() {
    let mut cluster = start_small(3);
    write_much(&cluster.nodes()[0]);
    let victim = (cluster.wait_leader().unwrap() + 1) % 3;
    cluster.node(victim).kill().unwrap();
    rot_engine(cluster.nodes()[victim].data_directory());
    let other = (victim + 1) % 3;
    put(&cluster.nodes()[other], "color", "blue");
    cluster.node(victim).start().unwrap();
    wait_repaired(&mut cluster, victim, "engine");
    assert_eq!(get(&cluster.nodes()[victim], "color"), "blue");

    let mut alone = start_small(1);
    write_much(&alone.nodes()[0]);
    rot_engine(alone.nodes()[0].data_directory());
    alone.node(0).kill().unwrap();
    let node = alone.node(0);
    let said_before = node.logs().stderr().unwrap().len();
    node.start().unwrap();
    // Nobody has what it lost: it ends, at once or when it reads that place.
    let status = node.wait_exit(PATIENCE).unwrap();
    let said = node.logs().stderr().unwrap()[said_before..].to_owned();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {said}");
    let complaint = said.lines().last().unwrap_or_default();
    assert!(complaint.contains("/engine/tables/") && complaint.contains("at byte "), "{said}");
}
