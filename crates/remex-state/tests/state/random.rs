//! Random commands, flushes, crashes, compactions and snapshots against the model.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use remex_engine::{Engine, LsmEngine, LsmOptions, MemoryEngine};
use remex_model::{
    ClusterId, Command, Condition, Index, Key, KeyRange, List, MemberChange, Membership,
    MembershipChange, NodeId, Order, Outcome, ProposalId, ReadOptions, RequestKey, Revision, Term,
    Test, Value, Write,
};
use remex_state::snapshot::{self, Reader};
use remex_state::{Frozen, Options, ReadError, Retention, State};

use crate::model::Model;
use crate::{batch, member};

/// Keys chosen for how they sort: prefixes of each other, and bytes that need escaping.
const KEYS: [&[u8]; 14] = [
    b"a",
    b"a\0",
    b"a\0\0",
    b"a\0\x01",
    b"a\0\xff",
    b"a\x01",
    b"a/1",
    b"a/2",
    b"a/2/x",
    b"b",
    b"\0",
    b"\xff",
    b"\xff\xff",
    b"hot",
];

fn options(rng: &mut Rng) -> Options {
    let retention = match rng.u8(..3) {
        0 => Retention { history_bytes_max: 4_000, history_age_ms: u64::MAX },
        1 => Retention { history_bytes_max: u64::MAX, history_age_ms: 300 },
        _ => Retention::default(),
    };
    // Nothing, a few records that push each other out, or everything.
    let recent_bytes_max = [0, 20_000, 1 << 20][rng.usize(..3)];
    Options { retention, request_keys_max: 5, recent_bytes_max, ..Options::default() }
}

fn key(rng: &mut Rng) -> Key {
    // One key gets many versions, so that walks leap over them.
    let key = if rng.u8(..3) == 0 { KEYS[13] } else { KEYS[rng.usize(..KEYS.len())] };
    Key::new(key)
}

fn range(rng: &mut Rng) -> KeyRange {
    match rng.u8(..4) {
        0 => KeyRange::all(),
        1 => KeyRange::prefix(key(rng).bytes().clone()),
        2 => KeyRange { start: key(rng).bytes().clone(), end: None },
        _ => KeyRange { start: key(rng).bytes().clone(), end: Some(key(rng).bytes().clone()) },
    }
}

fn command(rng: &mut Rng, model: &Model) -> Command {
    let mut command = Command::default();
    if rng.u8(..6) == 0 {
        command.request_key = Some(RequestKey(Bytes::from(vec![rng.u8(..8)])));
    }
    for _ in 0..rng.usize(..6).saturating_sub(3) {
        let key = key(rng);
        let test = match rng.u8(..4) {
            0 => Test::Exists,
            1 => Test::Absent,
            _ => {
                let current = model.get(key.bytes(), model.revision);
                Test::Revision(current.map_or(Revision(3), |record| record.mod_revision))
            }
        };
        command.conditions.push(Condition { key, test });
    }
    for _ in 0..1 + rng.usize(..6).saturating_sub(3) {
        command.writes.push(match rng.u8(..12) {
            0..=2 => Write::Delete { key: key(rng) },
            3 => Write::DeleteRange { range: range(rng) },
            kind => {
                let bytes = vec![rng.u8(..); rng.usize(..40)];
                let value = Value { bytes: bytes.into(), json: kind == 4 };
                Write::Put { key: key(rng), value, lease: rng.u64(..2) }
            }
        });
    }
    command
}

/// An entry of the log.
#[derive(Clone)]
enum Entry {
    Batch(Bytes),
    Membership(Bytes),
}

fn apply<E: Engine>(state: &mut State<E>, entry: &Entry) {
    let index = state.applied().next();
    match entry {
        Entry::Batch(payload) => drop(state.apply(index, Term(1), payload.clone()).unwrap()),
        Entry::Membership(payload) => {
            drop(state.apply_membership(index, Term(1), payload.clone()).unwrap());
        }
    }
}

/// A state under test with everything around it.
struct Run<'a, E> {
    rng: Rng,
    options: Options,
    model: Model,
    membership: Membership,
    /// What follows the entry that the cluster was founded with.
    log: Vec<Entry>,
    state: Option<State<E>>,
    frozen: Option<Frozen<E>>,
    /// Never flushed, never reopened.
    twin: State<MemoryEngine>,
    disk: &'a mut dyn Disk<E>,
    engine: Option<Arc<E>>,
}

