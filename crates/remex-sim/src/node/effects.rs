//! Carrying out the core's effects, in order.

use remex_consensus::{Effect, Entry, EntryKind, Event, Leadership, Message, Role};
use remex_log::LogEntry;
use remex_model::{Index, NodeId, Term};

use super::running::Running;
use crate::around::{Around, Happening};
use crate::network::Packet;
use crate::plant::Plant;
use crate::violation::Stop;

impl Running {
    pub(super) fn carry_out(
        &mut self,
        effects: impl Iterator<Item = Effect>,
        around: &mut Around,
    ) -> Result<(), Stop> {
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    around.judge.sending(self.id, &message)?;
                    self.send(to, &message, around);
                }
                Effect::Persist { number, hard_state, entries } => {
                    self.note_write(number, hard_state, entries, around)?;
                }
                Effect::Apply { entries } => self.apply(entries, around)?,
                Effect::ReadReady { sequences } => self.reads_ready(sequences, around)?,
                Effect::ProposalExpired { sequence, sent } => {
                    self.expired(sequence, sent, around);
                }
                Effect::ReadExpired { sequence } => self.expired(sequence, false, around),
                Effect::Fetch { fetch, from, to, bytes_max } => {
                    let entries = self.read_log(from, to, bytes_max)?;
                    around.coverage.fetches += 1;
                    self.put(Event::Fetched { fetch, entries }, around);
                }
                Effect::Leadership(leadership) => self.leadership_changed(leadership, around)?,
                Effect::Fatal { reason } | Effect::RolledBack { reason } => {
                    let detail = format!("node {} stops: {reason}", self.position);
                    return Err(Stop::Broken(("fatal", detail)));
                }
                // Logs are trimmed only up to what every node has, and nobody asks for changes of
                // the membership.
                Effect::NeedSnapshot { .. } | Effect::Removed | Effect::ChangeRefused { .. } => {
                    let detail = format!("node {}: {effect:?}", self.position);
                    return Err(Stop::Broken(("unasked", detail)));
                }
            }
        }
        // Last, because it may take the time of a disk write: everything else is on its way.
        self.write(around)
    }

    fn send(&mut self, to: NodeId, message: &Message, around: &mut Around) {
        let (sender, receiver) = (self.id, to);
        let (from, to) = (self.position, around.selves.place(to));
        match message {
            Message::Forward { batch, .. } => {
                around.coverage.forwards_retried += u64::from(!self.forwards.insert(*batch));
            }
            Message::ForwardRefused { .. } => around.coverage.forwards_refused += 1,
            Message::Raft(_) | Message::ReadRequest { .. } | Message::ReadReply { .. } => {}
        }
        let mut out = Vec::with_capacity(128);
        message.encode(&mut out);
        around.trace.note([1, from as u64, to as u64]);
        around.trace.note_bytes(&out);
        if around.network.is_cut(around.now_us, from, to) && around.dice.chance(1_000) {
            // The transport notices a dead connection sooner or later.
            self.put(Event::Unreachable { peer: receiver }, around);
        }
        let now_us = around.now_us;
        let packet = Packet { from, to, sender, receiver, number: 0, bytes: out.into() };
        let Around { network, queue, coverage, .. } = around;
        let arrives = |at_us, packet| queue.push(at_us, Happening::Deliver(packet));
        let passes = network.send(now_us, packet, coverage, arrives);
        let struck = if passes { "" } else { " (struck)" };
        around.trace.line(now_us, || format!("n{from} -> n{to} {}{struck}", describe(message)));
    }

    fn apply(&mut self, entries: Vec<Entry>, around: &mut Around) -> Result<(), Stop> {
        let mut mine = Vec::new();
        for entry in entries {
            if entry.kind == EntryKind::Membership {
                let detail = format!("node {} applies a change: {entry:?}", self.position);
                return Err(Stop::Broken(("unasked", detail)));
            }
            around.judge.applying(self.id, &entry)?;
            let applied = self.state.apply(entry.index, entry.term, entry.data.clone());
            let applied =
                applied.map_err(|fatal| ("state", format!("node {}: {fatal}", self.position)))?;
            let hash = self.state.hash();
            around.trace.note([2, entry.index.get(), hash]);
            let first = around.judge.applied(self.id, &entry, &applied.outcomes, hash)?;
            around.coverage.committed += u64::from(first);
            around.coverage.applied += 1;
            around.coverage.applied_again += u64::from(entry.index <= self.applied_before);
            let (session, any) = (self.session, around.plant == Some(Plant::SessionIgnored));
            let outcomes = applied.outcomes.into_iter();
            mine.extend(outcomes.filter(|(id, _)| any || id.session == session));
        }
        for (id, outcome) in mine {
            self.written(id, outcome, around)?;
        }
        Ok(())
    }

    fn leadership_changed(&mut self, now: Leadership, around: &mut Around) -> Result<(), Stop> {
        around.trace.note([4, self.position as u64, now.term.get()]);
        if now.role == Role::Leader {
            around.coverage.elections += 1;
            let chance = around.settings.faults.cut_new_leader;
            self.lose_power_soon(chance, 20_000, around);
        }
        around.judge.leadership(self.id, self.run, now)?;
        Ok(())
    }

    /// Reads entries that have left memory for a follower.
    fn read_log(&self, from: Index, to: Index, bytes_max: usize) -> Result<Vec<Entry>, Stop> {
        if from.get() < self.log.first_index() {
            // They were given back; a follower that needs them cannot be helped.
            return Ok(Vec::new());
        }
        let read = self.log.read(from.get(), to.get(), bytes_max);
        let entries = self.check_disk(read)?;
        entries.into_iter().map(from_log_entry).collect()
    }
}

/// An entry of the log as the core takes it.
pub(super) fn from_log_entry(entry: LogEntry) -> Result<Entry, Stop> {
    let kind = EntryKind::from_byte(entry.kind)
        .ok_or_else(|| ("log", format!("entry {} has kind {}", entry.index, entry.kind)))?;
    Ok(Entry { index: Index(entry.index), term: Term(entry.term), kind, data: entry.data })
}

/// A message in a few words.
pub(crate) fn describe(message: &Message) -> String {
    match message {
        Message::Raft(raft) => format!("{raft:?}"),
        Message::Forward { batch, term, commands, .. } => {
            format!("forward {batch} term {term} of {} commands", commands.len())
        }
        Message::ForwardRefused { batch, .. } => format!("forward_refused {batch}"),
        Message::ReadRequest { context, .. } => format!("read_request {context}"),
        Message::ReadReply { context, index, .. } => format!("read_reply {context} at {index}"),
    }
}
