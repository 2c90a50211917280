//! How a node's run ends, and what is left of it.

use super::Node;
use super::request::{Answer, Call, reply};
use crate::around::Around;

/// How the process, or the run of its parts, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The machine lost its power: what was not synced is lost, torn or there.
    PowerCut,
    /// The process was killed: the page cache is still there.
    Killed,
    /// The process ended itself because its disk failed: what the failed sync should have
    /// written may be lost although the page cache says otherwise.
    DiskFailed,
    /// The process ended itself because there was no space for its log.
    DiskFull,
    /// A snapshot is to be installed.
    Install,
    /// The node is no member any more.
    Removed,
    /// The disk is an older one than the node last wrote to.
    OldDisk,
    /// What the log holds is damaged.
    LogRotten,
    /// What the engine holds is damaged.
    EngineRotten,
}

impl Node {
    /// The process ends at once.
    pub(crate) fn crash(&mut self, end: End, around: &mut Around) {
        let Some(running) = self.running.take() else { return };
        self.count(end, around);
        around.coverage.lost_flushes += u64::from(running.flushing.is_some());
        let under_way = !around.judge.logs[running.id].pending.is_empty();
        around.coverage.crashes_in_writing += u64::from(under_way);
        // The clients' connections break.
        for waiting in running.waiting.values() {
            let answer = match waiting.call {
                Call::Write(_) => Answer::Unknown,
                Call::Read(_) => Answer::NotApplied,
            };
            reply(waiting.caller, answer, around);
        }
        self.durable_before = running.state.durable();
        self.applied_before = self.applied_before.max(running.state.applied());
        drop(running);
        self.leave(end);
    }

    /// Notes that a run, or the attempt to begin one, ends.
    pub(crate) fn count(&self, end: End, around: &mut Around) {
        let ends = match end {
            End::PowerCut => &mut around.coverage.power_cuts,
            End::Killed => &mut around.coverage.kills,
            End::DiskFailed => &mut around.coverage.disk_failures,
            End::DiskFull => &mut around.coverage.ends_on_full_disk,
            End::Install => &mut around.coverage.installs_begun,
            End::Removed => &mut around.coverage.removed_nodes_ended,
            End::OldDisk => &mut around.coverage.old_disks_noticed,
            End::LogRotten => &mut around.coverage.rotten_logs_noticed,
            End::EngineRotten => &mut around.coverage.rotten_engines_noticed,
        };
        *ends += 1;
        let position = self.position;
        around.trace.note([6, position as u64, end as u64]);
        around.trace.line(around.now_us, || format!("n{position} ENDS: {end:?}"));
    }

    /// Leaves on disk and in the engine what survives.
    pub(super) fn leave(&mut self, end: End) {
        self.media.survive(end, &mut self.dice);
        self.fetch_interrupted = true;
        if end == End::PowerCut && self.dice.chance(5_000) {
            // What is known of the others is written without a sync: the file before is back.
            self.remembered.swap(0, 1);
        }
    }

    /// The power will fail in the middle of the disk operation with this number from now.
    pub(crate) fn plan_power_cut(&mut self, nth: u64) {
        self.media.disk.cut_power_at(nth);
    }

    /// The sync with this number from now will fail.
    pub(crate) fn plan_disk_failure(&mut self, nth: u64) {
        if let Some(running) = &mut self.running {
            running.disk_fails = true;
            self.media.disk.fail_sync_at(nth);
        }
    }

    /// From now on the disk takes nothing new, or does again.
    pub(crate) fn set_disk_full(&mut self, full: bool) {
        self.media.disk.set_full(full);
        self.disk_full = full;
        if let Some(running) = &mut self.running {
            running.disk_full |= full;
        }
    }

    /// Nothing goes wrong with this disk any more.
    pub(crate) fn forget_plans(&mut self) {
        self.set_disk_full(false);
        self.media.forget_plans();
    }
}