/// Where engines live.
trait Disk<E> {
    /// What a crash leaves of an engine.
    fn crash(&mut self, engine: Arc<E>) -> Arc<E>;

    /// An engine that holds nothing.
    fn empty(&mut self) -> Arc<E>;
}

impl<E: Engine> Run<'_, E> {
    fn state(&mut self) -> &mut State<E> {
        self.state.as_mut().unwrap()
    }

    fn step(&mut self) {
        match self.rng.u8(..20) {
            0..=8 => self.append(),
            9 => {
                let frozen = self.state().freeze();
                self.frozen = frozen.or(self.frozen.take());
            }
            10 | 11 => {
                if let Some(frozen) = &self.frozen {
                    frozen.write().unwrap();
                }
            }
            12 => {
                if let Some(frozen) = self.frozen.take() {
                    frozen.write().unwrap();
                    let applied = frozen.applied();
                    drop(self.state().finish_flush(frozen));
                    assert_eq!(self.state().durable(), applied);
                }
            }
            13 => self.reopen(),
            14 => {
                self.engine.as_ref().unwrap().maintain().unwrap();
            }
            15 if self.rng.u8(..4) == 0 => self.engine.as_ref().unwrap().compact().unwrap(),
            16 => self.check_changes(),
            17 => self.check_list(),
            18 => self.change_members(),
            19 if self.rng.u8(..4) == 0 => self.through_a_snapshot(),
            _ => self.check_gets(),
        }
    }

    fn append(&mut self) {
        let time_ms = self.log.len() as u64 * 10 + self.rng.u64(..60);
        let mut commands = Vec::new();
        let mut expected = Vec::new();
        let before = self.model.revision;
        for _ in 0..self.rng.usize(..5) {
            let command = command(&mut self.rng, &self.model);
            expected.push(self.model.apply(time_ms, &command));
            commands.push(command);
        }
        let payload = match commands.is_empty() {
            true => Bytes::new(),
            false => batch(time_ms, &commands),
        };
        self.log.push(Entry::Batch(payload.clone()));
        let index = self.twin.applied().next();
        let applied = self.state().apply(index, Term(1), payload.clone()).unwrap();
        self.twin.apply(index, Term(1), payload).unwrap();
        let outcomes: Vec<Outcome> = applied.outcomes.into_iter().map(|(_, it)| it).collect();
        assert_eq!(outcomes, expected, "of {commands:?}");
        let changes: Vec<_> =
            applied.changes.into_iter().map(|it| (it.revision, it.key, it.record)).collect();
        assert_eq!(changes, self.model.changes(before));
        assert_eq!(applied.revision, self.model.revision);
        self.check_equal();
    }

    fn check_equal(&mut self) {
        let (state, twin) = (self.state.as_ref().unwrap(), &self.twin);
        assert_eq!(state.applied(), twin.applied());
        assert_eq!(state.revision(), twin.revision());
        assert_eq!(state.hash(), twin.hash());
        assert_eq!(state.oldest_revision(), twin.oldest_revision());
        assert_eq!(
            (state.membership(), &*twin.membership()),
            (twin.membership(), &self.membership)
        );
    }

    fn change_members(&mut self) {
        let mut change = || {
            let id = self.rng.u64(1..6);
            match self.rng.u8(..4) {
                0 => MemberChange::Add(member(id)),
                1 => MemberChange::Promote(NodeId(id)),
                2 => MemberChange::Demote(NodeId(id)),
                _ => MemberChange::Remove(NodeId(id)),
            }
        };
        let mut changes = vec![change(), change()];
        changes.truncate(self.rng.usize(..3));
        let id = ProposalId { session: 7, sequence: self.log.len() as u64 };
        let payload = Bytes::from(MembershipChange { id, changes: changes.clone() }.encode());
        let expected = self.membership.apply(&changes);
        let index = self.twin.applied().next();
        let entry = Entry::Membership(payload.clone());
        let applied = self.state().apply_membership(index, Term(1), payload).unwrap();
        assert_eq!((applied.id, &applied.accepted), (id, &expected));
        assert_eq!(*applied.membership, self.membership);
        apply(&mut self.twin, &entry);
        self.log.push(entry);
        self.check_equal();
    }

    /// Goes on with a copy of what the engine holds.
    fn through_a_snapshot(&mut self) {
        let engine = self.engine.take().unwrap();
        let export = |engine: &E| {
            let mut out = Vec::new();
            let summary = snapshot::export(engine, ClusterId(9), &mut out).unwrap();
            assert_eq!(summary.bytes, out.len() as u64);
            (out, summary)
        };
        let (bytes, summary) = export(&engine);
        // What compaction has left out decides nothing.
        engine.compact().unwrap();
        assert_eq!(export(&engine), (bytes.clone(), summary.clone()));
        assert_eq!(Reader::new(&bytes[..]).unwrap().verify().unwrap(), summary);
        let copy = self.disk.empty();
        let imported = snapshot::import(&*copy, Reader::new(&bytes[..]).unwrap(), None).unwrap();
        assert_eq!(imported, summary);
        assert_eq!(export(&copy), (bytes, summary));
        (self.engine, self.frozen) = (Some(copy), None);
        self.reopen();
    }

    /// Crashes: what is in memory is lost, what the engine holds is not.
    fn reopen(&mut self) {
        if self.rng.bool()
            && let Some(frozen) = &self.frozen
        {
            frozen.write().unwrap();
        }
        self.frozen = None;
        self.state = None;
        let engine = self.engine.take().unwrap();
        let engine = self.disk.crash(engine);
        let mut state = State::open(Arc::clone(&engine), self.options, Some(founders())).unwrap();
        assert_eq!(state.applied(), state.durable());
        // The first entry of the log has the index 2.
        while let Some(entry) = self.log.get(usize::try_from(state.applied().get()).unwrap() - 1) {
            apply(&mut state, entry);
        }
        self.state = Some(state);
        self.engine = Some(engine);
        self.check_equal();
    }

    /// A revision that can be read, or none for the newest.
    fn at(&mut self) -> Option<Revision> {
        let (oldest, newest) = (self.state().oldest_revision(), self.state().revision());
        (self.rng.u8(..4) > 0).then(|| Revision(self.rng.u64(oldest.get()..=newest.get())))
    }

    fn check_gets(&mut self) {
        let at = self.at();
        for key in KEYS {
            let found = self.state().get(&Key::new(key), at).unwrap();
            let revision = at.unwrap_or(self.model.revision);
            assert_eq!(found.revision, revision);
            let expected = self.model.get(&Bytes::from_static(key), revision);
            assert_eq!(found.record, expected, "{key:?} at {at:?}");
        }
        let oldest = self.state().oldest_revision();
        let too_old = self.state().get(&Key::from("a"), Some(Revision(oldest.get() - 1)));
        assert!(matches!(too_old, Err(ReadError::Compacted { oldest: it }) if it == oldest));
        let future = Some(self.model.revision.next());
        assert!(matches!(self.state().get(&"a".into(), future), Err(ReadError::Future { .. })));
    }

    /// Walks a range page by page.
    fn check_list(&mut self) {
        let at = self.at();
        let range = range(&mut self.rng);
        let order = if self.rng.bool() { Order::Ascending } else { Order::Descending };
        let revision = at.unwrap_or(self.model.revision);
        let mut expected = self.model.list(&range, revision);
        if order == Order::Descending {
            expected.reverse();
        }
        let keys_only = self.rng.u8(..4) == 0;
        let limit = 1 + self.rng.usize(..5);
        let total = expected.len() as u64;
        let mut after = None;
        let mut expected = expected.into_iter().peekable();
        loop {
            let list = List {
                range: range.clone(),
                after: after.clone(),
                limit,
                order,
                keys_only,
                count: self.rng.bool(),
                options: ReadOptions { at, ..ReadOptions::default() },
            };
            let page = self.state().list(&list).unwrap();
            assert_eq!(page.revision, revision);
            assert_eq!(page.count, list.count.then_some(total), "{list:?}");
            for item in page.items {
                let (key, mut record) = expected.next().unwrap();
                if keys_only {
                    record.value.bytes = Bytes::new();
                }
                assert_eq!((item.key.bytes(), &item.record), (&key, &record), "{list:?}");
                after = Some(item.key);
            }
            assert_eq!(page.more, expected.peek().is_some(), "{list:?}");
            if !page.more {
                return;
            }
        }
    }

    fn check_changes(&mut self) {
        let (oldest, newest) = (self.state().oldest_revision(), self.state().revision());
        let after = Revision(self.rng.u64(oldest.get()..=newest.get()));
        let expected = self.model.changes(after);
        let max = 1 + self.rng.usize(..30);
        let found = self.state().changes(after, max).unwrap();
        let found: Vec<_> = found.into_iter().map(|it| (it.revision, it.key, it.record)).collect();
        assert!(found.len() >= max.min(expected.len()));
        assert_eq!(found, expected[..found.len()]);
        let cut = expected.get(found.len()).map(|(revision, ..)| *revision);
        assert!(cut.is_none_or(|cut| found.last().is_none_or(|last| last.0 < cut)));
        self.check_changes_within(after, max, &expected);
    }

    /// Page by page, a part of the keys: the same as all changes of these keys.
    fn check_changes_within(
        &mut self,
        after: Revision,
        max: usize,
        all: &[(Revision, Key, Option<remex_model::Record>)],
    ) {
        let range = range(&mut self.rng);
        let expected: Vec<_> =
            all.iter().filter(|(_, key, _)| range.contains(key.as_bytes())).cloned().collect();
        let (mut found, mut through) = (Vec::new(), after);
        while through < self.state().revision() {
            let page = self.state().changes_within(&range, through, max).unwrap();
            assert!(page.through > through, "a page goes on");
            let within = |change: &remex_state::Change| {
                through < change.revision && change.revision <= page.through
            };
            assert!(page.changes.iter().all(within));
            through = page.through;
            found.extend(page.changes.into_iter().map(|it| (it.revision, it.key, it.record)));
        }
        assert_eq!(found, expected);
    }
}

