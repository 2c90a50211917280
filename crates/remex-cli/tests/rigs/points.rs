//! One node, killed at every call that changes its files, in two lives: its first one, and one
//! that begins with what an earlier kill has left.
//!
//! A life of the same load makes nearly the same calls every time; the background threads put some
//! of them elsewhere. So the calls are counted once and then chosen by number. A life that ends
//! before its number comes up was a little shorter; it is counted, and must be rare.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use remex_testkit::cluster::Cluster;
use tempfile::TempDir;

use crate::life::{
    Context, JOBS, SMALL, STEPS, copy, in_parallel, live, load, prepare, revive, writers,
};
use crate::settings::{number, say, skip, spread};
use crate::shim::{Calls, Fault, Plan, Shim};
use crate::writer::Writer;

/// What CI can afford, in kills.
const POINTS_IN_CI: usize = 20;

/// Calls from the beginning of a first life in which the node makes its folders, and more.
const CALLS_OF_A_START: usize = 60;

/// How a life begins.
struct Start {
    name: &'static str,
    /// Data to begin with, and what the writers know of it.
    data: Option<(PathBuf, Vec<Writer>)>,
    /// Whether log and engine have folders of their own.
    elsewhere: bool,
}

impl Start {
    /// A node that is not started, with its writers.
    fn prepare(&self) -> (Cluster, Vec<Writer>) {
        let mut cluster = prepare(1);
        if self.elsewhere {
            let data = cluster.nodes()[0].data_directory().display().to_string();
            let folders = [format!("--log-dir={data}-fast"), format!("--engine-dir={data}-big")];
            let small = SMALL.map(str::to_owned).into_iter();
            cluster.node(0).set_flags(&small.chain(folders).collect::<Vec<_>>());
        }
        match &self.data {
            None => (cluster, writers()),
            Some((data, writers)) => {
                copy(data, cluster.nodes()[0].data_directory());
                (cluster, writers.clone())
            }
        }
    }
}

#[test]
fn a_node_that_is_killed_at_any_call_keeps_what_it_acknowledged() {
    let shim = match Shim::build() {
        Ok(shim) => shim,
        Err(missing) => return skip("crash points of one node", &missing),
    };
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let starts = [Start { name: "first", data: None, elsewhere: false }, leftover(&folder)];
    let wanted = number("REMEX_RIG_POINTS", POINTS_IN_CI);
    let mut points = Vec::new();
    for start in &starts {
        let (mut cluster, mut writers) = start.prepare();
        let calls = live(&mut cluster, &mut writers, &shim, Plan::COUNT).trace.calls();
        revive(cluster.node(0), &mut writers);
        let acknowledged: usize = writers.iter().map(Writer::acknowledged).sum();
        say(&format!("life {}: {calls} calls, {acknowledged} changes", start.name));
        assert!(calls > 300 && acknowledged > 150, "too little happens to prove anything");
        for fault in [Fault::Before, Fault::Half] {
            points.extend(spread(calls, wanted / 4).into_iter().map(|point| (start, fault, point)));
        }
    }
    let hit = AtomicUsize::new(0);
    in_parallel(&points, JOBS, |&(start, fault, point)| {
        hit.fetch_add(usize::from(kill_at(start, &shim, fault, point)), Ordering::Relaxed);
    });
    let (hit, all) = (hit.into_inner(), points.len());
    say(&format!("{hit} of {all} crash points hit, in {:.0?}", begun.elapsed()));
    assert!(hit * 10 >= all * 8, "only {hit} of {all} points came up");
}

#[test]
fn a_first_start_with_folders_of_its_own_may_be_killed_at_any_call() {
    let shim = match Shim::build() {
        Ok(shim) => shim,
        Err(missing) => return skip("crash points of a first start", &missing),
    };
    let begun = Instant::now();
    let start = Start { name: "elsewhere", data: None, elsewhere: true };
    let wanted = number("REMEX_RIG_POINTS", POINTS_IN_CI) / 2;
    let points = spread(CALLS_OF_A_START, wanted).into_iter();
    let points: Vec<(Fault, usize)> =
        points.flat_map(|point| [(Fault::Before, point), (Fault::Half, point)]).collect();
    let hit = AtomicUsize::new(0);
    in_parallel(&points, JOBS, |&(fault, point)| {
        hit.fetch_add(usize::from(kill_at(&start, &shim, fault, point)), Ordering::Relaxed);
    });
    let (hit, all) = (hit.into_inner(), points.len());
    say(&format!("{hit} of {all} points of a first start hit, in {:.0?}", begun.elapsed()));
    assert_eq!(hit, all, "every start makes more calls than these");
}

/// A node's data as a kill has left it in the middle of its work.
fn leftover(folder: &TempDir) -> Start {
    let (mut cluster, mut writers) = (prepare(1), writers());
    let node = cluster.node(0);
    node.start().unwrap();
    node.wait_ready().unwrap();
    load(node, &mut writers, STEPS);
    node.kill().unwrap();
    let data = folder.path().join("data");
    copy(node.data_directory(), &data);
    Start { name: "again", data: Some((data, writers)), elsewhere: false }
}

/// Kills a node at one call, starts it again and looks. Returns whether the call came.
fn kill_at(start: &Start, shim: &Shim, fault: Fault, point: usize) -> bool {
    let (mut cluster, mut writers) = start.prepare();
    let plan = Plan { only: "", calls: Calls::All, fault: Some((fault, point, 1)) };
    let trace = live(&mut cluster, &mut writers, shim, plan).trace;
    let hurt = trace.hurt();
    // What follows may panic: this says where.
    let context = Context(format!("life {}, killed {fault:?} call {point}: {hurt:?}", start.name));
    revive(cluster.node(0), &mut writers);
    drop(context);
    !hurt.is_empty()
}
