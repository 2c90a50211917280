//! The core: one node's consensus as a value.
//!
//! [`Core::handle`] takes everything that happened since the last call, in this order of work:
//! step every message, note every proposal and read, give what waits to the leader (itself or
//! another), then let the Raft library say what is to be done until it has nothing more to say.
//! Beside that road: elections and their timeouts (`election.rs`), the membership
//! (`membership.rs`), followers that need a snapshot (`snapshot.rs`), and messages that must not
//! reach the library (`guard.rs`).

mod election;
mod guard;
mod membership;
mod ready;
mod snapshot;
mod step;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use raft::{GetEntriesContext, ProgressState, RawNode, StateRole};
use remex_model::{Index, Membership, NodeId, Term};
use slog::{Discard, Logger, o};

use self::membership::Parting;
use crate::conf::conf_state;
use crate::contact::Contacts;
use crate::intake::Intake;
use crate::proposals::Proposals;
use crate::reads::Reads;
use crate::tail::{self, Tail};
use crate::timeout::ElectionTimeout;
use crate::{
    Config, Effect, Event, FetchId, Leadership, Marks, Message, Progress, Role, Start, StartError,
};

/// Heartbeats that a peer may leave unanswered before it does not count on.
const CONTACT_HEARTBEATS: usize = 5;

/// Messages that wait until a write is synced.
#[derive(Debug)]
struct Held {
    /// The library's number of the ready that they came with.
    number: u64,
    /// Whether that ready itself is written to the log; otherwise it only keeps its place in
    /// the order behind one that is.
    written: bool,
    messages: Vec<raft::eraftpb::Message>,
}

/// One node's consensus.
pub struct Core {
    config: Config,
    raft: RawNode<Tail>,
    timeout: ElectionTimeout,
    /// Ticks since the start.
    now: u64,
    /// Elections that this node stood for.
    elections: u64,
    /// Up to this tick it stands for election in short order, because the leader is gone for
    /// certain.
    hurried_until: u64,
    /// Who belongs to the cluster, as of `applied`.
    membership: Arc<Membership>,
    contacts: Contacts,
    leadership: Leadership,
    /// Last entry that was given out to be applied.
    applied: Index,
    proposals: Proposals,
    intake: Intake,
    reads: Reads,
    held: VecDeque<Held>,
    parting: Parting,
    /// The last write that carries a term or vote and is not known to be synced.
    unsynced_vote: u64,
    /// The hard state as it was last given out to be written.
    written_hard_state: raft::eraftpb::HardState,
    /// The hard state as the library last had it.
    latest_hard_state: raft::eraftpb::HardState,
    /// The highest wall-clock time seen in a batch or from the caller: batches never go back.
    time_ms: u64,
    fetches: BTreeMap<FetchId, (u64, GetEntriesContext)>,
    next_fetch: u64,
    /// What makes it impossible to go on.
    failure: Option<Effect>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Core")
            .field("id", &self.config.id)
            .field("leadership", &self.leadership)
            .field("commit", &self.commit())
            .field("applied", &self.applied)
            .field("last", &self.last_index())
            .finish_non_exhaustive()
    }
}

impl Core {
    /// A core that goes on from what the disk holds; on an empty disk, from nothing.
    ///
    /// # Errors
    /// If what the disk holds contradicts itself.
    pub fn new(config: Config, start: Start) -> Result<Self, StartError> {
        let last = check(&start)?;
        let mut hard_state = start.hard_state;
        // The stored commit is a hint that may lag; what was applied was committed.
        hard_state.commit = hard_state.commit.max(start.applied);
        let log = tail::Stored {
            first_index: start.first_index.get().max(1),
            last_index: last.get(),
            terms: start.terms.iter().map(|&(index, term)| (index.get(), term.get())).collect(),
            entries: start.entries.iter().map(crate::Entry::to_raft).collect(),
        };
        let tail = Tail::new(
            hard_state.to_raft(),
            conf_state(&start.membership),
            log,
            start.applied.get(),
            config.tail_bytes_max,
        );
        let logger = Logger::root(Discard, o!());
        let mut raft = RawNode::new(&library_config(&config, start.applied), tail, &logger)
            .map_err(|error| StartError::Settings(error.to_string()))?;
        raft.raft.set_max_committed_size_per_ready(u64::MAX);
        if raft.raft.promotable() && raft.raft.prs().is_singleton() {
            // Nobody else could lead: why wait for an election timeout?
            raft.campaign().map_err(|error| StartError::Settings(error.to_string()))?;
        }
        let timeout = ElectionTimeout::new(config.session, config.election_ticks);
        let leadership = Leadership { role: Role::Follower, term: hard_state.term, leader: None };
        Ok(Self {
            timeout,
            now: 0,
            elections: 0,
            hurried_until: 0,
            membership: Arc::new(start.membership),
            contacts: Contacts::new(contact_ticks(&config)),
            leadership,
            applied: start.applied,
            proposals: Proposals::new(config.session),
            intake: Intake::default(),
            reads: Reads::new(),
            held: VecDeque::new(),
            parting: Parting { known: hard_state.commit.get(), ..Parting::default() },
            unsynced_vote: 0,
            written_hard_state: hard_state.to_raft(),
            latest_hard_state: hard_state.to_raft(),
            time_ms: 0,
            fetches: BTreeMap::new(),
            next_fetch: 0,
            failure: None,
            raft,
            config,
        })
    }

