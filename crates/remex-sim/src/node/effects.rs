//! Carrying out the core's effects, in order.

use remex_consensus::{ChangeRefusal, Effect, Entry, EntryKind, Event, Leadership, Message, Role};
use remex_log::LogEntry;
use remex_model::{Index, NodeId, Term};

use super::End;
use super::running::Running;
use crate::around::Around;
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
                Effect::RolledBack { reason } => {
                    around.judge.finds_old_disk(self.id, &reason)?;
                    return Err(Stop::Ended(End::OldDisk));
                }
                Effect::Fatal { reason } => {
                    let detail = format!("node {} stops: {reason}", self.position);
                    return Err(Stop::Broken(("fatal", detail)));
                }
                Effect::NeedSnapshot { index, from, .. } => self.want(from, index, around),
                Effect::Removed => self.removed_ticks = Some(0),
                Effect::ChangeRefused { refusal, .. } => count_refusal(&refusal, around),
            }
        }
        // Last, because it may take the time of a disk write: everything else is on its way.
        self.write(around)
    }

    fn send(&mut self, to: NodeId, message: &Message, around: &mut Around) {
        if !self.knows(to) {
            return;
        }
        match message {
            Message::Forward { batch, .. } => {
                around.coverage.forwards_retried += u64::from(!self.forwards.insert(*batch));
            }
            Message::ForwardRefused { .. } => around.coverage.forwards_refused += 1,
            Message::Raft(_) | Message::ReadRequest { .. } | Message::ReadReply { .. } => {}
        }
        let mut out = Vec::with_capacity(128);
        message.encode(&mut out);
        let (now_us, from, place) = (around.now_us, self.position, around.selves.place(to));
        if around.network.is_cut(now_us, from, place) && around.dice.chance(1_000) {
            // The transport notices a dead connection sooner or later.
            self.put(Event::Unreachable { peer: to }, around);
        }
        let passes = self.transmit(to, out.into(), around);
        let struck = if passes { "" } else { " (struck)" };
        around.trace.line(now_us, || format!("n{from} -> n{place} {}{struck}", describe(message)));
    }

    fn apply(&mut self, entries: Vec<Entry>, around: &mut Around) -> Result<(), Stop> {
        let mut mine = Vec::new();
        for entry in entries {
            around.judge.applying(self.id, &entry, self.leads())?;
            if entry.kind == EntryKind::Membership {
                self.apply_membership(&entry, around)?;
                continue;
            }
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

    /// Takes a new membership on.
    fn apply_membership(&mut self, entry: &Entry, around: &mut Around) -> Result<(), Stop> {
        let payload = entry.data.clone();
        let applied = self.state.apply_membership(entry.index, entry.term, payload);
        let applied =
            applied.map_err(|fatal| ("state", format!("node {}: {fatal}", self.position)))?;
        let hash = self.state.hash();
        around.trace.note([8, entry.index.get(), hash]);
        let first = around.judge.applied(self.id, entry, &[], hash)?;
        around.judge.membership(self.id, entry.index, &applied.membership)?;
        around.coverage.committed += u64::from(first);
        around.coverage.applied += 1;
        if applied.accepted.is_err() {
            return Ok(());
        }
        around.coverage.changes_applied += u64::from(first);
        let position = self.position;
        around.trace.line(around.now_us, || {
            let parts = applied.membership.members();
            let parts: Vec<_> = parts.map(|(member, part)| (member.id.get(), part)).collect();
            format!("n{position} applies membership {}: {parts:?}", entry.index)
        });
        self.greeted.clear();
        self.marks.keep_members(&applied.membership);
        if applied.membership.is_joint() {
            let chance = around.settings.faults.cut_in_change;
            self.lose_power_soon(chance, 50_000, around);
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

fn count_refusal(refusal: &ChangeRefusal, around: &mut Around) {
    let coverage = &mut around.coverage;
    let refused = match refusal {
        ChangeRefusal::NotLeader => &mut coverage.changes_by_no_leader,
        ChangeRefusal::InProgress | ChangeRefusal::Busy => &mut coverage.changes_in_progress,
        ChangeRefusal::IsLeader => &mut coverage.changes_of_the_leader,
        ChangeRefusal::WouldLoseQuorum { .. } => &mut coverage.changes_without_quorum,
        ChangeRefusal::Invalid(_) => &mut coverage.changes_invalid,
    };
    *refused += 1;
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
