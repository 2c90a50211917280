//! What must stop the node: entries and rows that cannot be understood, and an engine that fails.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use remex_engine::{
    Direction, DropFilter, Engine, EngineError, MemoryEngine, RowSink, Rows, Scrub,
};
use remex_model::{Command, DecodeError, Index, RequestKey, Term, Value};
use remex_state::{Fatal, Options, ReadError, State};

use crate::batch;

fn put(key: &str) -> Command {
    Command::put(key.into(), Value::raw("value"))
}

fn open(engine: &Arc<MemoryEngine>) -> Result<State<MemoryEngine>, Fatal> {
    State::open(Arc::clone(engine), uncached(), None)
}

fn flush<E: Engine>(state: &mut State<E>) {
    let frozen = state.freeze().unwrap();
    frozen.write().unwrap();
    drop(state.finish_flush(frozen));
}

#[test]
fn an_entry_of_an_unknown_version_is_fatal() {
    let mut of_command = batch(1, &[put("a"), put("b")]).to_vec();
    let last = put("b").to_bytes().len();
    let position = of_command.len() - last;
    of_command[position] = 2;
    let mut of_batch = batch(1, &[put("a")]).to_vec();
    of_batch[0] = 2;
    for (payload, field) in [(of_command, "command version"), (of_batch, "batch version")] {
        let mut state = open(&Arc::new(MemoryEngine::new())).unwrap();
        let error = state.apply(Index(1), Term(1), payload.into()).unwrap_err();
        let Fatal::Entry { index: Index(1), source } = error else { panic!("{error}") };
        assert_eq!(source, DecodeError::Unknown { field, value: 2 });
        // It must not go on behind the entry that it could not apply.
        let next = state.apply(Index(1), Term(1), Bytes::new());
        assert!(matches!(next, Err(Fatal::Poisoned)));
    }
}

#[test]
fn entries_must_follow_each_other() {
    let mut state = open(&Arc::new(MemoryEngine::new())).unwrap();
    state.apply(Index(1), Term(1), batch(1, &[put("a")])).unwrap();
    for got in [0, 1, 3] {
        let error = state.apply(Index(got), Term(1), Bytes::new()).unwrap_err();
        assert!(matches!(error, Fatal::Gap { applied: Index(1), .. }), "{error}");
    }
    state.apply(Index(2), Term(3), Bytes::new()).unwrap();
    assert_eq!((state.applied(), state.applied_term()), (Index(2), Term(3)));
}

/// Every read that the buffers cannot answer goes to the engine.
fn uncached() -> Options {
    Options { recent_bytes_max: 0, ..Options::default() }
}

/// Changes one row behind the state's back.
fn tamper(engine: &MemoryEngine, key: &[u8], change: impl Fn(&mut Vec<u8>)) {
    let mut value = engine.get(key).unwrap().unwrap().to_vec();
    change(&mut value);
    engine.ingest(&mut |sink| sink.put(key, &value)).unwrap();
}

#[test]
fn rows_of_a_newer_version_are_fatal() {
    let engine = Arc::new(MemoryEngine::new());
    let mut state = open(&engine).unwrap();
    state.apply(Index(1), Term(1), batch(1, &[put("a")])).unwrap();
    flush(&mut state);
    tamper(&engine, b"\x01a", |row| row[0] = 9);
    let read = state.get(&"a".into(), None);
    assert!(matches!(read, Err(ReadError::Fatal(Fatal::Row { table: "current", .. }))));
    let applied = state.apply(Index(2), Term(1), batch(1, &[put("a")]));
    assert!(matches!(applied, Err(Fatal::Row { table: "current", .. })));
    tamper(&engine, b"\x00", |row| row[0] = 9);
    assert!(matches!(open(&engine), Err(Fatal::Row { table: "meta", .. })));
}

#[test]
fn a_request_that_is_missing_is_fatal() {
    let engine = Arc::new(MemoryEngine::new());
    let mut state = open(&engine).unwrap();
    let commands: Vec<Command> = (0..3)
        .map(|name| Command { request_key: Some(RequestKey(vec![name].into())), ..put("a") })
        .collect();
    state.apply(Index(1), Term(1), batch(1, &commands)).unwrap();
    flush(&mut state);
    open(&engine).unwrap();
    engine.ingest(&mut |sink| sink.delete(&[4, 0, 0, 0, 0, 0, 0, 0, 1])).unwrap();
    let error = open(&engine).unwrap_err();
    assert!(matches!(error, Fatal::Missing { found: 1, expected: 3, .. }), "{error}");
}

/// An engine whose disk can be taken away, or be full.
#[derive(Debug)]
struct Failing {
    engine: MemoryEngine,
    fails: AtomicBool,
    full: AtomicBool,
}

