//! One life of a node under a small, steady load, and what must hold afterwards.

use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use remex_testkit::cluster::{Cluster, Node, PATIENCE, Plan};

use crate::settings::{binary, say};
use crate::shim::{Plan as Faults, Shim, Trace};
use crate::writer::{Step, Writer, client, revision};

/// Sizes that make much happen in a second: segments change, buffers are written, tables are
/// merged, the log is trimmed.
pub(crate) const SMALL: [&str; 10] = [
    "--segment-bytes",
    "384KiB",
    "--max-request-bytes",
    "64KiB",
    "--max-batch-ops",
    "16",
    "--log-keep-bytes",
    "64KiB",
    "--buffer-bytes",
    "96KiB",
];

/// Lives at a time.
pub(crate) const JOBS: usize = 2;

/// Pause of a writer between two writes: the background threads look for work every 50 ms, and are
/// to find some.
const THINK_TIME: Duration = Duration::from_millis(4);

/// Old revisions that each writer reads.
const READS_OF_THE_PAST: usize = 12;

/// Nodes that are not started, with small sizes.
pub(crate) fn prepare(nodes: usize) -> Cluster {
    let arguments = SMALL.map(str::to_owned).to_vec();
    Cluster::prepare(&Plan { binary: binary(), nodes, arguments }).unwrap()
}

pub(crate) fn writers() -> Vec<Writer> {
    (0..2).map(Writer::new).collect()
}

/// Writes of each writer in a life.
pub(crate) const STEPS: usize = 110;

/// Waits until the node takes requests, or has ended: it says how then.
pub(crate) fn wait_up(node: &mut Node) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while !node.look("/readyz").is_ok_and(|reply| reply.status == 200) {
        if let Ok(status) = node.wait_exit(Duration::ZERO) {
            return Some(status);
        }
        let tail = || node.logs().tail();
        assert!(Instant::now() < deadline, "neither ready nor dead after {PATIENCE:?}\n{}", tail());
        thread::sleep(Duration::from_millis(3));
    }
    None
}

/// Lets every writer write this often, or until the node is gone.
pub(crate) fn load(node: &Node, writers: &mut [Writer], steps: usize) {
    thread::scope(|scope| {
        for writer in writers {
            scope.spawn(move || {
                let mut http = client(node.address());
                for _ in 0..steps {
                    if writer.step(&mut http) == Step::Lost {
                        return;
                    }
                    thread::sleep(THINK_TIME);
                }
            });
        }
    });
}

/// How a life went.
#[derive(Debug)]
pub(crate) struct Lived {
    /// The calls that were counted.
    pub(crate) trace: Trace,
    /// How the process ended.
    pub(crate) ended: ExitStatus,
}

/// Lives until a fault ends it, or to a proper end.
pub(crate) fn live(
    cluster: &mut Cluster,
    writers: &mut [Writer],
    shim: &Shim,
    faults: Faults,
) -> Lived {
    let path = cluster.directory().join("trace");
    let node = cluster.node(0);
    node.set_variables(shim.variables(node.data_directory(), &path, faults));
    node.start().unwrap();
    let ended = wait_up(node).unwrap_or_else(|| {
        load(node, writers, STEPS);
        let hurt = !Trace::read(&path).hurt().is_empty();
        if !hurt || !faults.is_deadly() {
            // The end of a life that is told to end is part of it.
            node.terminate().unwrap();
        }
        node.wait_exit(PATIENCE).unwrap()
    });
    Lived { trace: Trace::read(&path), ended }
}

/// Compares everything with what was acknowledged, the past too.
pub(crate) fn verify(node: &Node, writers: &mut [Writer]) {
    verify_present(node, writers);
    let mut http = client(node.address());
    for writer in writers {
        writer.verify_past(&mut http, READS_OF_THE_PAST);
    }
}

/// Compares everything with what was acknowledged.
pub(crate) fn verify_present(node: &Node, writers: &mut [Writer]) {
    let mut http = client(node.address());
    for writer in writers.iter_mut() {
        writer.verify(&mut http);
    }
    let changes: u64 = writers.iter().map(Writer::changes).sum();
    // A store begins at revision 1.
    assert_eq!(revision(&mut http), 1 + changes, "revisions that no write took, or took twice");
}

/// Starts the node as ever, and demands that it comes up, holds everything, and goes on.
pub(crate) fn revive(node: &mut Node, writers: &mut [Writer]) {
    node.set_variables(Vec::new());
    node.start().unwrap();
    node.wait_ready().unwrap();
    verify(node, writers);
    load(node, writers, 3);
    verify(node, writers);
}

/// Copies a directory with what is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Says where it was when a check panics.
pub(crate) struct Context(pub(crate) String);

impl Drop for Context {
    fn drop(&mut self) {
        if thread::panicking() {
            say(&self.0);
        }
    }
}

/// Does something for each item, some at a time. A panic in one of them ends all.
pub(crate) fn in_parallel<T: Sync>(items: &[T], jobs: usize, work: impl Fn(&T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(item) =
                    items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    work(item);
                }
            });
        }
    });
}
