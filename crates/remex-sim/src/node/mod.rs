//! One simulated node: the shipped core, log and state machine, and the driver's part played
//! over virtual time.
//!
//! The driver's rules are the product's: events that wait are handled in one turn; effects are
//! carried out in order; what the core wants written goes to the log's writer, which takes
//! everything that waits under one sync; committed entries are applied in the turn; the state's
//! buffer goes to the engine beside it. A crash leaves what the simulated disk and the engine
//! hold, and nothing else. Snapshots are made, fetched and installed in the product's order of
//! durable steps, with crashes between them; who may speak with a node is decided by the product's
//! rules for a handshake.

mod background;
mod disks;
mod effects;
mod found;
mod install;
mod media;
mod peers;
mod power;
mod recover;
mod request;
mod running;
mod snapshot;
mod start;
mod writer;

use remex_consensus::{Event, Marks, Message};
use remex_model::Index;

use self::disks::Copy;
pub(crate) use self::found::{FOUNDING, founding};
pub(crate) use self::media::Media;
pub(crate) use self::peers::{Greeting, Refusal, VITALS};
pub(crate) use self::power::End;
pub(crate) use self::request::{Answer, Call, Caller};
pub(crate) use self::running::Running;
pub(crate) use self::snapshot::Outgoing;

use crate::around::{Around, Happening};
use crate::dice::Dice;
use crate::network::Packet;
use crate::violation::Stop;

/// Something that happens inside a node.
#[derive(Debug)]
pub(crate) enum Inside {
    /// The clock ticks.
    Tick,
    /// The driver takes its turn.
    Turn,
    /// The disk has synced.
    Synced,
    /// The background thread looks whether there is something to do.
    Background,
    /// A segment of the log was made ahead of need.
    SpareMade,
    /// The engine has the buffer.
    Flushed,
    /// A snapshot has come, was checked and waits to be installed.
    Fetched,
}

/// What a machine is to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Nobody lives there.
    Apart,
    /// Its self wants to be taken in, and asks for that until it is.
    Asking {
        /// Whether it wants to become a voter.
        promote: bool,
    },
    /// Its self is a member, or was one and has not been told that it is none any more.
    Member,
    /// So it is, but its engine is damaged: it fetches a state that holds at least this entry.
    Repairing {
        at_least: Index,
        /// From this place, until that does not give it any more.
        from: Option<usize>,
    },
}

/// One machine and its node, up or down.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) position: usize,
    pub(crate) life: Life,
    media: Media,
    /// An earlier copy of all that is on its disk, of the self that lives here.
    copy: Option<Copy>,
    /// What it has written down of the other members' disks: the file, and the file before it.
    remembered: [Marks; 2],
    /// Whether its log was ever begun: from then on an empty one has lost something.
    has_log: bool,
    dice: Dice,
    /// Runs of its process so far.
    runs: u64,
    /// Difference of its wall clock from the true time, in milliseconds.
    pub(crate) clock_ahead_ms: u64,
    /// Whether its disk takes nothing new.
    disk_full: bool,
    /// Whether the fetch of a snapshot was interrupted since its last piece.
    fetch_interrupted: bool,
    /// Entries up to here were applied in an earlier run.
    applied_before: Index,
    /// What its engine held when it went down.
    durable_before: Index,
    running: Option<Box<Running>>,
}

impl Node {
    pub(crate) fn new(position: usize, life: Life, mut dice: Dice) -> Self {
        Self {
            position,
            life,
            media: Media::empty(&mut dice),
            copy: None,
            remembered: Default::default(),
            has_log: false,
            runs: 0,
            clock_ahead_ms: dice.between(0, 10_000),
            disk_full: false,
            fetch_interrupted: false,
            applied_before: Index(0),
            durable_before: Index(0),
            running: None,
            dice,
        }
    }

    /// The number of the run that a happening inside this node must carry to count.
    pub(crate) fn run(&self) -> Option<u64> {
        self.running.as_ref().map(|_| self.runs)
    }

    /// The last entry whose effect is in its engine.
    pub(crate) fn durable(&self) -> Index {
        self.running.as_ref().map_or(self.durable_before, |running| running.state.durable())
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        self.running.as_deref()
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        self.running.as_deref_mut()
    }

    /// The number of the run of its process, the last one if it is down.
    pub(crate) fn runs(&self) -> u64 {
        self.runs
    }

    /// Something that was scheduled inside this node happens.
    pub(crate) fn happen(&mut self, what: Inside, around: &mut Around) -> Result<(), Stop> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let time_ms = around.now_us / 1000 + self.clock_ahead_ms;
        match what {
            Inside::Tick => {
                running.tick(time_ms, around)?;
                if running.ticks.is_multiple_of(around.settings.remember_ticks) {
                    let before = std::mem::replace(&mut self.remembered[0], running.marks.clone());
                    self.remembered[1] = before;
                }
                Ok(())
            }
            Inside::Turn => running.turn(time_ms, around),
            Inside::Synced => running.synced(around),
            Inside::Background => running.background(around),
            Inside::SpareMade => {
                running.spare_made(around);
                Ok(())
            }
            Inside::Flushed => running.flushed(around),
            Inside::Fetched => self.fetched(),
        }
    }

    /// A message comes in from a node that was greeted.
    pub(crate) fn receive(&mut self, packet: Packet, around: &mut Around) -> Result<(), Stop> {
        let from = packet.sender;
        let Some(running) = self.running.as_mut().filter(|it| it.id == packet.receiver) else {
            return Ok(());
        };
        let broken = |error: &dyn std::fmt::Display| {
            Stop::Broken(("codec", format!("from node {from}: {error}")))
        };
        if packet.bytes.first() == Some(&VITALS) {
            return running.receive_vitals(packet.bytes).map_err(|error| broken(&error));
        }
        let message = Message::decode(packet.bytes).map_err(|error| broken(&error))?;
        around.judge.heard(from, packet.run, &message)?;
        running.put(Event::Message { from, message }, around);
        Ok(())
    }

    /// A client's request comes in. False if nobody listens.
    pub(crate) fn request(&mut self, caller: Caller, call: Call, around: &mut Around) -> bool {
        let Some(running) = &mut self.running else { return false };
        running.request(caller, call, around);
        true
    }
}

/// A happening inside a node in this run.
pub(crate) fn inside(node: usize, run: u64, what: Inside) -> Happening {
    Happening::Inside { node, run, what }
}
