//! The world: nodes, clients and everything around them, driven by one seed.
//!
//! Time is virtual and in microseconds; it jumps from one happening to the next. Happenings at
//! the same moment come in the order in which they were scheduled. Nothing here reads a clock,
//! starts a thread or iterates a hash map, so a seed is a run, bit for bit.

mod disks;
mod ending;
mod fault;
mod meetings;
mod members;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use remex_testkit::linearizability;

use crate::around::{Around, Happening};
use crate::client::Client;
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::judge::Judge;
use crate::network::Network;
use crate::node::{Answer, Call, End, Life, Node, founding};
use crate::plant::Plant;
use crate::queue::Queue;
use crate::selves::Selves;
use crate::settings::Settings;
use crate::trace::{Lines, Trace};
use crate::violation::{Broken, Check, Stop, Violation};

/// More happenings than any run needs: a loop that makes no time pass ends here.
const STEPS_MAX: u64 = 20_000_000;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// Happenings.
    pub steps: u64,
    /// Virtual time that passed, in microseconds.
    pub virtual_us: u64,
    /// Hash of everything that happened.
    pub trace_hash: u64,
    /// What was met.
    pub coverage: Coverage,
    /// Operations of clients in the history that was checked.
    pub operations: usize,
    /// The first broken invariant, if any.
    pub violation: Option<Violation>,
    /// Why readable lines are missing, if they are.
    pub lines_failed: Option<std::io::Error>,
}

thread_local! {
    static RUNNING: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The seed that this thread runs, for whoever must report its sudden end.
#[must_use]
pub fn running_seed() -> Option<u64> {
    RUNNING.get()
}

/// Runs one seed, with a planted bug or without.
#[must_use]
pub fn run(seed: u64, plant: Option<Plant>, lines: Option<Lines>) -> Report {
    RUNNING.set(Some(seed));
    let mut world = World::new(seed, plant, lines);
    // A broken assertion in the code under test is a finding like any other.
    let outcome = catch_unwind(AssertUnwindSafe(|| world.play()));
    let broken = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Some(("panic", text.unwrap_or_else(|| "a panic without a message".to_owned())))
        }
    };
    let report = world.report(seed, broken);
    RUNNING.set(None);
    report
}

/// All there is.
#[derive(Debug)]
struct World {
    nodes: Vec<Node>,
    clients: Vec<Client>,
    around: Around,
    steps: u64,
}

impl World {
    fn new(seed: u64, plant: Option<Plant>, lines: Option<Lines>) -> Self {
        let mut dice = Dice::new(seed);
        let settings = Settings::draw(&mut dice);
        let network = Network::new(settings.places, settings.network.clone(), dice.fork());
        let selves = Selves::new(settings.founders, settings.places);
        let life = |place| if place < settings.founders { Life::Member } else { Life::Apart };
        let nodes = (0..settings.places).map(|place| Node::new(place, life(place), dice.fork()));
        let nodes = nodes.collect();
        let founding = founding(&selves, settings.founders);
        let clients =
            (0..settings.clients).map(|client| Client::load(client, dice.fork())).collect();
        let around = Around {
            now_us: 0,
            queue: Queue::new(),
            network,
            dice,
            trace: Trace::new(lines),
            coverage: Coverage::default(),
            selves,
            judge: Judge::new(founding.clone()),
            founding,
            settings,
            plant,
            calm: false,
            effects: Vec::new(),
        };
        Self { nodes, clients, around, steps: 0 }
    }

    /// From the first start to the last check.
    fn play(&mut self) -> Check {
        let text = format!("{:?}", self.around.settings);
        self.around.trace.line(0, || text);
        for node in 0..self.nodes.len() {
            self.around.after(0, Happening::Restart { node });
        }
        for client in 0..self.clients.len() {
            let pause = self.around.dice.around(1_000_000);
            self.around.after(pause, Happening::Next { client });
        }
        let (busy_us, every_us) =
            (self.around.settings.busy_us, self.around.settings.faults.every_us);
        self.around.after(every_us, Happening::Fault);
        self.around.after(busy_us, Happening::Calm);
        while let Some((at_us, what)) = self.around.queue.pop() {
            self.steps += 1;
            self.around.now_us = at_us;
            self.step(what)?;
            if self.around.calm && self.is_well() {
                return Ok(());
            }
            if self.steps > STEPS_MAX {
                return Err(("liveness", format!("no end after {STEPS_MAX} steps")));
            }
        }
        Err(("liveness", "nothing is left to happen".to_owned()))
    }

