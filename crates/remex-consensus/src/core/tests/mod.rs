//! Cores joined by a network and disks in memory.
//!
//! Every message crosses the wire's encoding. After every event it is checked that no term has two
//! leaders, that all nodes apply the same entries, and that every core has the membership that its
//! state machine comes to by itself.

mod chaos;
mod failover;
mod guard;
mod membership;
mod replication;
mod snapshot;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use remex_model::{
    Batch, Command, Incarnation, Index, Key, Member, MemberChange, Membership, MembershipChange,
    NodeId, Part, Term, Value,
};

use super::Core;
use crate::timeout::mix;
use crate::{
    ChangeRefusal, Config, Effect, Entry, EntryKind, Event, HardState, Message, Role, Start,
};

fn member(id: u64) -> Member {
    Member {
        id: NodeId(id),
        incarnation: Incarnation(id),
        name: format!("n{id}"),
        peer_address: String::new(),
        client_url: String::new(),
        promote: true,
    }
}

/// A member that stands for a node which has not appeared yet.
fn awaited(id: u64, node: u64) -> Member {
    Member { id: NodeId(id), incarnation: Incarnation(0), ..member(node) }
}

/// Bytes that a leader holds without their being committed.
const UNCOMMITTED_BYTES_MAX: u64 = 1024 * 1024;

/// The settings of a node, with so little memory that older entries are read from the log.
fn config(id: NodeId) -> Config {
    Config {
        tail_bytes_max: 1024,
        uncommitted_bytes_max: UNCOMMITTED_BYTES_MAX,
        ..Config::new(id, 1000 + id.get())
    }
}

/// What every founder starts from: the founding is entry 1.
fn founded(size: u64) -> Start {
    Start {
        hard_state: HardState { term: Term(1), vote: None, commit: Index(1) },
        membership: Membership::founded((1..=size).map(member)),
        applied: Index(1),
        first_index: Index(2),
        terms: vec![(Index(1), Term(1))],
        entries: Vec::new(),
    }
}

/// What a node has synced, and the state machine as it is found after a crash.
struct Disk {
    hard_state: HardState,
    first_index: Index,
    /// The term of the entry before the first.
    base_term: Term,
    entries: Vec<Entry>,
    state: (Index, Membership),
}

impl Disk {
    fn of(start: &Start) -> Self {
        Self {
            hard_state: start.hard_state,
            first_index: start.first_index,
            base_term: start.terms.first().map_or(Term(0), |&(_, term)| term),
            entries: start.entries.clone(),
            state: (start.applied, start.membership.clone()),
        }
    }

    fn write(&mut self, hard_state: Option<HardState>, entries: Vec<Entry>) {
        self.hard_state = hard_state.unwrap_or(self.hard_state);
        if let Some(first) = entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend(entries);
        }
    }

    fn start(&self) -> Start {
        let mut terms = vec![(Index(self.first_index.get() - 1), self.base_term)];
        for entry in &self.entries {
            if terms.last().is_some_and(|&(_, term)| term != entry.term) {
                terms.push((entry.index, entry.term));
            }
        }
        let (applied, membership) = self.state.clone();
        let behind = |entry: &&Entry| entry.index > applied;
        Start {
            hard_state: self.hard_state,
            membership,
            applied,
            first_index: self.first_index,
            terms,
            entries: self.entries.iter().filter(behind).cloned().collect(),
        }
    }

    fn term_of(&self, index: Index) -> Term {
        let found = self.entries.iter().find(|entry| entry.index == index);
        found.map_or(self.base_term, |entry| entry.term)
    }
}

struct Node {
    core: Core,
    disk: Disk,
    /// The state machine: last entry, and the membership by its own reckoning.
    state: (Index, Membership),
    applied: Vec<Entry>,
    ready_reads: Vec<u64>,
    expired: Vec<(u64, bool)>,
    /// Writes that are not synced yet.
    unsynced: VecDeque<(u64, Option<HardState>, Vec<Entry>)>,
    refused: Vec<(u64, ChangeRefusal)>,
    needed: Vec<(Index, Term, NodeId)>,
    fetches: usize,
    removed: bool,
    rolled_back: Option<String>,
    fatal: Option<String>,
}

impl Node {
    fn new(id: NodeId, start: Start) -> Self {
        let (disk, state) = (Disk::of(&start), (start.applied, start.membership.clone()));
        Self {
            core: Core::new(config(id), start).unwrap(),
            disk,
            state,
            applied: Vec::new(),
            ready_reads: Vec::new(),
            expired: Vec::new(),
            unsynced: VecDeque::new(),
            refused: Vec::new(),
            needed: Vec::new(),
            fetches: 0,
            removed: false,
            rolled_back: None,
            fatal: None,
        }
    }

    fn apply(&mut self, entry: Entry) {
        if entry.kind == EntryKind::Membership {
            let change = MembershipChange::decode(entry.data.clone()).unwrap();
            drop(self.state.1.apply(&change.changes));
        }
        self.state.0 = entry.index;
        self.applied.push(entry);
    }
}

