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
    /// Leaders asked to hand over.
    hand_overs,
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
