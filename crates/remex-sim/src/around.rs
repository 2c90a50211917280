//! Everything around the nodes: time, network, chance, the judge, the record.

use remex_consensus::Effect;
use remex_model::{Membership, NodeId};

use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::judge::Judge;
use crate::network::{Network, Packet};
use crate::node::{Answer, Call, Caller, Inside, Refusal};
use crate::plant::Plant;
use crate::queue::Queue;
use crate::selves::Selves;
use crate::settings::Settings;
use crate::trace::Trace;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Inside a node, if that run of its process still lives.
    Inside { node: usize, run: u64, what: Inside },
    /// A message arrives.
    Deliver(Packet),
    /// A client's request arrives.
    Request { caller: Caller, node: usize, call: Call },
    /// The answer arrives.
    Answer { caller: Caller, answer: Answer },
    /// A client no longer waits.
    GiveUp(Caller),
    /// A client wants something new.
    Next { client: usize },
    /// Something goes wrong.
    Fault,
    /// A node loses its power, if that run of its process still lives.
    PowerCut { node: usize, run: u64 },
    /// A node that is down comes up.
    Restart { node: usize },
    /// A node that is no member yet asks to be taken in.
    Ask { node: usize },
    /// It is told that it was.
    TakenIn { node: usize, id: NodeId },
    /// A peer refused a process, for good.
    Refused { node: usize, run: u64, refusal: Refusal },
    /// The next piece of a snapshot comes in, if that run still fetches one.
    Fetch { node: usize, run: u64 },
    /// A clock goes as it should again.
    ClockAgain { node: usize },
    /// A full disk has space again.
    SpaceAgain { node: usize },
    /// Load and faults end.
    Calm,
    /// By now everything must be well again.
    Deadline,
}

/// What a node, a client or a fault needs of the world.
#[derive(Debug)]
pub(crate) struct Around {
    pub(crate) now_us: u64,
    pub(crate) queue: Queue<Happening>,
    pub(crate) network: Network,
    pub(crate) dice: Dice,
    pub(crate) trace: Trace,
    pub(crate) coverage: Coverage,
    pub(crate) judge: Judge,
    pub(crate) selves: Selves,
    pub(crate) settings: Settings,
    pub(crate) plant: Option<Plant>,
    /// What the cluster was founded with.
    pub(crate) founding: Membership,
    /// Whether load and faults are over.
    pub(crate) calm: bool,
    /// Empty between turns; a turn's effects are put here, so that their memory is used again.
    pub(crate) effects: Vec<Effect>,
}

impl Around {
    /// Schedules something.
    pub(crate) fn after(&mut self, after_us: u64, what: Happening) {
        self.queue.push(self.now_us + after_us, what);
    }
}
