//! Requests of clients, from their arrival at a node to the answer.

use bytes::Bytes;
use remex_consensus::{Event, Role};
use remex_model::{GetResponse, Key, Outcome, ProposalId};

use super::running::Running;
use crate::around::{Around, Happening};
use crate::plant::Plant;
use crate::violation::{Check, Stop};

/// Ticks that may pass between the end of a request's time and its answer.
const TICKS_LATE: u64 = 2;

/// Which attempt of which client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) client: usize,
    pub(crate) attempt: u64,
}

/// What a client asks of a node.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// Carry out this encoded command.
    Write(Bytes),
    /// Read a key.
    Read(Key),
}

/// What a node tells a client.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Written(Outcome),
    Read(GetResponse),
    /// Certainly without effect.
    NotApplied,
    /// The write may have been applied, or still be.
    Unknown,
}

/// A request that a node has not answered.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) caller: Caller,
    pub(super) call: Call,
    /// The tick of this run after which it must have been answered.
    pub(super) until_tick: u64,
}

impl Running {
    pub(super) fn request(&mut self, caller: Caller, call: Call, around: &mut Around) {
        let ttl_ticks = around.settings.ttl_ticks;
        if let Call::Read(key) = &call
            && around.plant == Some(Plant::ReadWithoutQuorum)
            && self.core.leadership().role == Role::Leader
            && let Ok(found) = self.state.get(key, None)
        {
            reply(caller, Answer::Read(found), around);
            return;
        }
        self.next_sequence += 1;
        let sequence = self.next_sequence;
        let event = match &call {
            Call::Write(command) => {
                Event::Propose { sequence, command: command.clone(), ttl_ticks }
            }
            Call::Read(_) => Event::Read { sequence, ttl_ticks },
        };
        let until_tick = self.ticks + ttl_ticks + TICKS_LATE;
        self.waiting.insert(sequence, Waiting { caller, call, until_tick });
        self.put(event, around);
    }

    /// Every request is answered, at the latest when its time is up.
    pub(super) fn check_waiting(&self) -> Check {
        let oldest = self.waiting.first_key_value();
        match oldest.filter(|(_, waiting)| waiting.until_tick < self.ticks) {
            None => Ok(()),
            Some((sequence, _)) => {
                let detail = format!("node {}: request {sequence} is forgotten", self.position);
                Err(("every_request_ends", detail))
            }
        }
    }

    /// A command of this run was applied.
    pub(super) fn written(
        &mut self,
        id: ProposalId,
        outcome: Outcome,
        around: &mut Around,
    ) -> Result<(), Stop> {
        let Some(waiting) = self.waiting.remove(&id.sequence) else { return Ok(()) };
        around.judge.acknowledging(self.id, id, &outcome, self.state.applied())?;
        reply(waiting.caller, Answer::Written(outcome), around);
        Ok(())
    }

    /// These reads are confirmed.
    pub(super) fn reads_ready(
        &mut self,
        sequences: Vec<u64>,
        around: &mut Around,
    ) -> Result<(), Stop> {
        let leads = self.core.leadership().role == Role::Leader;
        for sequence in sequences {
            let Some(Waiting { caller, call: Call::Read(key), .. }) =
                self.waiting.remove(&sequence)
            else {
                let detail = format!("node {}: nobody waits for read {sequence}", self.position);
                return Err(Stop::Broken(("reads", detail)));
            };
            let found = self.state.get(&key, None);
            let found = found.map_err(|error| ("reads", error.to_string()))?;
            if leads {
                around.coverage.reads_led += 1;
            } else {
                around.coverage.reads_followed += 1;
            }
            reply(caller, Answer::Read(found), around);
        }
        Ok(())
    }

    /// The time of a request is up.
    pub(super) fn expired(&mut self, sequence: u64, sent: bool, around: &mut Around) {
        let Some(waiting) = self.waiting.remove(&sequence) else { return };
        if around.plant == Some(Plant::ExpiredProposedAgain) && sent {
            self.request(waiting.caller, waiting.call, around);
            return;
        }
        let sent = sent && around.plant != Some(Plant::ExpiredToldNotApplied);
        let answer = if sent { Answer::Unknown } else { Answer::NotApplied };
        reply(waiting.caller, answer, around);
    }
}

/// Sends an answer on its way to a client.
pub(super) fn reply(caller: Caller, answer: Answer, around: &mut Around) {
    if let Some(delay) = around.network.client_delay() {
        around.queue.push(around.now_us + delay, Happening::Answer { caller, answer });
    }
}