fn founders() -> Membership {
    Membership::founded([member(1), member(2)])
}

fn run<E: Engine>(seed: u64, steps: usize, disk: &mut dyn Disk<E>) -> Revision {
    let mut rng = Rng::with_seed(seed);
    let options = options(&mut rng);
    let engine = disk.empty();
    let state = State::open(Arc::clone(&engine), options, Some(founders())).unwrap();
    assert_eq!((state.applied(), state.durable()), (Index(1), Index(1)));
    let twin = State::open(Arc::new(MemoryEngine::new()), options, Some(founders())).unwrap();
    let model = Model::new(options.request_keys_max);
    let (state, engine, membership) = (Some(state), Some(engine), founders());
    let (log, frozen) = (Vec::new(), None);
    let mut run = Run { rng, options, model, membership, log, state, frozen, twin, disk, engine };
    for _ in 0..steps {
        run.step();
    }
    run.through_a_snapshot();
    run.check_gets();
    run.state().oldest_revision()
}

struct Memory;

impl Disk<MemoryEngine> for Memory {
    fn crash(&mut self, engine: Arc<MemoryEngine>) -> Arc<MemoryEngine> {
        Arc::new(engine.image())
    }

    fn empty(&mut self) -> Arc<MemoryEngine> {
        Arc::new(MemoryEngine::new())
    }
}

#[test]
fn the_state_in_memory_equals_the_model() {
    let mut floors = 0;
    for seed in 0..60 {
        floors += u64::from(run(seed, 400, &mut Memory) > Revision(1));
    }
    assert!(floors >= 10, "the floor moved in only {floors} runs");
}

/// The directory that is in use.
struct Files(tempfile::TempDir);

impl Disk<LsmEngine> for Files {
    fn crash(&mut self, engine: Arc<LsmEngine>) -> Arc<LsmEngine> {
        drop(engine);
        Arc::new(open(self.0.path()))
    }

    fn empty(&mut self) -> Arc<LsmEngine> {
        self.0 = tempfile::tempdir().unwrap();
        Arc::new(open(self.0.path()))
    }
}

#[test]
fn the_state_on_disk_equals_the_model() {
    for seed in 0..6 {
        run(seed, 400, &mut Files(tempfile::tempdir().unwrap()));
    }
}

fn open(directory: &Path) -> LsmEngine {
    let options = LsmOptions { pending_tables_max: 3, table_bytes: 2_000, ..LsmOptions::default() };
    LsmEngine::open(directory, options).unwrap()
}
