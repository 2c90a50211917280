//! Clients: they read and write a few keys through any node, and remember what they were told.
//!
//! A client has one operation under way. It waits for an answer for a while and then gives up;
//! a write that it gave up has an unknown outcome. What certainly had no effect is tried again
//! through another node; what may have had one is tried again only under a request key, which
//! makes the retry safe. Every write carries a value of its own, so that the history tells the
//! writes apart.

mod draw;
mod verdict;

use std::collections::BTreeMap;

use remex_model::Revision;
use remex_testkit::linearizability::{Event, Op, Outcome};

use crate::around::{Around, Happening};
use crate::dice::Dice;
use crate::node::{Answer, Call, Caller};
use crate::violation::Check;

/// Attempts of one operation.
const TRIES_MAX: u32 = 6;

/// What a client is there for.
#[derive(Debug)]
enum Part {
    /// Load while the faults last.
    Load,
    /// Afterwards: shows that its node serves again, by one write and a read of every key.
    Probe { node: usize, keys_left: usize, written: bool },
}

/// What is under way.
#[derive(Debug)]
struct Operation {
    call_at: u64,
    /// Keys and what is done to each: several for a batch.
    parts: Vec<(String, Op)>,
    call: Call,
    tries: u32,
    /// Whether an attempt may have had an effect.
    doubtful: bool,
    /// Whether it carries a request key.
    named: bool,
}

/// What a client believes that a key holds, and the revision of it.
type Belief = Option<(String, Revision)>;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    number: usize,
    dice: Dice,
    part: Part,
    current: Option<Operation>,
    attempt: u64,
    beliefs: BTreeMap<String, Belief>,
    values: u64,
    history: Vec<Event>,
}

impl Client {
    pub(crate) fn load(number: usize, dice: Dice) -> Self {
        Self {
            number,
            dice,
            part: Part::Load,
            current: None,
            attempt: 0,
            beliefs: BTreeMap::new(),
            values: 0,
            history: Vec::new(),
        }
    }

    pub(crate) fn probe(number: usize, dice: Dice, node: usize, keys: usize) -> Self {
        let part = Part::Probe { node, keys_left: keys, written: false };
        Self { part, ..Self::load(number, dice) }
    }

    /// The node that this client looks at, if it is a probe.
    pub(crate) fn probes(&self) -> Option<usize> {
        match self.part {
            Part::Load => None,
            Part::Probe { node, .. } => Some(node),
        }
    }

    /// Whether a probe still has something to show.
    pub(crate) fn is_waiting(&self) -> bool {
        match self.part {
            Part::Load => false,
            Part::Probe { keys_left, written, .. } => !written || keys_left > 0,
        }
    }

    /// Everything that was asked and told; what is under way is unknown.
    pub(crate) fn finish(mut self) -> Vec<Event> {
        if let Some(operation) = self.current.take() {
            self.remember(operation, None, |_| Outcome::Unknown);
        }
        self.history
    }

    /// Wants something new, unless something is under way.
    pub(crate) fn next(&mut self, around: &mut Around) {
        if self.current.is_some() || (around.calm && !self.is_waiting()) {
            return;
        }
        self.current = Some(self.draw(around));
        self.try_it(around);
    }

    /// Sends the operation to a node.
    fn try_it(&mut self, around: &mut Around) {
        let node = match self.part {
            Part::Load => {
                let places = around.selves.inhabited();
                places[self.dice.below(places.len())]
            }
            Part::Probe { node, .. } => node,
        };
        let operation = self.current.as_mut().expect("an operation is under way");
        operation.tries += 1;
        self.attempt += 1;
        let caller = Caller { client: self.number, attempt: self.attempt };
        if let Some(delay) = around.network.client_delay() {
            let call = operation.call.clone();
            around.after(delay, Happening::Request { caller, node, call });
        }
        let patience = around.settings.ttl_ticks * 50_000;
        let timeout = self.dice.between(patience / 2, patience * 2);
        around.after(timeout, Happening::GiveUp(caller));
    }

    /// A node's answer comes in, or the client gives up waiting for it (`None`).
    pub(crate) fn answer(
        &mut self,
        caller: Caller,
        answer: Option<Answer>,
        around: &mut Around,
    ) -> Check {
        if caller.attempt != self.attempt || self.current.is_none() {
            return Ok(());
        }
        match answer {
            Some(Answer::Written(outcome)) => self.written(&outcome, around),
            Some(Answer::Read(found)) => self.read(found, around),
            Some(Answer::NotApplied) => {
                self.unanswered(around);
                Ok(())
            }
            Some(Answer::Unknown) | None => {
                let operation = self.current.as_mut().expect("just checked");
                operation.doubtful |= matches!(operation.call, Call::Write(_));
                self.unanswered(around);
                Ok(())
            }
        }
    }

    /// Tries again where that is safe, or gives the operation up.
    fn unanswered(&mut self, around: &mut Around) {
        let operation = self.current.as_ref().expect("an operation is under way");
        let safe = !operation.doubtful || operation.named;
        if safe && operation.tries < TRIES_MAX {
            around.coverage.requests_repeated += u64::from(operation.doubtful);
            self.try_it(around);
            return;
        }
        let operation = self.current.take().expect("an operation is under way");
        let now_us = around.now_us;
        match operation.doubtful {
            true => {
                around.coverage.unknown += 1;
                self.remember(operation, None, |_| Outcome::Unknown);
            }
            false => {
                around.coverage.not_applied += 1;
                self.remember(operation, Some(now_us), |_| Outcome::Failed);
            }
        }
        self.think(around);
    }

    /// Ends an operation and writes it down.
    fn remember(
        &mut self,
        operation: Operation,
        return_at: Option<u64>,
        result: impl Fn(usize) -> Outcome,
    ) {
        let (client, call_at) = (self.number as u64, operation.call_at);
        for (position, (key, op)) in operation.parts.into_iter().enumerate() {
            let result = result(position);
            self.history.push(Event { client, key, op, call_at, return_at, result });
        }
    }

    fn think(&mut self, around: &mut Around) {
        let pause = self.dice.around(around.settings.think_us);
        around.after(pause, Happening::Next { client: self.number });
    }
}
