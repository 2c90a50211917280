//! What a seed decides before the run begins.
//!
//! Swarm testing (Groce and others 2012): every seed switches a random part of the faults off
//! and picks extreme values for the rest, because faults hide each other. A cluster that crashes
//! all the time never has a log long enough to be fetched from disk.

use remex_state::Retention;

use crate::dice::{Dice, PerMyriad};

/// The settings of one run. Times are in microseconds unless they say otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Nodes that found the cluster.
    pub(crate) founders: usize,
    /// All machines, those on which nobody lives at first among them.
    pub(crate) places: usize,
    pub(crate) clients: usize,
    pub(crate) keys: usize,
    /// How long load and faults last.
    pub(crate) busy_us: u64,
    pub(crate) think_us: u64,
    pub(crate) ttl_ticks: u64,
    pub(crate) value_bytes_max: usize,
    pub(crate) request_keys: bool,
    pub(crate) retention: Retention,
    /// Bytes of the log that are kept for followers that are behind.
    pub(crate) keep_bytes: u64,
    /// Pieces in which a snapshot is fetched.
    pub(crate) snapshot_pieces: usize,
    /// Mean time that a piece takes beside its way through the network.
    pub(crate) snapshot_piece_us: u64,
    /// Ticks between two times that a node writes down what it knows of the others' disks.
    pub(crate) remember_ticks: u64,
    pub(crate) network: NetworkSettings,
    pub(crate) disk: DiskSettings,
    pub(crate) core: CoreSettings,
    pub(crate) faults: FaultSettings,
}

/// How links behave.
#[derive(Clone, Debug)]
pub(crate) struct NetworkSettings {
    pub(crate) latency_us: u64,
    pub(crate) jitter_us: u64,
    pub(crate) loss: PerMyriad,
    pub(crate) doubling: PerMyriad,
    pub(crate) replay: PerMyriad,
    /// Whether a message may overtake an earlier one on the same link.
    pub(crate) overtaking: bool,
    /// Whether a client's request or answer may get lost.
    pub(crate) client_loss: PerMyriad,
}

/// How disks behave.
#[derive(Clone, Debug)]
pub(crate) struct DiskSettings {
    pub(crate) sync_us: u64,
    /// Whether the driver waits for its syncs or leaves them to a thread of its own.
    pub(crate) inline_sync: bool,
    pub(crate) segment_bytes: u64,
    pub(crate) flush_every_us: u64,
    pub(crate) flush_us: u64,
    /// Probability that the power fails in the middle of a recovery.
    pub(crate) cut_in_recovery: PerMyriad,
}

/// Settings of the core under test.
#[derive(Clone, Debug)]
pub(crate) struct CoreSettings {
    pub(crate) election_ticks: usize,
    pub(crate) heartbeat_ticks: usize,
    pub(crate) retry_ticks: u64,
    pub(crate) snapshot_retry_ticks: u64,
    pub(crate) entry_bytes_max: usize,
    pub(crate) message_bytes_max: u64,
    pub(crate) inflight_messages_max: usize,
    pub(crate) uncommitted_bytes_max: u64,
    pub(crate) tail_bytes_max: usize,
}

/// What strikes, and how often.
#[derive(Clone, Debug)]
pub(crate) struct FaultSettings {
    /// Mean pause between two faults.
    pub(crate) every_us: u64,
    /// Mean length of a fault that ends by itself.
    pub(crate) length_us: u64,
    /// Mean time that a crashed node stays down.
    pub(crate) down_us: u64,
    pub(crate) kinds: Vec<Fault>,
    /// Probability that a node that has just come to power loses its own.
    pub(crate) cut_new_leader: PerMyriad,
    /// Probability that a node loses its power just before or behind a sync.
    pub(crate) cut_at_sync: PerMyriad,
    /// Probability that a node loses its power when it has applied a joint membership.
    pub(crate) cut_in_change: PerMyriad,
    /// Probability that a node loses its power when it was given a piece of a snapshot.
    pub(crate) cut_in_fetch: PerMyriad,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    PowerCut,
    PowerCutOfAll,
    PowerCutInWriting,
    Kill,
    DiskFailure,
    DiskFull,
    CutOneWay,
    Partition,
    Pause,
    SlowDisk,
    ClockJump,
    ClockRate,
    SlowLink,
    HandOver,
    /// Somebody adds, removes, promotes or demotes a member.
    Change,
    /// A disk is lost with all that is on it.
    EmptyDisk,
    /// A disk is copied; a disk is put back from a copy.
    OldDisk,
    /// A bit flips where nobody looks at the moment.
    Rot,
    /// A write went to the wrong place.
    MisdirectedWrite,
}

impl Fault {
    const ALL: [Self; 19] = [
        Self::PowerCut,
        Self::PowerCutOfAll,
        Self::PowerCutInWriting,
        Self::Kill,
        Self::DiskFailure,
        Self::DiskFull,
        Self::CutOneWay,
        Self::Partition,
        Self::Pause,
        Self::SlowDisk,
        Self::ClockJump,
        Self::ClockRate,
        Self::SlowLink,
        Self::HandOver,
        Self::Change,
        Self::EmptyDisk,
        Self::OldDisk,
        Self::Rot,
        Self::MisdirectedWrite,
    ];
}