/// A cluster in which messages arrive at once. `slow` nodes sync only when told; `cut` ones are
/// alone.
#[derive(Default)]
struct Cluster {
    nodes: BTreeMap<NodeId, Node>,
    slow: Vec<NodeId>,
    cut: Vec<NodeId>,
    /// Cut this node off after so many more events; what it has sent is lost.
    cut_after: Option<(usize, NodeId)>,
    /// Reading old entries finds none: the log is just being trimmed.
    blind: bool,
    /// Where the network loses, doubles and reorders messages: the state of its dice.
    dice: Option<u64>,
    leaders: BTreeMap<Term, NodeId>,
    committed: BTreeMap<Index, Entry>,
    sequence: u64,
}

impl Cluster {
    fn new(size: u64) -> Self {
        let mut cluster = Self::default();
        for id in (1..=size).map(NodeId) {
            cluster.nodes.insert(id, Node::new(id, founded(size)));
        }
        cluster
    }

    /// A node that has nothing, and that nobody knows.
    fn join(&mut self, id: u64) {
        let start = Start { first_index: Index(1), ..Start::default() };
        self.nodes.insert(NodeId(id), Node::new(NodeId(id), start));
    }

    fn node(&self, id: u64) -> &Node {
        &self.nodes[&NodeId(id)]
    }

