//! One simulated node: the shipped core, log and state machine, and the driver's part played
//! over virtual time.
//!
//! The driver's rules are the product's: events that wait are handled in one turn; effects are
//! carried out in order; what the core wants written goes to the log's writer, which takes
//! everything that waits under one sync; committed entries are applied in the turn; the state's
//! buffer goes to the engine beside it. A crash leaves what the simulated disk and the engine
//! hold, and nothing else.

mod background;
mod effects;
mod found;
mod media;
mod power;
mod recover;
mod request;
mod running;
mod start;
mod writer;

use bytes::Bytes;
use remex_consensus::{Event, Message};
use remex_model::{Index, NodeId};

pub(crate) use self::found::FOUNDING;
pub(crate) use self::media::Media;
pub(crate) use self::power::End;
pub(crate) use self::request::{Answer, Call, Caller};
pub(crate) use self::running::Running;

use crate::around::{Around, Happening};
use crate::dice::Dice;
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
}

/// One node, up or down.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) position: usize,
    /// Which self it starts as.
    id: NodeId,
    media: Media,
    /// Whether its log was ever begun: from then on an empty one has lost something.
    has_log: bool,
    dice: Dice,
    /// Runs of its process so far.
    runs: u64,
    /// Difference of its wall clock from the true time, in milliseconds.
    pub(crate) clock_ahead_ms: u64,
    /// Whether its disk takes nothing new.
    disk_full: bool,
    /// Entries up to here were applied in an earlier run.
    applied_before: Index,
    /// What its engine held when it went down.
    durable_before: Index,
    running: Option<Box<Running>>,
}

impl Node {
    pub(crate) fn new(position: usize, id: NodeId, mut dice: Dice) -> Self {
        Self {
            position,
            id,
            media: Media::empty(&mut dice),
            has_log: false,
            runs: 0,
            clock_ahead_ms: dice.between(0, 10_000),
            disk_full: false,
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

    /// Something that was scheduled inside this node happens.
    pub(crate) fn happen(&mut self, what: Inside, around: &mut Around) -> Result<(), Stop> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let time_ms = around.now_us / 1000 + self.clock_ahead_ms;
        match what {
            Inside::Tick => running.tick(time_ms, around),
            Inside::Turn => running.turn(time_ms, around),
            Inside::Synced => running.synced(around),
            Inside::Background => running.background(around),
            Inside::SpareMade => {
                running.spare_made(around);
                Ok(())
            }
            Inside::Flushed => running.flushed(around),
        }
    }

    /// A message comes in. One that was meant for another self is not taken: the handshake of
    /// the transport names both ends.
    pub(crate) fn receive(
        &mut self,
        (from, to): (NodeId, NodeId),
        bytes: Bytes,
        around: &mut Around,
    ) -> Result<(), Stop> {
        let Some(running) = self.running.as_mut().filter(|running| running.id == to) else {
            return Ok(());
        };
        match Message::decode(bytes) {
            Ok(message) => {
                running.put(Event::Message { from, message }, around);
                Ok(())
            }
            Err(error) => Err(Stop::Broken(("codec", format!("from node {from}: {error}")))),
        }
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