    /// Takes in what happened and says what to do. `time_ms` is the wall clock, which is written
    /// into proposed batches and decides nothing.
    pub fn handle(
        &mut self,
        events: impl IntoIterator<Item = Event>,
        time_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        self.time_ms = self.time_ms.max(time_ms);
        for event in events {
            self.step(event, effects);
        }
        self.settle(effects);
        self.leave_joint();
        self.give_proposals(effects);
        self.ask_reads(effects);
        self.settle(effects);
        effects.extend(self.failure.take());
    }

    /// Role, term and leader.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership
    }

    /// Last entry known to be committed.
    #[must_use]
    pub fn commit(&self) -> Index {
        Index(self.raft.raft.raft_log.committed)
    }

    /// Last entry that was given out to be applied.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// Last entry of the log, synced or not.
    #[must_use]
    pub fn last_index(&self) -> Index {
        Index(self.raft.raft.raft_log.last_index())
    }

    /// How far the members are, while this node leads; otherwise nothing.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        if self.leadership.role != Role::Leader {
            return Vec::new();
        }
        let known = self.raft.raft.prs();
        let member = |id: NodeId, part| {
            let progress = known.get(id.get())?;
            Some(Progress {
                id,
                part,
                matched: Index(progress.matched),
                active: self.is_active(id),
                needs_snapshot: progress.state == ProgressState::Snapshot,
            })
        };
        self.membership.members().filter_map(|(known, part)| member(known.id, part)).collect()
    }

    /// Notes in `marks` what this node knows of the members while it leads.
    pub fn note_marks(&self, marks: &mut Marks) {
        if self.raft.raft.commit_to_current_term() {
            marks.note(&self.progress(), self.commit(), self.leadership.term);
        }
    }

    /// Who belongs to the cluster, as of the last entry that was given out to be applied. A node
    /// that is not in it was removed, or has not been told of the cluster yet if it is empty.
    #[must_use]
    pub fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    fn id(&self) -> NodeId {
        self.config.id
    }

    fn send(&self, to: NodeId, message: Message, effects: &mut Vec<Effect>) {
        debug_assert!(to != self.id(), "a node does not write to itself");
        effects.push(Effect::Send { to, message });
    }

    /// Notes a change of role, term or leader, and what follows from it for reads.
    fn note_leadership(&mut self, effects: &mut Vec<Effect>) {
        let raft = &self.raft.raft;
        let role = match raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        };
        let leader = (raft.leader_id != 0).then_some(NodeId(raft.leader_id));
        let now = Leadership { role, term: Term(raft.term), leader };
        if now == self.leadership {
            return;
        }
        self.leadership = now;
        if leader.is_some() {
            self.hurried_until = 0;
        }
        self.reads.ask_again();
        self.reads.drop_remotes();
        effects.push(Effect::Leadership(now));
    }
}

/// Checks that what the disk holds fits together; answers the last entry of the log.
fn check(start: &Start) -> Result<Index, StartError> {
    let (applied, first_index) = (start.applied, start.first_index);
    if first_index > applied.next() {
        return Err(StartError::Trimmed { applied, first_index });
    }
    if first_index > Index(1) && start.terms.first().is_none_or(|&(run, _)| run >= first_index) {
        return Err(StartError::TermUnknown(Index(first_index.get() - 1)));
    }
    let mut last = start.applied;
    for entry in &start.entries {
        if entry.index != last.next() {
            return Err(StartError::Gap { expected: last.next(), found: entry.index });
        }
        last = entry.index;
    }
    // Runs of terms reach from before the first entry to the last; one that begins behind the
    // last would mean that entries are missing.
    if let Some(&(first, _)) = start.terms.last().filter(|(first, _)| *first > last) {
        return Err(StartError::Gap { expected: last.next(), found: first });
    }
    if start.applied.get() > 0 && start.terms.is_empty() {
        return Err(StartError::AppliedBehindLog { applied: start.applied, last: Index(0) });
    }
    if start.hard_state.commit > last {
        return Err(StartError::CommitBehindLog { commit: start.hard_state.commit, last });
    }
    Ok(last)
}

/// Silence after which a peer does not count on: some heartbeats, well before an election.
fn contact_ticks(config: &Config) -> u64 {
    (CONTACT_HEARTBEATS * config.heartbeat_ticks).min(config.election_ticks) as u64
}

fn library_config(config: &Config, applied: Index) -> raft::Config {
    raft::Config {
        id: config.id.get(),
        election_tick: config.election_ticks,
        heartbeat_tick: config.heartbeat_ticks,
        applied: applied.get(),
        max_size_per_msg: config.message_bytes_max,
        max_inflight_msgs: config.inflight_messages_max,
        check_quorum: true,
        pre_vote: true,
        max_uncommitted_size: config.uncommitted_bytes_max,
        ..raft::Config::default()
    }
}
