//! What a run met, counted: a fault that was planned and never happened has tested nothing.

use std::fmt;
use std::ops::AddAssign;

macro_rules! coverage {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often each thing happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Coverage {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Coverage {
            /// Every count with its name.
            #[must_use]
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }

        impl AddAssign for Coverage {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

coverage! {
    /// Leaders that came to power.
    elections,
    /// Entries committed.
    committed,
    /// Entries applied, over all nodes.
    applied,
    /// Entries applied again after a restart.
    applied_again,
    /// Nodes that lost their power.
    power_cuts,
    /// Power cuts of all nodes at once.
    power_cuts_of_all,
    /// Power cuts planned for a new leader or a node that syncs.
    power_cuts_at_a_bad_moment,
    /// Processes that were killed.
    kills,
    /// Processes that ended because a sync failed.
    disk_failures,
    /// Processes that ended because there was no space for their logs.
    ends_on_full_disk,
    /// Ends of a process with writes that were not synced.
    crashes_in_writing,
    /// Power cuts in the middle of a recovery.
    crashes_in_recovery,
    /// Recoveries that wrote the end of the log again, because nothing proved it durable.
    tails_rewritten,
    /// Recoveries that found the end of the log torn.
    torn_tails,
    /// Segments of the log that were made ahead of need.
    spares,
    /// Trims that gave segments of the log back.
    trims,
    /// Buffers of the state written to the engine.
    flushes,
    /// Crashes that lost a buffer on its way to the engine.
    lost_flushes,
    /// Syncs that covered several writes of the core.
    group_commits,
    /// Messages sent.
    sent,
    /// Messages that the network lost.
    lost,
    /// Messages that it delivered twice.
    doubled,
    /// Messages that came in behind a later one.
    overtaken,
    /// Old messages that came again.
    replayed,
    /// Messages struck by a cut.
    cut,
    /// One-way cuts.
    one_way_cuts,
    /// Partitions.
    partitions,
    /// Processes that stood still for a while.
    pauses,
    /// Periods of slow syncs.
    slow_disks,
    /// Clocks that jumped.
    clock_jumps,
    /// Clocks that went too fast or too slow for a while.
    clock_rates,
    /// Links that were slow for a while.
    slow_links,
    /// Nodes told that nobody listens at a peer's address any more.
    peers_gone,
    /// Leaders asked to hand over.
    hand_overs,
    /// Disks that were lost.
    disks_lost,
    /// Disks that were put back from a copy.
    disks_put_back,
    /// Of these, those that were noticed.
    old_disks_noticed,
    /// Bits of a log that flipped.
    rotten_logs,
    /// Blocks of a log that were written to the wrong place.
    misdirected_writes,
    /// Of both, those that were found.
    rotten_logs_noticed,
    /// Engines that were damaged.
    rotten_engines,
    /// Of these, those that were found.
    rotten_engines_noticed,
    /// Nodes that came back as somebody new.
    new_selves,
    /// Changes of the membership that were asked for.
    changes_asked,
    /// Changes that were applied.
    changes_applied,
    /// Changes refused by a node that does not lead.
    changes_by_no_leader,
    /// Changes refused because another one was under way.
    changes_in_progress,
    /// Changes refused because they were about the leader.
    changes_of_the_leader,
    /// Changes refused because no majority could have been reached.
    changes_without_quorum,
    /// Changes refused because they did not fit.
    changes_invalid,
    /// Nodes that were taken in.
    taken_in,
    /// Removed nodes that came to their end.
    removed_nodes_ended,
    /// Processes that peers refused.
    processes_refused,
    /// Snapshots that were made.
    snapshots_made,
    /// Pieces of snapshots that were fetched.
    snapshot_pieces,
    /// Fetches that found no source.
    fetches_cut_off,
    /// Snapshots that went on where they had stopped, after an interruption.
    snapshots_resumed,
    /// Snapshots of which a crash had damaged the beginning.
    snapshots_damaged,
    /// Runs that ended to install a snapshot.
    installs_begun,
    /// Snapshots that were installed.
    snapshots_installed,
    /// Power cuts in the middle of installing one.
    crashes_in_installing,
    /// Logs that were emptied behind a snapshot.
    logs_emptied,
    /// Forwards sent again.
    forwards_retried,
    /// Forwards that the leader refused.
    forwards_refused,
    /// Older entries read from the log for a follower.
    fetches,
    /// Reads confirmed by the leader.
    reads_led,
    /// Reads confirmed on a follower.
    reads_followed,
    /// Operations of clients that were acknowledged or answered.
    answered,
    /// Writes whose condition did not hold.
    refused,
    /// Operations that certainly had no effect.
    not_applied,
    /// Writes with unknown outcome.
    unknown,
    /// Writes repeated by their client under one request key.
    requests_repeated,
    /// Answers that came from the memory of request keys.
    answers_remembered,
}

impl fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, count)) in self.counts().into_iter().enumerate() {
            let end = if position % 3 == 2 { "\n" } else { "" };
            write!(formatter, "  {name:<26}{count:>12}{end}")?;
        }
        Ok(())
    }
}
