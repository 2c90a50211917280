//! Snapshots: one held fast, whole ones, damaged ones, and ones taken in the midst of work.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remex_engine::{Engine, LsmEngine, LsmOptions, MemoryEngine};
use remex_model::{ClusterId, Command, Index, Key, Membership, Revision, Term, Value};
use remex_state::snapshot::{self, Damage, Reader, SnapshotError, Summary};
use remex_state::{Options, State};

use crate::{batch, format, member};

const CLUSTER: ClusterId = ClusterId(0x1234_5678);

fn flush<E: Engine>(state: &mut State<E>) {
    let frozen = state.freeze().unwrap();
    frozen.write().unwrap();
    drop(state.finish_flush(frozen));
}

fn founders() -> Membership {
    Membership::founded([member(1), member(2)])
}

fn open<E: Engine>(engine: &Arc<E>) -> State<E> {
    State::open(Arc::clone(engine), Options::default(), Some(founders())).unwrap()
}

fn apply<E: Engine>(state: &mut State<E>, commands: &[Command]) {
    let index = state.applied().next();
    state.apply(index, Term(1), batch(index.get() * 1000, commands)).unwrap();
}

fn put(key: impl Into<String>, value: Vec<u8>) -> Command {
    Command::put(Key::from(key.into().as_str()), Value::raw(value))
}

fn export<E: Engine>(engine: &E) -> (Vec<u8>, Summary) {
    let mut out = Vec::new();
    let summary = snapshot::export(engine, CLUSTER, &mut out).unwrap();
    (out, summary)
}

fn verify(bytes: &[u8]) -> Result<Summary, SnapshotError> {
    Reader::new(bytes)?.verify()
}

/// A small snapshot with a row of every kind.
fn small() -> (Vec<u8>, Summary) {
    let engine = Arc::new(MemoryEngine::new());
    let mut state = open(&engine);
    for payload in format::entries() {
        state.apply(state.applied().next(), Term(3), payload).unwrap();
    }
    flush(&mut state);
    export(&*engine)
}

/// A snapshot of some chunks, with a row that goes through three of them.
fn large(seed: u8) -> (Vec<u8>, Summary) {
    let engine = Arc::new(MemoryEngine::new());
    let mut state = open(&engine);
    for key in 0..60 {
        apply(&mut state, &[put(format!("key-{key}"), vec![seed; 40_000])]);
    }
    apply(&mut state, &[put("long", vec![seed; 2_500_000])]);
    flush(&mut state);
    export(&*engine)
}

/// `snapshot-1.hex` is a whole snapshot of version 1. `REMEX_GOLDEN=1 cargo test -p remex-state`
/// writes it anew; that is a new format, and needs a new version.
#[test]
#[expect(clippy::disallowed_methods, reason = "the fixture is a file")]
fn a_snapshot_of_version_1_is_what_it_was() {
    let (bytes, summary) = small();
    let mut actual = String::new();
    for line in bytes.chunks(32) {
        use std::fmt::Write as _;
        for byte in line {
            write!(actual, "{byte:02x}").unwrap();
        }
        actual.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state/snapshot-1.hex");
    if std::env::var_os("REMEX_GOLDEN").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    assert_eq!(actual, std::fs::read_to_string(path).unwrap());
    assert_eq!(verify(&bytes).unwrap(), summary);
    let header = &summary.header;
    assert_eq!((header.cluster, header.index, header.term), (CLUSTER, Index(3), Term(3)));
    assert_eq!((header.revision, header.time_ms), (Revision(3), 1_700_000_000_500));
    assert_eq!(header.membership, founders());
    assert_eq!(summary.bytes, bytes.len() as u64);
}

#[test]
fn every_flipped_bit_is_found_at_its_place() {
    let (bytes, summary) = small();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            match verify(&damaged).unwrap_err() {
                SnapshotError::Damaged { offset, .. } | SnapshotError::Cut { offset } => {
                    assert!(offset <= position as u64, "{offset} for a flip at {position}");
                }
                error => panic!("bit {bit} of byte {position}: {error}"),
            }
        }
    }
    assert_eq!(verify(&bytes).unwrap(), summary);
}

