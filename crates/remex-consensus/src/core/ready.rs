//! Letting the Raft library say what is to be done.

use raft::Ready;
use raft::eraftpb::{self, MessageType};
use remex_model::{Decoder, Index, ProposalId, Term};

use super::membership::leaves;
use super::{Core, Held};
use crate::tail::Wanted;
use crate::{Effect, Entry, EntryKind, FetchId, HardState, Message, RaftMessage};

/// Bytes that one fetch of older entries asks for.
const FETCH_BYTES: usize = 1024 * 1024;

impl Core {
    /// Carries out what the library has ready, until it has nothing more.
    pub(super) fn settle(&mut self, effects: &mut Vec<Effect>) {
        self.note_leadership(effects);
        while self.raft.has_ready() {
            let ready = self.raft.ready();
            self.ready(ready, effects);
            self.note_leadership(effects);
        }
        self.fetch(effects);
        let ready = self.reads.take_ready(self.applied);
        if !ready.is_empty() {
            effects.push(Effect::ReadReady { sequences: ready });
        }
    }

    /// One ready, in this order: the leader's messages, what is committed, what is to be
    /// written. Committed entries are synced here already (the library sees to that), so
    /// applying them need not wait for the write.
    fn ready(&mut self, mut ready: Ready, effects: &mut Vec<Effect>) {
        let mut messages = ready.take_messages();
        let parting = self.takes_apart(ready.committed_entries());
        if !self.leads_unsynced(&ready) && parting.is_none() && self.parting.entries.is_empty() {
            for message in std::mem::take(&mut messages) {
                self.send_raft(message, effects);
            }
        }
        for state in ready.take_read_states() {
            if let Ok(context) = <[u8; 8]>::try_from(state.request_ctx.as_slice()) {
                self.confirm_reads(u64::from_le_bytes(context), Index(state.index), effects);
            }
        }
        let number = ready.number();
        let committed = ready.take_committed_entries();
        self.apply_or_park(committed, parting, number, effects);
        let must_sync = ready.must_sync() || parting.is_some();
        let entries = ready.take_entries();
        messages.extend(ready.take_persisted_messages());
        let hard_state = ready.hs().cloned();
        self.raft.mut_store().append(&entries);
        self.raft.advance_append_async(ready);
        let hard_state = self.note_hard_state(hard_state, number, must_sync);

        let messages = self.send_unbound(messages, effects);
        if must_sync {
            let entries = entries.into_iter().map(Entry::from_raft).collect();
            effects.push(Effect::Persist { number, hard_state, entries });
            self.held.push_back(Held { number, written: true, messages });
        } else if self.held.is_empty() {
            self.raft.on_persist_ready(number);
            for message in messages {
                self.send_raft(message, effects);
            }
        } else {
            self.held.push_back(Held { number, written: false, messages });
        }
    }

    /// Whether this node leads a term that it has not synced. The only voter does so, because it
    /// wins without asking anybody. Its messages wait then: if it crashed, it would lead the same
    /// term again, with other entries than those that learners have from it.
    fn leads_unsynced(&self, ready: &Ready) -> bool {
        let written = &self.written_hard_state;
        let votes =
            |state: &eraftpb::HardState| (state.term, state.vote) != (written.term, written.vote);
        self.unsynced_vote != 0 || ready.hs().is_some_and(votes)
    }

    /// Keeps the newest hard state for the next write. A change of the commit index alone is not
    /// worth a write of its own: it is a hint.
    fn note_hard_state(
        &mut self,
        changed: Option<eraftpb::HardState>,
        number: u64,
        must_sync: bool,
    ) -> Option<HardState> {
        if let Some(state) = changed {
            let written = &self.written_hard_state;
            if must_sync && (state.term, state.vote) != (written.term, written.vote) {
                self.unsynced_vote = number;
            }
            self.latest_hard_state = state;
        }
        if !must_sync || self.latest_hard_state == self.written_hard_state {
            return None;
        }
        self.written_hard_state = self.latest_hard_state.clone();
        Some(HardState::from_raft(&self.latest_hard_state))
    }

