//! One node of three that is too far behind fetches a snapshot and installs it, and is killed at
//! every call that changes its files on the way; and so is one that comes back without its disk,
//! and is taken in anew.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use remex_testkit::cluster::{Cluster, Node, PATIENCE};
use remex_testkit::http::Reply;

use crate::life::{Context, in_parallel, load, prepare, verify, wait_up, writers};
use crate::settings::{number, say, skip, spread};
use crate::shim::{Calls, Fault, Plan, Shim, Trace};
use crate::writer::Writer;

/// What CI can afford, in kills.
const POINTS_IN_CI: usize = 4;

/// Writes of each writer while the victim is down: more than the others keep of their logs.
const STEPS_AWAY: usize = 150;

/// The node that is killed.
const VICTIM: usize = 2;

/// Three nodes and their writers, who talk to the first one.
struct Trio {
    cluster: Cluster,
    writers: Vec<Writer>,
    /// Whether the victim loses its disk each time it is away.
    wipe: bool,
}

impl Trio {
    fn start(wipe: bool) -> Self {
        let mut cluster = prepare(3);
        for node in cluster.nodes_mut() {
            node.start().unwrap();
        }
        cluster.wait_ready().unwrap();
        Self { cluster, writers: writers(), wipe }
    }

    /// Takes the victim away and writes until the others have trimmed what it lacks; starts it with
    /// a fault, and again without. Returns the calls of the life with the fault.
    fn round(&mut self, shim: &Shim, fault: Option<(Fault, usize, usize)>) -> Trace {
        // Whoever has given a snapshot keeps its log for a while, unless it starts anew.
        for node in &mut self.cluster.nodes_mut()[..VICTIM] {
            node.kill().unwrap();
            node.start().unwrap();
            node.wait_ready().unwrap();
        }
        self.cluster.node(VICTIM).kill().unwrap();
        if self.wipe {
            fs::remove_dir_all(self.cluster.nodes()[VICTIM].data_directory()).unwrap();
        }
        load(&self.cluster.nodes()[0], &mut self.writers, STEPS_AWAY);
        let trace = self.cluster.directory().join("trace");
        fs::remove_file(&trace).ok();
        let plan = Plan { only: "", calls: Calls::All, fault };
        let victim = self.cluster.node(VICTIM);
        victim.set_variables(shim.variables(victim.data_directory(), &trace, plan));
        victim.start().unwrap();
        if wait_up(victim).is_none() {
            // It may be ready before it knows how far behind it is.
            let changes: u64 = self.writers.iter().map(Writer::changes).sum();
            wait_revision(victim, 1 + changes);
            victim.kill().unwrap();
        }
        let lived = Trace::read(&trace);
        victim.set_variables(Vec::new());
        victim.start().unwrap();
        victim.wait_ready().unwrap();
        victim.wait_reply("/v1/status", |reply| reply.text().contains("follower")).unwrap();
        verify(&self.cluster.nodes()[VICTIM], &mut self.writers);
        lived
    }
}

/// Waits until a node has this revision by itself, or has ended.
fn wait_revision(node: &mut Node, revision: u64) {
    let has_it = |reply: &Reply| {
        reply.json().is_ok_and(|status| status["revision"].as_u64() >= Some(revision))
    };
    let deadline = Instant::now() + PATIENCE;
    while !node.look("/v1/status").is_ok_and(|reply| has_it(&reply)) {
        if node.wait_exit(Duration::ZERO).is_ok() {
            return;
        }
        assert!(Instant::now() < deadline, "not caught up: {}", node.logs().tail());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_node_that_is_killed_while_it_installs_a_snapshot_comes_back() {
    let shim = match Shim::build() {
        Ok(shim) => shim,
        Err(missing) => return skip("crash points of installing a snapshot", &missing),
    };
    let wanted = number("REMEX_RIG_POINTS", POINTS_IN_CI) / 2;
    let begun = Instant::now();
    in_parallel(&[false, true], 2, |wipe| {
        let mut trio = Trio::start(*wipe);
        let calls = trio.round(&shim, None).calls();
        let installed = || {
            let said = trio.cluster.nodes()[VICTIM].logs().stderr().unwrap();
            said.matches("installed a snapshot").count()
        };
        assert!(installed() > 0, "no snapshot: {}", trio.cluster.log_tails());
        let (mut hit, points) = (0, spread(calls, wanted));
        for point in &points {
            let fault = if point % 2 == 0 { Fault::Before } else { Fault::Half };
            let context = Context(format!("wiped {wipe}, killed {fault:?} call {point}"));
            let trace = trio.round(&shim, Some((fault, *point, 1)));
            hit += usize::from(!trace.hurt().is_empty());
            drop(context);
        }
        say(&format!(
            "installing a snapshot, wiped {wipe}: {hit} of {} points hit ({calls} calls), in {:.0?}",
            points.len(),
            begun.elapsed()
        ));
        assert!(hit * 10 >= points.len() * 6, "only {hit} of {} points came up", points.len());
        trio.cluster.node(VICTIM).terminate().unwrap();
        trio.cluster.node(VICTIM).wait_exit(PATIENCE).unwrap();
    });
}
