//! Files that are not what was written to them: never a wrong row, and always named.

use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use remex_engine::{Direction, Engine, EngineError, LsmEngine};

use crate::{Map, ingest, open, run};

/// All files below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A store with tables in several levels, and what is in it.
fn store(directory: &Path) -> Map {
    let mut rng = Rng::with_seed(5);
    let mut map = Map::new();
    let engine = open(directory).unwrap();
    for number in 0..7 {
        ingest(&engine, &run(&mut rng, &mut map, number));
        if number < 6 {
            while engine.maintain().unwrap() {}
        }
    }
    drop(engine);
    // Opening removes the lists that are no longer current.
    drop(open(directory).unwrap());
    map
}

/// Reads all that a store has: an error, or everything as it was.
fn read_all(engine: &LsmEngine, map: &Map) -> Result<(), EngineError> {
    for direction in [Direction::Forward, Direction::Backward] {
        let mut found = Map::new();
        for row in engine.scan(Bound::Unbounded, Bound::Unbounded, direction) {
            let (key, value) = row?;
            found.insert(key.to_vec(), value.to_vec());
        }
        assert!(found == *map, "damage was served as data");
    }
    for (key, value) in map {
        assert_eq!(engine.get(key)?.as_deref(), Some(&value[..]), "damage was served as data");
    }
    Ok(())
}

fn scrub(engine: &LsmEngine) -> Result<u64, EngineError> {
    engine.scrub().sum()
}

/// The error must be damage, of this file.
fn assert_names(error: &EngineError, file: &Path) {
    assert!(matches!(error, EngineError::Corrupt(_)), "{error}");
    // The list of tables is only as good as the file that names it.
    let name = file.file_name().unwrap().to_string_lossy();
    let listed = name == "current" && error.to_string().contains("/v");
    assert!(error.to_string().contains(&*file.to_string_lossy()) || listed, "{name}: {error}");
}

/// Opens and uses a store of which `file` is damaged: it must be noticed before anything is wrong.
fn use_damaged(directory: &Path, file: &Path, map: &Map) {
    let engine = match open(directory) {
        Ok(engine) => engine,
        Err(error) => return assert_names(&error, file),
    };
    if let Err(error) = read_all(&engine, map) {
        assert_names(&error, file);
    }
    assert_names(&scrub(&engine).unwrap_err(), file);
}

#[test]
fn every_flipped_bit_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let map = store(directory.path());
    let engine = open(directory.path()).unwrap();
    let bytes: u64 =
        files(directory.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(scrub(&engine).unwrap(), bytes);
    drop(engine);
    let mut rng = Rng::with_seed(6);
    for file in files(directory.path()) {
        let bytes = fs::read(&file).unwrap();
        // Every byte of a list; of tables one in sixteen, which meets every field of a block.
        let stride = if file.parent() == Some(directory.path()) { 1 } else { 16 };
        for position in (0..bytes.len()).step_by(stride) {
            let position = (position + rng.usize(..stride)).min(bytes.len() - 1);
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << rng.u8(..8);
            fs::write(&file, damaged).unwrap();
            use_damaged(directory.path(), &file, &map);
        }
        fs::write(&file, bytes).unwrap();
    }
    read_all(&open(directory.path()).unwrap(), &map).unwrap();
}

#[test]
fn a_file_that_is_cut_short_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let map = store(directory.path());
    for file in files(directory.path()) {
        let bytes = fs::read(&file).unwrap();
        for length in [0, 1, 24, 37, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&file, &bytes[..length.min(bytes.len() - 1)]).unwrap();
            use_damaged(directory.path(), &file, &map);
        }
        fs::write(&file, bytes).unwrap();
    }
    read_all(&open(directory.path()).unwrap(), &map).unwrap();
}

#[test]
fn a_file_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let map = store(directory.path());
    for file in files(directory.path()) {
        let bytes = fs::read(&file).unwrap();
        // While the store is open, and then when it is opened.
        let engine = open(directory.path()).unwrap();
        fs::remove_file(&file).unwrap();
        assert_names(&scrub(&engine).unwrap_err(), &file);
        drop(engine);
        assert_names(&open(directory.path()).unwrap_err(), &file);
        fs::write(&file, bytes).unwrap();
    }
    read_all(&open(directory.path()).unwrap(), &map).unwrap();
}

/// Damage that comes while the store is open, and is met by a read and by compaction.
#[test]
fn damage_under_an_open_store_is_named_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let map = store(directory.path());
    let engine = open(directory.path()).unwrap();
    let tables = files(&directory.path().join("tables"));
    let table = tables.iter().max_by_key(|table| table.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(table).unwrap();
    // Behind the head of the first block, so in the rows.
    bytes[100] ^= 1;
    // In place: the engine has the file open.
    fs::write(table, bytes).unwrap();
    let place = format!("{}: the block at byte 0, of the section `data`", table.display());
    let of_read = read_all(&engine, &map).unwrap_err();
    assert!(of_read.to_string().contains(&place), "{of_read}");
    let of_compaction = engine.compact().unwrap_err();
    assert!(of_compaction.to_string().contains(&place), "{of_compaction}");
    let of_scrub = scrub(&engine).unwrap_err();
    assert!(of_scrub.to_string().contains(&place), "{of_scrub}");
    // What was written by the compaction that failed is gone.
    assert_eq!(files(&directory.path().join("tables")), tables);
}

/// A table in the place of another is whole in itself.
#[test]
fn tables_that_have_changed_places_are_found() {
    let directory = tempfile::tempdir().unwrap();
    store(directory.path());
    let tables = files(&directory.path().join("tables"));
    let (first, second) = (&tables[0], tables.last().unwrap());
    let away = directory.path().join("away");
    fs::rename(first, &away).unwrap();
    fs::rename(second, first).unwrap();
    fs::rename(&away, second).unwrap();
    let error = match open(directory.path()) {
        Ok(engine) => scrub(&engine).unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, EngineError::Corrupt(_)), "{error}");
}

#[test]
fn a_scrub_goes_on_while_tables_are_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).unwrap();
    let (mut rng, mut map) = (Rng::with_seed(7), Map::new());
    ingest(&engine, &run(&mut rng, &mut map, 0));
    for number in 1..40 {
        let mut slices = engine.scrub();
        for _ in 0..rng.usize(..4) {
            if let Some(slice) = slices.next() {
                slice.unwrap();
            }
        }
        ingest(&engine, &run(&mut rng, &mut map, number));
        while engine.maintain().unwrap() {}
        for slice in slices {
            slice.unwrap();
        }
    }
}
