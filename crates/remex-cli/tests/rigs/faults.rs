//! Calls that fail: `EIO` ends the node at once, for good and in plain words, and no sync is ever
//! tried again; a full disk and short writes do not, and lose nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use remex_testkit::cluster::Cluster;

use crate::life::{Context, JOBS, Lived, in_parallel, live, prepare, revive, writers};
use crate::settings::{number, say, skip, spread};
use crate::shim::{Calls, Fault, Plan, Shim};

/// What CI can afford, in faults.
const POINTS_IN_CI: usize = 20;

/// What fails, and where: the fault, the files, the calls, and how many in a row.
const FAULTS: [(Fault, &str, Calls, usize); 10] = [
    (Fault::Eio, "/log/", Calls::Syncs, 1),
    (Fault::Eio, "/log/", Calls::Writes, 1),
    (Fault::Eio, "/engine/", Calls::Syncs, 1),
    (Fault::Eio, "/engine/", Calls::Writes, 1),
    (Fault::Enospc, "/log/", Calls::All, 1),
    (Fault::Enospc, "/log/", Calls::All, 12),
    (Fault::Enospc, "/engine/", Calls::All, 1),
    (Fault::Enospc, "/engine/", Calls::All, 40),
    (Fault::Short, "/log/", Calls::Writes, 3),
    (Fault::Short, "/engine/", Calls::Writes, 3),
];

#[test]
fn calls_that_fail_cost_nothing_that_was_acknowledged() {
    let shim = match Shim::build() {
        Ok(shim) => shim,
        Err(missing) => return skip("calls that fail", &missing),
    };
    let begun = Instant::now();
    let wanted = number("REMEX_RIG_POINTS", POINTS_IN_CI) / FAULTS.len();
    let mut points = Vec::new();
    for (fault, only, calls, span) in FAULTS {
        let (mut cluster, mut writers) = (prepare(1), writers());
        let plan = Plan { only, calls, fault: None };
        let counted = live(&mut cluster, &mut writers, &shim, plan).trace.calls();
        assert!(counted > 10, "too little happens in {only} to prove anything: {counted}");
        let plan = |point| Plan { fault: Some((fault, point, span)), ..plan };
        points.extend(spread(counted, wanted).into_iter().map(plan));
    }
    let hit = AtomicUsize::new(0);
    in_parallel(&points, JOBS, |plan| {
        hit.fetch_add(usize::from(fail_at(&shim, *plan)), Ordering::Relaxed);
    });
    let (hit, all) = (hit.into_inner(), points.len());
    say(&format!("{hit} of {all} calls failed as planned, in {:.0?}", begun.elapsed()));
    assert!(hit * 10 >= all * 8, "only {hit} of {all} points came up");
}

/// Lets a call fail, looks how the node takes it, starts it again and looks what it holds. Returns
/// whether the call came.
fn fail_at(shim: &Shim, plan: Plan) -> bool {
    let (mut cluster, mut writers) = (prepare(1), writers());
    let lived = live(&mut cluster, &mut writers, shim, plan);
    let hurt = lived.trace.hurt();
    let context = Context(format!("{plan:?}: {hurt:?}, ended {:?}", lived.ended));
    if !hurt.is_empty() {
        if plan.is_deadly() {
            assert_ended_well(&cluster, &lived, "Input/output error");
        } else if !lived.ended.success() {
            // A segment's blocks exist before it is used: a file system that has no room for them all
            // the same has broken a promise, and what the segment holds is anybody's guess.
            let in_segment = hurt.iter().any(|line| is_write_into_segment(line));
            // A node that has no room to begin with does not begin.
            let served = cluster.nodes()[0].logs().stdout().unwrap().contains("serves");
            let may_end = in_segment || !served;
            assert!(may_end, "{hurt:?} must not end a node\n{}", cluster.log_tails());
            assert_ended_well(&cluster, &lived, "No space left on device");
        }
    }
    revive(cluster.node(0), &mut writers);
    drop(context);
    !hurt.is_empty()
}

fn is_write_into_segment(line: &str) -> bool {
    let file = line.split(' ').nth(2).unwrap_or_default();
    line.contains(" pwrite ") && file.starts_with("/log/") && file.ends_with(".log")
}

/// The node ended by itself, said why in one line, and never synced that file again.
fn assert_ended_well(cluster: &Cluster, lived: &Lived, reason: &str) {
    let said = cluster.nodes()[0].logs().stderr().unwrap();
    assert_eq!(lived.ended.code(), Some(1), "{said}");
    let complaint = said.lines().rfind(|line| line.starts_with("error")).unwrap_or_default();
    assert!(complaint.contains(reason), "no reason in the last error line: {said}");
    let syncs = lived.trace.syncs_after_hurt();
    assert!(syncs.is_empty(), "synced again after a failure: {syncs:?}");
}
