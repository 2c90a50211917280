//! The end of a run: faults end, and everything must become well by itself.

use remex_model::Part;

use super::World;
use crate::around::Happening;
use crate::client::Client;
use crate::node::End;
use crate::violation::Broken;

/// Virtual time in which the cluster must be well again, in microseconds.
const WELL_WITHIN_US: u64 = 120_000_000;

impl World {
    /// Faults end. Every node is started again, in half of the runs after one more crash of all;
    /// then each must take a write and read every key. What is extreme about the network, the
    /// disks and the patience of clients ends with the faults: a cluster that gets more work than
    /// its links can carry need not become well.
    pub(super) fn calm(&mut self) {
        self.around.trace.note([21, self.around.now_us]);
        self.around.trace.line(self.around.now_us, || "CALM".to_owned());
        if self.around.dice.chance(5_000) {
            (0..self.nodes.len()).for_each(|node| self.crash(node, End::PowerCut));
        }
        let around = &mut self.around;
        around.calm = true;
        around.network.heal();
        around.settings.disk.cut_in_recovery = 0;
        around.settings.disk.sync_us = around.settings.disk.sync_us.min(500);
        around.settings.snapshot_piece_us = around.settings.snapshot_piece_us.min(1_000);
        around.settings.think_us = around.settings.think_us.min(20_000);
        around.settings.ttl_ticks = around.settings.ttl_ticks.max(40);
        for node in 0..self.nodes.len() {
            self.nodes[node].forget_plans();
            if let Some(running) = self.nodes[node].running_mut() {
                running.slow_down(0);
                running.set_clock_rate(100);
            }
            if around.selves.at(node).is_none() {
                continue;
            }
            let number = self.clients.len();
            let keys = around.settings.keys;
            self.clients.push(Client::probe(number, around.dice.fork(), node, keys));
            around.after(1, Happening::Restart { node });
            around.after(1, Happening::Next { client: number });
        }
        around.after(WELL_WITHIN_US, Happening::Deadline);
    }

    /// Whether everybody is well: nobody waits to come in, to become a voter, or to be told that he
    /// is out; every member has applied the same, and whoever was there when the faults ended has
    /// served its probe.
    pub(super) fn is_well(&self) -> bool {
        let membership = self.around.judge.memberships.latest();
        let is_member = |node: usize| {
            self.around.selves.at(node).is_some_and(|id| membership.get(id).is_some())
        };
        let served = |probe: &Client| !probe.is_waiting() || !probe.probes().is_some_and(is_member);
        !membership.is_joint()
            && self.clients.iter().all(served)
            && (0..self.nodes.len()).all(|node| self.is_member_and_well(node))
    }

    fn is_member_and_well(&self, node: usize) -> bool {
        let judge = &self.around.judge;
        let Some(id) = self.around.selves.at(node) else { return true };
        let running = self.nodes[node].running();
        match judge.memberships.latest().get(id) {
            Some((member, part)) => {
                let is_in = part == Part::Voter || (part == Part::Learner && !member.promote);
                is_in && running.is_some_and(|running| running.applied() == judge.ledger.last())
            }
            // It was removed, and knows nobody who could tell it: it was never told who belongs to
            // the cluster, or everybody that it was told of is gone as well.
            None => running.is_some_and(|running| {
                let mut known = running.core().membership().members();
                known.all(|(member, _)| judge.memberships.latest().get(member.id).is_none())
            }),
        }
    }

    /// What is still wrong.
    pub(super) fn not_well(&self) -> Broken {
        let mut detail = format!("not well within {} s:", WELL_WITHIN_US / 1_000_000);
        for node in &self.nodes {
            let text = match node.running() {
                Some(running) => format!("{:?}", running.core()),
                None => format!("{:?}", node.life),
            };
            detail.push_str(&format!(" n{}: {text};", node.position));
        }
        detail.push_str(&format!(" {:?};", self.around.judge.memberships.latest()));
        let waiting = self.clients.iter().filter(|client| client.is_waiting()).count();
        detail.push_str(&format!(" {waiting} probes are not served"));
        ("liveness", detail)
    }
}