    fn node_mut(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&NodeId(id)).unwrap()
    }

    /// The node dies and comes back with what it has synced. Its state machine is as old as
    /// `disk.state`.
    fn restart(&mut self, id: u64) {
        let node = self.node_mut(id);
        let start = node.disk.start();
        let disk = std::mem::replace(&mut node.disk, Disk::of(&start));
        *node = Node { disk, ..Node::new(NodeId(id), start) };
    }

    /// The node makes its state durable.
    fn flush(&mut self, id: u64) {
        let node = self.node_mut(id);
        node.disk.state = node.state.clone();
    }

    /// The node makes its state durable and drops the log before `first_index`.
    fn trim(&mut self, id: u64, first_index: u64) {
        let node = self.node_mut(id);
        let first_index = Index(first_index);
        node.disk.base_term = node.disk.term_of(Index(first_index.get() - 1));
        node.disk.first_index = first_index;
        node.disk.entries.retain(|entry| entry.index >= first_index);
        self.flush(id);
        self.handle(id, Event::Trimmed { first_index });
    }

    /// What a node does when it needs a snapshot and another has one.
    fn install(&mut self, id: u64, from: u64) {
        let state = self.node(from).state.clone();
        let term = self.node(from).disk.term_of(state.0);
        let disk = &mut self.node_mut(id).disk;
        disk.hard_state.commit = state.0;
        disk.hard_state.term = disk.hard_state.term.max(term);
        (disk.first_index, disk.base_term) = (state.0.next(), term);
        disk.entries.clear();
        disk.state = state;
        self.restart(id);
    }

    fn handle(&mut self, id: u64, event: Event) {
        let mut queue = VecDeque::from([(NodeId(id), event)]);
        while let Some((id, event)) = queue.pop_front() {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            let mut effects = Vec::new();
            node.core.handle([event], 0, &mut effects);
            for effect in effects {
                self.carry_out(id, effect, &mut queue);
            }
            self.check(id);
            if let Some((left, id)) = self.cut_after {
                self.cut_after = left.checked_sub(1).map(|left| (left, id));
                if left == 0 {
                    self.cut.push(id);
                    queue.retain(
                        |(_, event)| !matches!(event, Event::Message { from, .. } if *from == id),
                    );
                }
            }
        }
    }

    fn carry_out(&mut self, id: NodeId, effect: Effect, queue: &mut VecDeque<(NodeId, Event)>) {
        let slow = self.slow.contains(&id) || !self.nodes[&id].unsynced.is_empty();
        let node = self.nodes.get_mut(&id).unwrap();
        match effect {
            Effect::Send { to, message } => {
                if !self.cut.contains(&to) && !self.cut.contains(&id) {
                    let mut bytes = Vec::new();
                    message.encode(&mut bytes);
                    let message = Message::decode(bytes.into()).unwrap();
                    for place in self.places(queue.len()) {
                        let message = message.clone();
                        queue.insert(place, (to, Event::Message { from: id, message }));
                    }
                }
            }
            Effect::Persist { number, hard_state, entries } if slow => {
                node.unsynced.push_back((number, hard_state, entries));
            }
            Effect::Persist { number, hard_state, entries } => {
                node.disk.write(hard_state, entries);
                queue.push_back((id, Event::Persisted { number }));
            }
            Effect::Fetch { fetch, from, to, .. } => {
                let wanted = |entry: &&Entry| (from..to).contains(&entry.index);
                let held = node.disk.entries.iter().filter(|_| !self.blind);
                let entries = held.filter(wanted).cloned().collect();
                node.fetches += 1;
                queue.push_back((id, Event::Fetched { fetch, entries }));
            }
            Effect::Apply { entries } => {
                for entry in entries {
                    let known = self.committed.entry(entry.index).or_insert_with(|| entry.clone());
                    assert_eq!(known, &entry, "{id} applies another entry");
                    node.apply(entry);
                }
            }
            Effect::ReadReady { sequences } => node.ready_reads.extend(sequences),
            Effect::ProposalExpired { sequence, sent } => node.expired.push((sequence, sent)),
            Effect::ReadExpired { .. } | Effect::Leadership(_) => {}
            Effect::ChangeRefused { sequence, refusal } => node.refused.push((sequence, refusal)),
            Effect::NeedSnapshot { index, term, from } => node.needed.push((index, term, from)),
            Effect::Removed => node.removed = true,
            Effect::RolledBack { reason } => node.rolled_back = Some(reason),
            Effect::Fatal { reason } => node.fatal = Some(reason),
        }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        let dice = self.dice.as_mut().expect("only networks with dice roll them");
        *dice += 1;
        mix(*dice) % sides
    }

    /// Where in the queue a message comes to lie: nowhere if it is lost.
    fn places(&mut self, waiting: usize) -> Vec<usize> {
        if self.dice.is_none() {
            return vec![waiting];
        }
        let copies = match self.roll(16) {
            0 => 0,
            1 => 2,
            _ => 1,
        };
        let waiting = waiting as u64 + 1;
        (0..copies).map(|_| usize::try_from(self.roll(waiting)).unwrap()).collect()
    }

    fn check(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let leadership = node.core.leadership();
        if leadership.role == Role::Leader {
            let leader = *self.leaders.entry(leadership.term).or_insert(id);
            assert_eq!(leader, id, "{:?} has two leaders", leadership.term);
        }
        assert_eq!(**node.core.membership(), node.state.1, "core and state of {id} differ");
    }

    /// Syncs the oldest write of a slow node.
    fn sync(&mut self, id: u64) {
        let node = self.node_mut(id);
        let Some((number, hard_state, entries)) = node.unsynced.pop_front() else { return };
        node.disk.write(hard_state, entries);
        self.handle(id, Event::Persisted { number });
    }

    fn tick(&mut self, count: usize) {
        for _ in 0..count {
            for id in self.nodes.keys().copied().collect::<Vec<_>>() {
                self.handle(id.get(), Event::Tick);
            }
        }
    }

    /// The leader among those that are not cut off, after waiting for one.
    fn leader(&mut self) -> u64 {
        for _ in 0..200 {
            self.tick(1);
            if let Some(leader) = self.leader_now() {
                return leader;
            }
        }
        panic!("no leader after 200 ticks");
    }

    fn leader_now(&self) -> Option<u64> {
        let leads = |(id, node): &(&NodeId, &Node)| {
            node.core.leadership().role == Role::Leader && !self.cut.contains(id)
        };
        self.nodes.iter().find(leads).map(|(id, _)| id.get())
    }

    fn propose(&mut self, id: u64, sequence: u64) {
        let command = Command::put(Key::from("k"), Value::raw(sequence.to_string())).to_bytes();
        self.handle(id, Event::Propose { sequence, command, ttl_ticks: 100 });
    }

    /// Asks a node for a change. Answers why it refuses, if it does.
    fn change(&mut self, id: u64, changes: Vec<MemberChange>) -> Option<ChangeRefusal> {
        self.change_by(id, changes, false)
    }

    fn change_by(
        &mut self,
        id: u64,
        changes: Vec<MemberChange>,
        force: bool,
    ) -> Option<ChangeRefusal> {
        self.sequence += 1;
        let sequence = 1_000_000 + self.sequence;
        self.handle(id, Event::Change { sequence, changes, force });
        let refused = &self.node(id).refused;
        refused.iter().find(|(refused, _)| *refused == sequence).map(|(_, why)| why.clone())
    }

    /// Members and their parts, as a node has applied them.
    fn parts(&self, id: u64) -> Vec<(u64, Part)> {
        let members = self.node(id).core.membership();
        members.members().map(|(member, part)| (member.id.get(), part)).collect()
    }

    /// (session, sequence) of every command that a node applied.
    fn commands(&self, id: u64) -> Vec<(u64, u64)> {
        let batch = |entry: &&Entry| entry.kind == EntryKind::Data && !entry.data.is_empty();
        let batches = self.node(id).applied.iter().filter(batch);
        batches
            .flat_map(|entry| Batch::decode(entry.data.clone()).unwrap().commands)
            .map(|proposed| (proposed.id.session, proposed.id.sequence))
            .collect()
    }

    fn follower(&self, leader: u64) -> u64 {
        self.nodes.keys().map(|id| id.get()).find(|&id| id != leader).unwrap()
    }
}

fn voters(ids: &[u64]) -> Vec<(u64, Part)> {
    ids.iter().map(|&id| (id, Part::Voter)).collect()
}
