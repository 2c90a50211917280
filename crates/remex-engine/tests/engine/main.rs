//! Both engines against a map, and the one on disk against crashes and damage.

#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod damage;
mod full;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use fastrand::Rng;
use remex_engine::{Direction, Engine, EngineError, LsmEngine, LsmOptions, MemoryEngine};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Small tables and few of them, so that every path of compaction is taken.
const OPTIONS: LsmOptions =
    LsmOptions { cache_bytes: 1 << 20, pending_tables_max: 3, table_bytes: 4_000 };

fn open(directory: &Path) -> Result<LsmEngine, EngineError> {
    LsmEngine::open(directory, OPTIONS)
}

fn key(rng: &mut Rng) -> Vec<u8> {
    let length = 1 + rng.usize(..4);
    std::iter::repeat_with(|| [0, 1, 2, 0xff][rng.usize(..4)]).take(length).collect()
}

/// One sorted run, and the map after it.
fn run(rng: &mut Rng, map: &mut Map, number: u32) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut run = BTreeMap::new();
    for _ in 0..1 + rng.usize(..60) {
        let value = (rng.u8(..4) > 0).then(|| vec![rng.u8(..); rng.usize(..100)]);
        run.insert(key(rng), value);
    }
    // First byte 9: a row that is written once, and so can be dropped.
    let once = [&[9], &number.to_be_bytes()[..]].concat();
    run.insert(once, Some(number.to_string().into_bytes()));
    for (key, value) in &run {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
    run
}

fn ingest(engine: &dyn Engine, run: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
    engine
        .ingest(&mut |sink| {
            for (key, value) in run {
                match value {
                    Some(value) => sink.put(key, value)?,
                    None => sink.delete(key)?,
                }
            }
            Ok(())
        })
        .unwrap();
}

fn collect(engine: &dyn Engine, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Vec<(Bytes, Bytes)> {
    let forward: Vec<_> = engine.scan(start, end, Direction::Forward).map(Result::unwrap).collect();
    let mut backward: Vec<_> =
        engine.scan(start, end, Direction::Backward).map(Result::unwrap).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    forward
}

fn check(engine: &dyn Engine, map: &Map, rng: &mut Rng) {
    let pairs = |map: &Map| -> Vec<(Bytes, Bytes)> {
        map.iter().map(|(key, value)| (key.clone().into(), value.clone().into())).collect()
    };
    assert_eq!(collect(engine, Bound::Unbounded, Bound::Unbounded), pairs(map));
    for _ in 0..10 {
        let (start, end) = (key(rng), key(rng));
        assert_eq!(engine.get(&start).unwrap().map(|it| it.to_vec()), map.get(&start).cloned());
        let bound = |key, rng: &mut Rng| match rng.bool() {
            true => Bound::Included(key),
            false => Bound::Excluded(key),
        };
        let (start, end) = (bound(&start[..], rng), bound(&end[..], rng));
        let inside = |key: &Vec<u8>| {
            (match start {
                Bound::Included(start) => &key[..] >= start,
                Bound::Excluded(start) => &key[..] > start,
                Bound::Unbounded => true,
            }) && (match end {
                Bound::Included(end) => &key[..] <= end,
                Bound::Excluded(end) => &key[..] < end,
                Bound::Unbounded => true,
            })
        };
        let mut expected = map.clone();
        expected.retain(|key, _| inside(key));
        assert_eq!(collect(engine, start, end), pairs(&expected), "{start:?} to {end:?}");
    }
}

/// Random runs, compactions and reopenings. Rows that begin with 9 are dropped once their number
/// is below a floor that rises.
fn random<E: Engine>(seed: u64, steps: u32, reopen: &mut dyn FnMut(Option<E>) -> E) {
    let mut rng = Rng::with_seed(seed);
    let mut map = Map::new();
    let mut engine = reopen(None);
    for number in 0..steps {
        ingest(&engine, &run(&mut rng, &mut map, number));
        match rng.u8(..6) {
            0 => engine = reopen(Some(engine)),
            1 => while engine.maintain().unwrap() {},
            2 if rng.bool() => {
                engine.set_drop_filter(Box::new(move |key, _| {
                    key[0] == 9 && key[1..] < number.to_be_bytes()[..]
                }));
                engine.compact().unwrap();
                map.retain(|key, _| key[0] != 9 || key[1..] >= number.to_be_bytes()[..]);
                engine.set_drop_filter(Box::new(|_, _| false));
            }
            _ => {}
        }
        check(&engine, &map, &mut rng);
    }
}

#[test]
fn the_engine_in_memory_is_a_map() {
    for seed in 0..20 {
        random(seed, 40, &mut |engine: Option<MemoryEngine>| {
            engine.map_or_else(MemoryEngine::new, |engine| engine.image())
        });
    }
}

#[test]
fn the_engine_on_disk_is_a_map() {
    for seed in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        random(seed, 40, &mut |engine| {
            drop(engine);
            open(directory.path()).unwrap()
        });
    }
}

