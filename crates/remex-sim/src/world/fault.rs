//! What goes wrong, by plan.

use super::World;
use crate::around::Happening;
use crate::node::End;
use crate::settings::Fault;
use crate::violation::{Check, Stop};

/// Disk operations after which the power or the disk may fail.
const OPERATIONS_MAX: u64 = 30;

impl World {
    /// The next fault strikes.
    pub(super) fn fault(&mut self) -> Check {
        let around = &mut self.around;
        if around.calm || around.settings.faults.kinds.is_empty() {
            return Ok(());
        }
        let (every_us, length_us) =
            (around.settings.faults.every_us, around.settings.faults.length_us);
        let pause = around.dice.around(every_us);
        around.after(pause, Happening::Fault);
        let kinds = around.settings.faults.kinds.len();
        let kind = around.settings.faults.kinds[around.dice.below(kinds)];
        let node = around.dice.below(self.nodes.len());
        let until_us = around.now_us + around.dice.around(length_us);
        around.trace.note([20, around.now_us, kind as u64, node as u64]);
        around.trace.line(around.now_us, || format!("FAULT {kind:?} n{node} until {until_us}"));
        match kind {
            Fault::PowerCut => self.crash(node, End::PowerCut),
            Fault::Kill => self.crash(node, End::Killed),
            Fault::PowerCutOfAll => {
                around.coverage.power_cuts_of_all += 1;
                (0..self.nodes.len()).for_each(|node| self.crash(node, End::PowerCut));
            }
            Fault::PowerCutInWriting => {
                let nth = around.dice.between(1, OPERATIONS_MAX);
                self.nodes[node].plan_power_cut(nth);
            }
            Fault::DiskFailure => {
                let nth = around.dice.between(1, OPERATIONS_MAX);
                self.nodes[node].plan_disk_failure(nth);
            }
            Fault::DiskFull => {
                self.nodes[node].set_disk_full(true);
                around.queue.push(until_us, Happening::SpaceAgain { node });
            }
            Fault::CutOneWay => self.cut_one_way(node, until_us),
            Fault::Partition => self.partition(until_us),
            Fault::Pause => {
                around.coverage.pauses += 1;
                if let Some(running) = self.nodes[node].running_mut() {
                    running.pause(until_us);
                }
            }
            Fault::SlowDisk => {
                around.coverage.slow_disks += 1;
                if let Some(running) = self.nodes[node].running_mut() {
                    running.slow_down(until_us);
                }
            }
            Fault::ClockJump => {
                around.coverage.clock_jumps += 1;
                self.nodes[node].clock_ahead_ms = around.dice.between(0, 100_000_000);
            }
            Fault::HandOver => {
                around.coverage.hand_overs += 1;
                for node in &mut self.nodes {
                    if let Some(running) = node.running_mut() {
                        running.hand_over(around);
                    }
                }
            }
        }
        Ok(())
    }

    /// A node goes down, and comes up again after a while.
    pub(super) fn crash(&mut self, node: usize, end: End) {
        if self.nodes[node].running().is_none() {
            return;
        }
        self.nodes[node].crash(end, &mut self.around);
        let down_us = self.around.settings.faults.down_us;
        let pause = self.around.dice.around(down_us);
        self.around.after(pause, Happening::Restart { node });
    }

    /// A node comes up, unless it is up already.
    pub(super) fn restart(&mut self, node: usize) -> Check {
        match self.nodes[node].start(&mut self.around) {
            Ok(()) => Ok(()),
            Err(Stop::Broken(broken)) => Err(broken),
            Err(Stop::Ended(end)) => {
                let power_cut = u64::from(end == End::PowerCut);
                self.around.coverage.crashes_in_recovery += power_cut;
                let pause = self.around.dice.around(50_000);
                self.around.after(pause, Happening::Restart { node });
                Ok(())
            }
        }
    }

    /// One node no longer hears, or is no longer heard by, one or all others.
    fn cut_one_way(&mut self, node: usize, until_us: u64) {
        let around = &mut self.around;
        around.coverage.one_way_cuts += 1;
        let outward = around.dice.chance(5_000);
        let all = around.dice.chance(5_000);
        let one = around.dice.below(self.nodes.len());
        for other in (0..self.nodes.len()).filter(|&other| other != node) {
            if all || other == one {
                let (from, to) = if outward { (node, other) } else { (other, node) };
                around.network.cut(from, to, until_us);
            }
        }
    }

    /// Two groups of nodes no longer hear each other.
    fn partition(&mut self, until_us: u64) {
        let around = &mut self.around;
        around.coverage.partitions += 1;
        let side: Vec<bool> = self.nodes.iter().map(|_| around.dice.chance(5_000)).collect();
        for (from, here) in side.iter().enumerate() {
            for (to, there) in side.iter().enumerate() {
                if here != there {
                    around.network.cut(from, to, until_us);
                }
            }
        }
    }
}