impl Settings {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let founders = dice.pick(&[1, 1, 3, 3, 3, 3, 3, 5]);
        let spare = dice.pick(&[0, 1, 1, 2]);
        let value_bytes_max = dice.pick(&[16, 16, 200, 2_000]);
        // The smallest segment takes entries of 4 KiB, a batch of long values has more.
        let segments: &[u64] = if value_bytes_max > 1_000 { &[32, 64] } else { &[16, 16, 32, 128] };
        let segment_bytes = dice.pick(segments) * 1024;
        Self {
            founders,
            places: founders + spare,
            clients: dice.pick(&[1, 2, 4, 8]),
            keys: dice.pick(&[1, 2, 4, 8]),
            // Few runs are long: most of what goes wrong goes wrong early.
            busy_us: dice.between(4, 12) * dice.pick(&[1, 1, 1, 1, 1, 1, 1, 5]) * 1_000_000,
            think_us: dice.pick(&[6_000, 20_000, 50_000, 200_000]),
            ttl_ticks: dice.pick(&[4, 20, 40, 100]),
            value_bytes_max,
            request_keys: dice.chance(5_000),
            retention: Retention {
                history_bytes_max: dice.pick(&[0, 1_000, 1_000_000]),
                history_age_ms: dice.pick(&[0, 1_000, 1_000_000]),
            },
            keep_bytes: dice.pick(&[0, 0, 20_000, 200_000]),
            snapshot_pieces: dice.pick(&[1, 4, 20]),
            snapshot_piece_us: dice.pick(&[10, 1_000, 50_000]),
            remember_ticks: dice.pick(&[4, 10, 20]),
            network: NetworkSettings::draw(dice),
            disk: DiskSettings::draw(dice, segment_bytes),
            core: CoreSettings::draw(dice),
            faults: FaultSettings::draw(dice),
        }
    }
}

impl NetworkSettings {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            latency_us: dice.pick(&[50, 200, 1_000, 10_000]),
            jitter_us: dice.pick(&[20, 500, 5_000, 60_000]),
            loss: dice.pick(&[0, 0, 100, 500, 1_500, 3_000]),
            doubling: dice.pick(&[0, 0, 100, 1_000]),
            replay: dice.pick(&[0, 0, 20, 200]),
            overtaking: dice.chance(5_000),
            client_loss: dice.pick(&[0, 0, 100, 500]),
        }
    }
}

impl DiskSettings {
    fn draw(dice: &mut Dice, segment_bytes: u64) -> Self {
        Self {
            sync_us: dice.pick(&[20, 300, 2_000, 20_000]),
            inline_sync: dice.chance(5_000),
            segment_bytes,
            flush_every_us: dice.pick(&[100_000, 300_000, 1_000_000, 5_000_000, 60_000_000]),
            flush_us: dice.pick(&[1_000, 50_000, 500_000]),
            cut_in_recovery: dice.pick(&[0, 1_000, 4_000]),
        }
    }
}

impl CoreSettings {
    fn draw(dice: &mut Dice) -> Self {
        let message_bytes_max = dice.pick(&[0, 300, 4_000, 100_000]);
        // The library wants room for one message at least.
        let uncommitted_bytes_max = dice.pick(&[500, 10_000, 1_000_000]).max(message_bytes_max);
        Self {
            election_ticks: dice.pick(&[10, 20, 20]),
            heartbeat_ticks: dice.pick(&[1, 2, 2, 4]),
            retry_ticks: dice.pick(&[1, 6, 6, 12]),
            snapshot_retry_ticks: dice.pick(&[10, 20, 20]),
            entry_bytes_max: dice.pick(&[1, 100, 1_000, 3_000]),
            message_bytes_max,
            inflight_messages_max: dice.pick(&[1, 2, 8, 64]),
            uncommitted_bytes_max,
            tail_bytes_max: dice.pick(&[0, 1_000, 10_000, 1_000_000]),
        }
    }
}

impl FaultSettings {
    fn draw(dice: &mut Dice) -> Self {
        let kinds = Fault::ALL.into_iter().filter(|_| dice.chance(5_000)).collect();
        Self {
            every_us: dice.pick(&[200_000, 700_000, 2_000_000]),
            length_us: dice.pick(&[100_000, 1_000_000, 3_000_000]),
            down_us: dice.pick(&[20_000, 500_000, 3_000_000]),
            kinds,
            cut_new_leader: dice.pick(&[0, 0, 1_000, 4_000]),
            cut_at_sync: dice.pick(&[0, 0, 10, 100]),
            cut_in_change: dice.pick(&[0, 0, 1_000, 3_000]),
            cut_in_fetch: dice.pick(&[0, 0, 300, 1_000]),
        }
    }
}