    /// Sends those of a follower's messages that promise nothing about the log: an answer to a
    /// heartbeat acknowledges only the term, so it need not wait behind entries that are being
    /// synced. Returns the rest.
    fn send_unbound(
        &mut self,
        messages: Vec<eraftpb::Message>,
        effects: &mut Vec<Effect>,
    ) -> Vec<eraftpb::Message> {
        if self.unsynced_vote != 0 {
            return messages;
        }
        let (free, bound) = messages
            .into_iter()
            .partition(|message| message.get_msg_type() == MessageType::MsgHeartbeatResponse);
        let free: Vec<_> = free;
        for message in free {
            self.send_raft(message, effects);
        }
        bound
    }

    /// Everything up to a write is synced: what it promised may leave.
    pub(super) fn persisted(&mut self, number: u64, effects: &mut Vec<Effect>) {
        if self.unsynced_vote <= number {
            self.unsynced_vote = 0;
        }
        while let Some(held) = self.held.front() {
            if held.written && held.number > number {
                break;
            }
            let held = self.held.pop_front().expect("just looked at");
            self.raft.on_persist_ready(held.number);
            for message in held.messages {
                self.send_raft(message, effects);
            }
        }
        if self.parting.number <= number {
            let parted = std::mem::take(&mut self.parting.entries);
            self.apply(parted, effects);
        }
    }

    /// Where in these committed entries a joint membership is left, unless it was known to be
    /// committed when this run began.
    fn takes_apart(&self, committed: &[eraftpb::Entry]) -> Option<usize> {
        committed.iter().position(|entry| entry.index > self.parting.known && leaves(entry))
    }

    /// Applies committed entries. Those from the one on that leaves a joint membership wait until it
    /// is synced here that it is committed: see `membership.rs`.
    fn apply_or_park(
        &mut self,
        mut committed: Vec<eraftpb::Entry>,
        parting: Option<usize>,
        number: u64,
        effects: &mut Vec<Effect>,
    ) {
        if !self.parting.entries.is_empty() {
            self.parting.entries.append(&mut committed);
        } else if let Some(at) = parting {
            self.parting.entries = committed.split_off(at);
        }
        if parting.is_some() {
            self.parting.number = number;
        }
        self.apply(committed, effects);
    }

    pub(super) fn send_raft(&mut self, message: eraftpb::Message, effects: &mut Vec<Effect>) {
        let to = Message::raft_target(&message);
        self.send(to, Message::Raft(RaftMessage(message)), effects);
    }

    fn apply(&mut self, committed: Vec<eraftpb::Entry>, effects: &mut Vec<Effect>) {
        let Some(last) = committed.last().map(|entry| entry.index) else { return };
        let mut removed = false;
        for entry in &committed {
            self.proposals.entry_of_term(Term(entry.term));
            match EntryKind::of_raft(entry) {
                EntryKind::Data => self.resolve(entry),
                EntryKind::Membership => removed |= self.apply_change(entry),
            }
        }
        let entries = committed.into_iter().map(Entry::from_raft).collect();
        effects.push(Effect::Apply { entries });
        if removed {
            effects.push(Effect::Removed);
        }
        self.applied = Index(last);
        self.raft.advance_apply_to(last);
        self.raft.mut_store().applied(last);
    }

    /// Takes the proposals of this run that stand in an entry off the list. Walks over the ids
    /// without decoding commands; a batch that cannot be read stops the state machine, which
    /// gets the same bytes.
    fn resolve(&mut self, entry: &eraftpb::Entry) {
        let mut decoder = Decoder::new(entry.data.clone());
        let header = decoder.u8("version").and_then(|_| decoder.u64("time"));
        let Ok(time_ms) = header else { return };
        self.time_ms = self.time_ms.max(time_ms);
        let Ok(count) = decoder.u32("number of commands") else { return };
        for _ in 0..count {
            let (Ok(session), Ok(sequence)) = (decoder.u64("session"), decoder.u64("sequence"))
            else {
                return;
            };
            self.proposals.resolved(ProposalId { session, sequence });
            if decoder.skip_bytes("command").is_err() {
                return;
            }
        }
    }

    /// Asks for older entries that the library wants for a follower, once for each place.
    fn fetch(&mut self, effects: &mut Vec<Effect>) {
        for Wanted { low, high, context } in self.raft.mut_store().take_wanted() {
            if self.fetches.values().any(|&(pending, _)| pending == low) {
                continue;
            }
            let fetch = FetchId(self.next_fetch);
            self.next_fetch += 1;
            self.fetches.insert(fetch, (low, context));
            let (from, to) = (Index(low), Index(high));
            effects.push(Effect::Fetch { fetch, from, to, bytes_max: FETCH_BYTES });
        }
    }
}