impl Failing {
    fn disk(&self) -> Result<(), EngineError> {
        match self.fails.load(Ordering::Relaxed) {
            true => Err(EngineError::Io(std::io::Error::other("the disk is gone"))),
            false => Ok(()),
        }
    }
}

impl Engine for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.disk()?;
        self.engine.get(key)
    }

    fn scan(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, direction: Direction) -> Rows {
        match self.disk() {
            Ok(()) => self.engine.scan(start, end, direction),
            Err(error) => Box::new([Err(error)].into_iter()),
        }
    }

    fn ingest(
        &self,
        fill: &mut dyn FnMut(&mut dyn RowSink) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        self.disk()?;
        if self.full.load(Ordering::Relaxed) {
            // Part of the run finds room.
            return self.engine.ingest(&mut |sink| {
                fill(sink)?;
                Err(EngineError::Io(std::io::ErrorKind::StorageFull.into()))
            });
        }
        self.engine.ingest(fill)
    }

    fn set_drop_filter(&self, filter: Box<DropFilter>) {
        self.engine.set_drop_filter(filter);
    }

    fn maintain(&self) -> Result<bool, EngineError> {
        self.disk()?;
        self.engine.maintain()
    }

    fn compact(&self) -> Result<(), EngineError> {
        self.disk()?;
        self.engine.compact()
    }

    fn scrub(&self) -> Scrub {
        self.engine.scrub()
    }

    fn reclaimable_bytes(&self) -> u64 {
        self.engine.reclaimable_bytes()
    }

    fn disk_bytes(&self) -> u64 {
        self.engine.disk_bytes()
    }
}

fn failing() -> Arc<Failing> {
    let (fails, full) = (AtomicBool::new(false), AtomicBool::new(false));
    Arc::new(Failing { engine: MemoryEngine::new(), fails, full })
}

#[test]
fn a_flush_that_finds_the_disk_full_is_done_again() {
    let engine = failing();
    let mut state = State::open(Arc::clone(&engine), uncached(), None).unwrap();
    state.apply(Index(1), Term(1), batch(1, &[put("a")])).unwrap();
    let frozen = state.freeze().unwrap();
    engine.full.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let error = frozen.write().unwrap_err();
        assert!(error.is_full() && !error.is_damage(), "{error}");
        assert_eq!(engine.engine.disk_bytes(), 0);
        // Reads and writes go on meanwhile; the buffer before is still in the way of the next.
        assert!(state.get(&"a".into(), None).unwrap().record.is_some());
        state.apply(state.applied().next(), Term(1), batch(1, &[put("b")])).unwrap();
        assert!(state.freeze().is_none());
    }
    engine.full.store(false, Ordering::Relaxed);
    frozen.write().unwrap();
    drop(state.finish_flush(frozen));
    assert_eq!(state.durable(), Index(1));
    flush(&mut state);
    assert_eq!(state.durable(), Index(4));
    let again = State::open(engine, uncached(), None).unwrap();
    assert_eq!(again.hash(), state.hash());
}

#[test]
fn damage_is_told_from_what_another_copy_would_not_mend() {
    let corrupt = Fatal::from(EngineError::Corrupt("somewhere".into()));
    let missing = Fatal::Missing { table: "requests", found: 1, expected: 2 };
    let cut = Fatal::Row { table: "current", source: DecodeError::Truncated("lease") };
    for fatal in [corrupt, missing, cut] {
        assert!(fatal.is_damage() && !fatal.is_full(), "{fatal}");
    }
    let newer = DecodeError::Unknown { field: "row version", value: 2 };
    let newer = Fatal::Row { table: "current", source: newer };
    let gone = Fatal::from(EngineError::Io(std::io::Error::other("the disk is gone")));
    for fatal in [newer, gone, Fatal::Poisoned] {
        assert!(!fatal.is_damage() && !fatal.is_full(), "{fatal}");
    }
}

#[test]
fn a_disk_that_fails_is_fatal_and_never_an_answer() {
    let engine = failing();
    let mut state = State::open(Arc::clone(&engine), uncached(), None).unwrap();
    state.apply(Index(1), Term(1), batch(1, &[put("a"), put("b")])).unwrap();
    flush(&mut state);
    state.apply(Index(2), Term(1), batch(1, &[put("b")])).unwrap();
    engine.fails.store(true, Ordering::Relaxed);

    assert!(state.get(&"b".into(), None).unwrap().record.is_some());
    assert!(matches!(state.get(&"a".into(), None), Err(ReadError::Fatal(Fatal::Engine(_)))));
    let frozen = state.freeze().unwrap();
    assert!(matches!(frozen.write(), Err(Fatal::Engine(EngineError::Io(_)))));
    assert_eq!(state.durable(), Index(1));
    let applied = state.apply(Index(3), Term(1), batch(1, &[put("a")]));
    assert!(matches!(applied, Err(Fatal::Engine(EngineError::Io(_)))));
    assert_eq!(state.applied(), Index(2));
}
