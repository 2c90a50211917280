//! What goes wrong, by plan.

use remex_consensus::Event;
use remex_model::NodeId;

use super::World;
use crate::around::Happening;
use crate::node::End;
use crate::settings::Fault;
use crate::violation::{Check, Stop};

/// Disk operations after which the power or the disk may fail.
const OPERATIONS_MAX: u64 = 30;

impl World {
    /// The next fault strikes.
    pub(super) fn fault(&mut self) {
        let around = &mut self.around;
        if around.calm || around.settings.faults.kinds.is_empty() {
            return;
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
            Fault::ClockRate => {
                around.coverage.clock_rates += 1;
                let percent = around.dice.pick(&[50, 80, 125, 200]);
                if let Some(running) = self.nodes[node].running_mut() {
                    running.set_clock_rate(percent);
                }
                around.queue.push(until_us, Happening::ClockAgain { node });
            }
            Fault::SlowLink => self.slow_link(node, until_us),
            Fault::HandOver => self.hand_over(),
            Fault::Change => self.change_members(),
            Fault::EmptyDisk => self.empty_disk(node),
            Fault::OldDisk => self.old_disk(node),
            Fault::Rot => self.rot(node),
            Fault::MisdirectedWrite => self.misdirected_write(node),
        }
    }

    /// Whoever leads is told to hand over, to anybody or to one who may not be fit for it.
    fn hand_over(&mut self) {
        let around = &mut self.around;
        around.coverage.hand_overs += 1;
        for node in &mut self.nodes {
            let Some(running) = node.running_mut().filter(|running| running.leads()) else {
                continue;
            };
            let members: Vec<_> = running.core().membership().members().collect();
            let to = around.dice.chance(5_000).then(|| members[around.dice.below(members.len())]);
            let to = to.map(|(member, _)| member.id);
            running.put(Event::Transfer { to }, around);
        }
    }

    /// Links of a node become slow.
    fn slow_link(&mut self, node: usize, until_us: u64) {
        let around = &mut self.around;
        around.coverage.slow_links += 1;
        let other = around.dice.below(self.nodes.len());
        let slower_us = around.dice.pick(&[20_000, 200_000, 1_000_000]);
        around.network.slow_down(node, other, slower_us, until_us);
        if around.dice.chance(5_000) {
            around.network.slow_down(other, node, slower_us, until_us);
        }
    }

    /// A node goes down; what follows depends on why.
    pub(super) fn crash(&mut self, node: usize, end: End) {
        let Some(running) = self.nodes[node].running() else { return };
        let id = running.id();
        self.nodes[node].crash(end, &mut self.around);
        if matches!(end, End::Killed | End::DiskFailed | End::DiskFull) {
            self.tell_gone(node, id);
        }
        self.went_down(node, end);
    }

    /// The machine still runs and says that nobody listens there any more: some notice at once.
    fn tell_gone(&mut self, node: usize, peer: NodeId) {
        let around = &mut self.around;
        for other in &mut self.nodes {
            let place = other.position;
            let open = !around.network.is_cut(around.now_us, place, node)
                && !around.network.is_cut(around.now_us, node, place);
            let running = other.running_mut().filter(|_| open && place != node);
            if let Some(running) = running.filter(|_| around.dice.chance(5_000)) {
                around.coverage.peers_gone += 1;
                running.put(Event::PeerGone { peer }, around);
            }
        }
    }

    /// What becomes of a node whose run has ended, or could not begin.
    fn went_down(&mut self, node: usize, end: End) {
        let down_us = self.around.settings.faults.down_us;
        let pause = match end {
            End::PowerCut | End::Killed | End::DiskFailed | End::DiskFull => {
                self.around.dice.around(down_us)
            }
            End::Install => self.around.dice.between(1, 10_000),
            End::Removed => return self.vacate(node),
            End::OldDisk | End::LogRotten => return self.renew(node),
            End::EngineRotten => return self.repair(node),
        };
        self.around.after(pause, Happening::Restart { node });
    }

    /// A node's engine is damaged: it fetches the state of another.
    fn repair(&mut self, node: usize) {
        let around = &mut self.around;
        let Some(id) = around.selves.at(node) else { return };
        match self.nodes[node].begin_repair(id, around) {
            Some(()) => {
                let run = self.nodes[node].runs();
                around.after(1, Happening::Fetch { node, run });
            }
            None => self.renew(node),
        }
    }

    /// A node comes up, unless it is up already.
    pub(super) fn restart(&mut self, node: usize) -> Check {
        match self.nodes[node].start(&mut self.around) {
            Ok(()) => Ok(()),
            Err(Stop::Broken(broken)) => Err(broken),
            Err(Stop::Ended(end @ (End::PowerCut | End::DiskFull))) => {
                let power_cut = u64::from(end == End::PowerCut);
                self.around.coverage.crashes_in_recovery += power_cut;
                let pause = self.around.dice.around(50_000);
                self.around.after(pause, Happening::Restart { node });
                Ok(())
            }
            Err(Stop::Ended(end)) => {
                self.nodes[node].count(end, &mut self.around);
                self.went_down(node, end);
                Ok(())
            }
        }
    }

    /// A clock goes as it should again.
    pub(super) fn clock_again(&mut self, node: usize) {
        if let Some(running) = self.nodes[node].running_mut() {
            running.set_clock_rate(100);
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