#[test]
fn a_snapshot_cut_anywhere_is_not_whole() {
    let (bytes, _) = small();
    for length in 0..bytes.len() {
        let error = verify(&bytes[..length]).unwrap_err();
        assert!(matches!(error, SnapshotError::Cut { offset } if offset <= length as u64));
        assert!(error.is_damage());
        let engine = MemoryEngine::new();
        let imported =
            Reader::new(&bytes[..length]).and_then(|it| snapshot::import(&engine, it, None));
        assert!(matches!(imported.unwrap_err(), SnapshotError::Cut { .. }));
        assert_eq!(engine.disk_bytes(), 0, "a part of a snapshot came through");
    }
    let longer = [&bytes[..], &[0]].concat();
    let error = verify(&longer).unwrap_err();
    let SnapshotError::Damaged { offset, damage: Damage::Trailing } = error else {
        panic!("{error}")
    };
    assert_eq!(offset, bytes.len() as u64);
}

/// Where the parts of a snapshot begin, the end last.
fn parts(bytes: &[u8]) -> Vec<usize> {
    let mut at = 20 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut parts = Vec::new();
    while at < bytes.len() {
        parts.push(at);
        at += 24 + u32::from_le_bytes(bytes[at + 16..at + 20].try_into().unwrap()) as usize;
    }
    assert_eq!(at, bytes.len());
    parts
}

#[test]
fn a_chunk_passes_only_in_its_own_snapshot_and_place() {
    let (bytes, summary) = large(1);
    let (other, _) = large(2);
    assert_eq!(verify(&bytes).unwrap(), summary);
    let parts = parts(&bytes);
    assert_eq!(parts.len(), 6, "5 MB of rows are five chunks and an end");
    let chunk = |at: usize| at..at + 24 + (1 << 20);

    let mut foreign = bytes.clone();
    foreign[chunk(parts[1])].copy_from_slice(&other[chunk(parts[1])]);
    let error = verify(&foreign).unwrap_err();
    assert!(matches!(error, SnapshotError::Damaged { offset, damage: Damage::Checksum(_) }
        if offset == parts[1] as u64));

    let mut moved = bytes.clone();
    moved.copy_within(chunk(parts[1]), parts[2]);
    let error = verify(&moved).unwrap_err();
    let place = Damage::Place { expected: 2, found: 1 };
    assert!(matches!(error, SnapshotError::Damaged { damage, .. } if damage == place));

    let mut without = bytes.clone();
    without.drain(chunk(parts[3]));
    let error = verify(&without).unwrap_err();
    let place = Damage::Place { expected: 3, found: 4 };
    assert!(matches!(error, SnapshotError::Damaged { damage, .. } if damage == place));

    let mut foreign_end = bytes[..parts[5]].to_vec();
    foreign_end.extend_from_slice(&other[self::parts(&other)[5]..]);
    assert!(verify(&foreign_end).unwrap_err().is_damage());
}

#[test]
fn bytes_that_are_not_a_snapshot_are_refused_without_much_memory() {
    let mut rng = fastrand::Rng::with_seed(8);
    for length in 0..2000 {
        let mut bytes = vec![0; length];
        rng.fill(&mut bytes);
        assert!(verify(&bytes).unwrap_err().is_damage());
        // With the right beginning, and then a length of anything.
        if let Some(start) = bytes.first_chunk_mut::<12>() {
            start.copy_from_slice(b"REMEXSNP\x01\0\0\0");
            assert!(verify(&bytes).unwrap_err().is_damage());
        }
    }
    let mut newer = small().0;
    newer[8] = 2;
    let body = u32::from_le_bytes(newer[12..16].try_into().unwrap()) as usize;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&newer[..16]), &newer[20..20 + body]);
    newer[16..20].copy_from_slice(&checksum.to_le_bytes());
    let error = verify(&newer).unwrap_err();
    assert!(matches!(error, SnapshotError::Version { found: 2 }), "{error}");
    assert!(!error.is_damage());
}

#[test]
fn an_engine_without_a_state_has_no_snapshot() {
    let error = snapshot::export(&MemoryEngine::new(), CLUSTER, io::sink()).unwrap_err();
    assert!(matches!(error, SnapshotError::Empty));
}

#[test]
fn a_snapshot_goes_into_an_empty_engine_only() {
    let (bytes, _) = small();
    let engine = Arc::new(MemoryEngine::new());
    drop(open(&engine));
    let error = snapshot::import(&*engine, Reader::new(&bytes[..]).unwrap(), None).unwrap_err();
    assert!(matches!(error, SnapshotError::Occupied));
    assert_eq!(open(&engine).applied(), Index(1));
}