#[test]
fn a_scan_sees_the_moment_at_which_it_began() {
    let directory = tempfile::tempdir().unwrap();
    let engines: [Box<dyn Engine>; 2] =
        [Box::new(MemoryEngine::new()), Box::new(open(directory.path()).unwrap())];
    for engine in engines {
        let first: BTreeMap<_, _> = (0..200_u8).map(|key| (vec![key], Some(vec![1]))).collect();
        ingest(&*engine, &first);
        let mut scan = engine.scan(Bound::Unbounded, Bound::Unbounded, Direction::Forward);
        assert_eq!(scan.next().unwrap().unwrap().1[..], [1]);
        let second = (0..200_u8).map(|key| (vec![key], (key % 2 == 0).then(|| vec![2]))).collect();
        ingest(&*engine, &second);
        engine.compact().unwrap();
        let rest: Vec<_> = scan.map(Result::unwrap).collect();
        assert_eq!(rest.len(), 199);
        assert!(rest.iter().all(|(_, value)| value[..] == [1]));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the directory is what is left of it if the process dies at this moment.
#[test]
fn a_crash_leaves_whole_runs() {
    let (directory, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut rng = Rng::with_seed(3);
    let mut map = Map::new();
    let engine = open(directory.path()).unwrap();
    for number in 0..12 {
        let before = map.clone();
        let rows = run(&mut rng, &mut map, number);
        let within = copies.path().join(format!("{number} within"));
        engine
            .ingest(&mut |sink| {
                for (key, value) in &rows {
                    match value {
                        Some(value) => sink.put(key, value)?,
                        None => sink.delete(key)?,
                    }
                }
                // Enough that part of the run has reached its file.
                for filler in 0..2000_u32 {
                    sink.put(&[&[0xff; 5], &filler.to_be_bytes()[..]].concat(), &[7; 100])?;
                }
                copy(directory.path(), &within);
                Ok(())
            })
            .unwrap();
        for filler in 0..2000_u32 {
            map.insert([&[0xff; 5], &filler.to_be_bytes()[..]].concat(), vec![7; 100]);
        }
        check(&open(&within).unwrap(), &before, &mut rng);
        let after = copies.path().join(format!("{number} after"));
        copy(directory.path(), &after);
        let reopened = open(&after).unwrap();
        check(&reopened, &map, &mut rng);
        // What was left behind does not get in the way of what comes next.
        ingest(&reopened, &BTreeMap::from([(vec![5], Some(vec![5]))]));
        assert_eq!(reopened.get(&[5]).unwrap().unwrap()[..], [5]);
        if number % 4 == 3 {
            engine.maintain().unwrap();
        }
    }
}

#[test]
fn a_run_that_is_given_up_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).unwrap();
    ingest(&engine, &BTreeMap::from([(vec![1], Some(vec![1]))]));
    let error = engine
        .ingest(&mut |sink| {
            sink.put(&[1], &[2])?;
            sink.put(&[2], &[2])?;
            Err(EngineError::Io(std::io::Error::other("given up")))
        })
        .unwrap_err();
    assert!(matches!(error, EngineError::Io(_)));
    ingest(&engine, &BTreeMap::from([(vec![3], Some(vec![3]))]));
    drop(engine);
    let map = Map::from([(vec![1], vec![1]), (vec![3], vec![3])]);
    check(&open(directory.path()).unwrap(), &map, &mut Rng::with_seed(1));
}