    fn step(&mut self, what: Happening) -> Check {
        let around = &mut self.around;
        match what {
            Happening::Inside { node, run, what } => {
                if self.nodes[node].run() == Some(run) {
                    around.trace.note([10, around.now_us, node as u64]);
                    let done = self.nodes[node].happen(what, around);
                    return self.stopped(node, done);
                }
            }
            Happening::Deliver(packet) => {
                around.trace.note([11, around.now_us, packet.from as u64, packet.to as u64]);
                if around.network.deliver(around.now_us, &packet, &mut around.coverage) {
                    return self.deliver(packet);
                }
            }
            Happening::Request { caller, node, call } => {
                around.trace.note([12, around.now_us, caller.client as u64, caller.attempt]);
                let (client, what) = (caller.client, if_write(&call));
                around.trace.line(around.now_us, || format!("client {client} {what} n{node}"));
                if !self.nodes[node].request(caller, call, around) {
                    // Connection refused.
                    let answer = Answer::NotApplied;
                    let delay = around.settings.network.latency_us + 1_000;
                    around.after(delay, Happening::Answer { caller, answer });
                }
            }
            Happening::Answer { caller, answer } => {
                around.trace.note([13, around.now_us, caller.client as u64, caller.attempt]);
                let client = caller.client;
                around.trace.line(around.now_us, || format!("client {client} is told {answer:?}"));
                return self.clients[client].answer(caller, Some(answer), around);
            }
            Happening::GiveUp(caller) => {
                return self.clients[caller.client].answer(caller, None, around);
            }
            Happening::Next { client } => self.clients[client].next(around),
            Happening::PowerCut { node, run } => {
                if !around.calm && self.nodes[node].run() == Some(run) {
                    self.crash(node, End::PowerCut);
                }
            }
            Happening::Fault => self.fault(),
            Happening::Restart { node } => return self.restart(node),
            Happening::Ask { node } => self.ask(node),
            Happening::TakenIn { node, id } => self.taken_in(node, id),
            Happening::Refused { node, run, refusal } => return self.refused(node, run, refusal),
            Happening::Fetch { node, run } => return self.fetch(node, run),
            Happening::ClockAgain { node } => self.clock_again(node),
            Happening::SpaceAgain { node } => self.nodes[node].set_disk_full(false),
            Happening::Calm => self.calm(),
            Happening::Deadline => return Err(self.not_well()),
        }
        Ok(())
    }

    /// Sees to a node whose turn ended early.
    fn stopped(&mut self, node: usize, done: Result<(), Stop>) -> Check {
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Broken(broken)) => Err(broken),
            Err(Stop::Ended(end)) => {
                self.crash(node, end);
                Ok(())
            }
        }
    }

    fn report(self, seed: u64, mut broken: Option<Broken>) -> Report {
        let history: Vec<_> = self.clients.into_iter().flat_map(Client::finish).collect();
        if broken.is_none() {
            broken = linearizability::check(&history)
                .map_err(|violation| ("linearizability", violation.to_string()))
                .and_then(|()| {
                    linearizability::check_revisions(&history)
                        .map_err(|violation| ("revisions", violation.to_string()))
                })
                .err();
        }
        let at_us = self.around.now_us;
        let violation = broken.map(|(invariant, detail)| Violation { invariant, detail, at_us });
        let (trace_hash, lines_failed) = self.around.trace.finish();
        Report {
            seed,
            nodes: self.nodes.len(),
            steps: self.steps,
            virtual_us: at_us,
            trace_hash,
            coverage: self.around.coverage,
            operations: history.len(),
            violation,
            lines_failed,
        }
    }
}

fn if_write(call: &Call) -> &'static str {
    match call {
        Call::Write(_) => "writes through",
        Call::Read(_) => "reads through",
    }
}