#[test]
fn a_cluster_can_be_founded_anew_from_a_snapshot() {
    let (bytes, summary) = small();
    let engine = Arc::new(MemoryEngine::new());
    let alone = Membership::founded([member(9)]);
    let reader = Reader::new(&bytes[..]).unwrap();
    let imported = snapshot::import(&*engine, reader, Some(alone.clone())).unwrap();
    assert_eq!(imported, summary);
    let mut state = open(&engine);
    assert_eq!(*state.membership(), alone);
    let header = summary.header;
    assert_eq!((state.applied(), state.hash()), (header.index, header.hash));
    apply(&mut state, &[put("a", b"b".to_vec())]);
}

#[test]
fn what_cannot_be_written_is_an_error() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let engine = Arc::new(MemoryEngine::new());
    drop(open(&engine));
    let error = snapshot::export(&*engine, CLUSTER, Full).unwrap_err();
    assert!(error.is_full() && !error.is_damage(), "{error}");
}

/// Lets a write go on only after the state has moved on, and now and then cuts it into pieces.
struct Slow<'a> {
    out: Vec<u8>,
    between: &'a mut dyn FnMut(),
}

impl io::Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.between)();
        io::Write::write(&mut self.out, &bytes[..bytes.len().min(100_000)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Between any two pieces of the snapshot the state is written, flushed and compacted.
#[test]
fn a_snapshot_shows_one_moment_while_work_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = LsmOptions { pending_tables_max: 3, table_bytes: 50_000, ..Default::default() };
    let engine = Arc::new(LsmEngine::open(directory.path(), options).unwrap());
    let mut state = open(&engine);
    let write = |state: &mut State<LsmEngine>, round: u8| {
        let puts: Vec<Command> =
            (0..30).map(|key| put(format!("key-{key}"), vec![round; 20_000])).collect();
        apply(state, &puts);
        flush(state);
        engine.maintain().unwrap();
    };
    for round in 0..5 {
        write(&mut state, round);
    }
    let (expected, index, hash) = (export(&*engine), state.durable(), state.hash());
    let mut round = 5;
    let mut between = || {
        write(&mut state, round);
        round += 1;
    };
    let mut out = Slow { out: Vec::new(), between: &mut between };
    let summary = snapshot::export(&*engine, CLUSTER, &mut out).unwrap();
    assert!(out.out == expected.0, "the snapshot is not of one moment");
    assert!(round > 20, "only {round} writes came in between");
    assert_eq!(summary, expected.1);
    assert_eq!((summary.header.index, summary.header.hash), (index, hash));
    assert!(state.durable() > index);
}

/// The same with threads that do not wait for each other.
#[test]
fn snapshots_beside_a_writer_are_each_of_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let options = LsmOptions { pending_tables_max: 3, table_bytes: 20_000, ..Default::default() };
    let engine = Arc::new(LsmEngine::open(directory.path(), options).unwrap());
    let mut state = open(&engine);
    flush_round(&mut state, 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (engine, done) = (&engine, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                engine.maintain().unwrap();
            }
        });
        let writer = scope.spawn(move || {
            for round in 1..60 {
                flush_round(&mut state, round);
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut snapshots = 0;
        while !writer.is_finished() || snapshots < 3 {
            let (bytes, summary) = export(&**engine);
            assert_eq!(verify(&bytes).unwrap(), summary);
            let copy = Arc::new(MemoryEngine::new());
            snapshot::import(&*copy, Reader::new(&bytes[..]).unwrap(), None).unwrap();
            let copy = open(&copy);
            // Round r is the entry r + 2, and writes its number everywhere.
            let round = u8::try_from(copy.applied().get() - 2).unwrap();
            for key in 0..20 {
                let key = Key::from(format!("key-{key}").as_str());
                let record = copy.get(&key, None).unwrap().record.unwrap();
                assert_eq!(record.value.bytes[..], vec![round; 1000]);
                assert_eq!(record.version, u64::from(round) + 1);
            }
            snapshots += 1;
        }
    });
}

fn flush_round(state: &mut State<LsmEngine>, round: u8) {
    let puts: Vec<Command> =
        (0..20).map(|key| put(format!("key-{key}"), vec![round; 1000])).collect();
    apply(state, &puts);
    flush(state);
}
