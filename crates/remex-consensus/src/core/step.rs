//! Taking events in: messages, proposals, reads, ticks.

use raft::StateRole;
use raft::eraftpb::{self, MessageType};
use remex_model::{BatchBuilder, Command, Index, NodeId, Proposed, Term};

use super::Core;
use super::guard::Verdict;
use crate::intake::Seen;
use crate::reads::Remote;
use crate::{Effect, Event, FetchId, Message, RaftMessage, Role};

impl Core {
    pub(super) fn step(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Tick => self.tick(effects),
            Event::Late { ticks } => self.now += ticks,
            Event::Message { from, message } => self.message(from, message, effects),
            Event::Propose { sequence, command, ttl_ticks } => {
                self.proposals.add(sequence, command, self.now + ttl_ticks);
            }
            Event::Read { sequence, ttl_ticks } => self.reads.add(sequence, self.now + ttl_ticks),
            Event::Persisted { number } => self.persisted(number, effects),
            Event::Fetched { fetch, entries } => self.fetched(fetch, &entries),
            Event::Unreachable { peer } => {
                self.contacts.lost(peer);
                self.raft.report_unreachable(peer.get());
            }
            Event::PeerGone { peer } => self.peer_gone(peer),
            Event::Change { sequence, changes, force } => {
                if let Err(refusal) = self.change(sequence, &changes, force) {
                    effects.push(Effect::ChangeRefused { sequence, refusal });
                }
            }
            Event::Transfer { to } => self.transfer(to),
            Event::Trimmed { first_index } => self.trimmed(first_index),
        }
    }

    fn tick(&mut self, effects: &mut Vec<Effect>) {
        self.now += 1;
        self.contacts.tick();
        self.tick_election();
        if self.leads() {
            self.offer_snapshots();
            self.promote();
        }
        for (sequence, sent) in self.proposals.tick(self.now) {
            effects.push(Effect::ProposalExpired { sequence, sent });
        }
        for sequence in self.reads.expire(self.now) {
            effects.push(Effect::ReadExpired { sequence });
        }
        self.retry(effects);
    }

    /// Sends again what was not answered in time.
    fn retry(&mut self, effects: &mut Vec<Effect>) {
        if self.leadership.role == Role::Leader {
            // A leader's round of heartbeats is repeated by the library.
            return;
        }
        let Some(leader) = self.leadership.leader else { return };
        let (term, retry_ticks) = (self.leadership.term, self.config.retry_ticks);
        for forward in self.proposals.retries(term, self.now, retry_ticks) {
            let session = self.config.session;
            let (batch, term) = (forward.batch, forward.term);
            let message = Message::Forward { session, batch, term, commands: forward.commands };
            self.send(leader, message, effects);
        }
        if let Some(context) = self.reads.retry(self.now, retry_ticks) {
            let session = self.config.session;
            self.send(leader, Message::ReadRequest { session, context }, effects);
        }
    }

    fn message(&mut self, from: NodeId, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::Raft(message) => self.raft_message(from, message, effects),
            Message::Forward { session, batch, term, commands } => {
                self.take_forward(from, (session, batch), term, commands, effects);
            }
            Message::ForwardRefused { session, batch } => {
                if session == self.config.session {
                    self.proposals.refused(batch);
                }
            }
            Message::ReadRequest { session, context } => {
                if self.leadership.role == Role::Leader {
                    self.reads.add_remote(Remote { peer: from, session, context });
                }
            }
            Message::ReadReply { session, context, index } => {
                if session == self.config.session && self.leadership.role != Role::Leader {
                    self.reads.confirm(context, index);
                }
            }
        }
    }

    fn raft_message(&mut self, from: NodeId, message: RaftMessage, effects: &mut Vec<Effect>) {
        let message = message.0;
        if message.from != from.get() || message.to != self.id().get() {
            return;
        }
        match self.judge(from, &message) {
            Verdict::Step => {}
            Verdict::Ignore => return,
            Verdict::Failure(failure) => {
                self.failure.get_or_insert(failure);
                return;
            }
        }
        self.contacts.heard(from);
        match message.get_msg_type() {
            MessageType::MsgSnapshot => self.snapshot_offered(from, message, effects),
            MessageType::MsgHeartbeat => self.heartbeat(message),
            MessageType::MsgAppendResponse if self.leads_leaving() => {
                self.hand_on(from, message, effects);
            }
            _ => self.step_raft(message),
        }
    }

    /// Gives a message to the library.
    pub(super) fn step_raft(&mut self, message: eraftpb::Message) {
        // An error here means that the message was not for us (an unknown peer, a stale
        // response); Raft treats it like a lost one.
        drop(self.raft.step(message));
        // The library may have written a new random timeout; ours is set before every tick.
    }

    /// Takes proposals of a follower, if this node leads the term that they are meant for and
    /// has not taken them before.
    fn take_forward(
        &mut self,
        from: NodeId,
        (session, batch): (u64, u64),
        term: Term,
        mut commands: Vec<Proposed>,
        effects: &mut Vec<Effect>,
    ) {
        // Asked of the library itself: an event before this one may have ended the leadership.
        if !self.leads() || self.raft.raft.term != term.get() {
            return;
        }
        match self.intake.note(term, session, batch) {
            Seen::New => {}
            Seen::Taken => return,
            Seen::Refused => {
                self.send(from, Message::ForwardRefused { session, batch }, effects);
                return;
            }
        }
        // What stands in the log must be readable on every node: check before it enters.
        commands.retain(|proposed| Command::decode(proposed.command.clone()).is_ok());
        if !self.append(&commands) {
            self.intake.refuse(session, batch);
            self.send(from, Message::ForwardRefused { session, batch }, effects);
        }
    }

    /// Gives what waits to the leader: itself, or another node.
    pub(super) fn give_proposals(&mut self, effects: &mut Vec<Effect>) {
        while self.proposals.has_waiting() {
            let term = self.leadership.term;
            let bytes_max = self.config.entry_bytes_max;
            match (self.leadership.role, self.leadership.leader) {
                (Role::Leader, _) => {
                    let proposals = self.proposals.take_for_append(term, bytes_max);
                    if !self.append(&proposals) {
                        self.proposals.put_back(&proposals);
                        return;
                    }
                }
                (_, Some(leader)) => {
                    let forward = self.proposals.take_for_forward(term, self.now, bytes_max);
                    let (session, batch) = (self.config.session, forward.batch);
                    let commands = forward.commands;
                    let message = Message::Forward { session, batch, term, commands };
                    self.send(leader, message, effects);
                }
                (_, None) => return,
            }
        }
    }

    /// Starts a round of heartbeats, or asks the leader, for the reads that wait.
    pub(super) fn ask_reads(&mut self, effects: &mut Vec<Effect>) {
        if !self.reads.has_waiting() {
            return;
        }
        if self.leadership.role == Role::Leader {
            // Before its first commit a leader does not know what its predecessors committed
            // (Raft §8); the library would drop the read without a word.
            if self.raft.raft.commit_to_current_term()
                && let Some(context) = self.reads.begin(self.now)
            {
                self.raft.read_index(context.to_le_bytes().to_vec());
            }
        } else if let Some(leader) = self.leadership.leader
            && let Some(context) = self.reads.begin(self.now)
        {
            let session = self.config.session;
            self.send(leader, Message::ReadRequest { session, context }, effects);
        }
    }

    fn fetched(&mut self, fetch: FetchId, entries: &[crate::Entry]) {
        let Some((_, context)) = self.fetches.remove(&fetch) else { return };
        if entries.is_empty() {
            // The log on disk was trimmed, and this core will hear of it. The library asks again
            // whenever the follower answers a heartbeat, and is told then.
            return;
        }
        let entries = entries.iter().map(crate::Entry::to_raft).collect();
        self.raft.mut_store().set_fetched(entries);
        self.raft.on_entries_fetched(context);
    }

    /// A round of heartbeats was answered by a quorum, or a request by the leader.
    pub(super) fn confirm_reads(&mut self, context: u64, index: Index, effects: &mut Vec<Effect>) {
        for remote in self.reads.confirm(context, index) {
            let (session, context) = (remote.session, remote.context);
            self.send(remote.peer, Message::ReadReply { session, context, index }, effects);
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    /// Appends proposals to the leader's log, as batches. False if the log takes none now.
    fn append(&mut self, proposals: &[Proposed]) -> bool {
        if proposals.is_empty() {
            return true;
        }
        if !self.leads() {
            // The library would pass the proposal on by itself, outside the bookkeeping of terms.
            return false;
        }
        let bytes = proposals.iter().map(Proposed::encoded_bytes).sum();
        let mut batch = BatchBuilder::new(self.time_ms, bytes);
        for proposed in proposals {
            batch.push(proposed);
        }
        self.raft.propose(Vec::new(), batch.finish()).is_ok()
    }
}
