//! Damage on disk: a torn tail was never acknowledged and is cut, a damaged middle was and is not.

use std::fs;
use std::path::{Path, PathBuf};

use remex_testkit::cluster::{Cluster, PATIENCE};

use crate::{get, put, start};

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

#[test]
fn the_rest_of_the_cluster_goes_on_without_a_damaged_node() {
    let mut cluster = killed(3);
    let mut segment = Segment::newest(cluster.nodes()[0].data_directory());
    let damaged = segment.groups[segment.groups.len() / 2];
    segment.bytes[damaged + 64] ^= 1;
    segment.write();
    cluster.node(0).start().unwrap();
    let status = cluster.node(0).wait_exit(PATIENCE).unwrap();
    assert!(!status.success(), "{status}");
    cluster.wait_ready().unwrap();
    for node in &cluster.nodes()[1..] {
        assert_eq!(get(node, "key/49"), "value 49");
    }
}
