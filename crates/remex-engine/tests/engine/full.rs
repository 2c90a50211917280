//! A disk that is full, and then is not.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use fastrand::Rng;
use remex_engine::{Engine, EngineError, LsmEngine, LsmOptions};

use crate::damage::files;
use crate::{ingest, open};

/// A file system of its own in memory, unmounted when it is let go.
struct TinyDisk {
    directory: tempfile::TempDir,
}

impl TinyDisk {
    /// `None`, and says so, where file systems cannot be mounted.
    #[expect(clippy::explicit_write, reason = "the harness keeps what macros print to itself")]
    fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(directory.path())
            .output();
        if status.is_ok_and(|output| output.status.success()) {
            return Some(Self { directory });
        }
        writeln!(io::stderr(), "SKIPPED: a tmpfs cannot be mounted here (that takes root)")
            .unwrap();
        None
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Takes all room but some.
    fn fill(&self, left: usize) -> PathBuf {
        let path = self.path().join("ballast");
        let mut ballast = fs::File::create(&path).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
        let length = ballast.metadata().unwrap().len();
        ballast.set_len(length - left as u64).unwrap();
        path
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let output = Command::new("umount").arg(self.path()).output();
        assert!(output.is_ok_and(|output| output.status.success()), "the tmpfs stays mounted");
    }
}

type Run = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Rows of a kilobyte that cannot be compressed, but for the first byte.
fn rows(keys: std::ops::Range<u32>, byte: u8) -> Run {
    let mut rng = Rng::with_seed(byte.into());
    let mut value = || {
        let mut value = vec![byte; 1000];
        rng.fill(&mut value[1..]);
        value
    };
    keys.map(|key| (key.to_be_bytes().to_vec(), Some(value()))).collect()
}

fn try_ingest(engine: &LsmEngine, run: &Run) -> Result<(), EngineError> {
    engine.ingest(&mut |sink| {
        for (key, value) in run {
            sink.put(key, value.as_ref().unwrap())?;
        }
        Ok(())
    })
}

fn values(engine: &LsmEngine) -> Vec<u8> {
    let all = std::ops::Bound::Unbounded;
    let rows = engine.scan(all, all, remex_engine::Direction::Forward);
    rows.map(|row| row.unwrap().1[0]).collect()
}

#[test]
fn a_run_that_finds_the_disk_full_can_be_written_again() {
    let Some(disk) = TinyDisk::mount(4 << 20) else { return };
    let directory = disk.path().join("engine");
    let engine = open(&directory).unwrap();
    ingest(&engine, &rows(0..500, 1));
    let before = files(&directory);
    let run = rows(0..1000, 2);
    let tables = |files: Vec<PathBuf>| -> Vec<PathBuf> {
        files.into_iter().filter(|file| file.parent() != Some(&directory)).collect()
    };
    // At every moment of writing: in a table, in its end, in the list, in the file that names it.
    let mut failures = 0;
    for left in (0..960_000).step_by(71 * 1024).chain((960_000..).step_by(4096)) {
        let ballast = disk.fill(left);
        let result = try_ingest(&engine, &run);
        fs::remove_file(ballast).unwrap();
        let Err(error) = result else { break };
        assert!(error.is_full(), "with {left} bytes left: {error}");
        assert_eq!(values(&engine), [1; 500]);
        assert_eq!(tables(files(&directory)), tables(before.clone()), "with {left} bytes left");
        failures += 1;
    }
    assert!(failures > 20, "only {failures} runs found the disk full");
    assert_eq!(values(&engine), [2; 1000]);
    drop(engine);
    assert_eq!(values(&open(&directory).unwrap()), [2; 1000]);
}

#[test]
fn a_compaction_that_finds_the_disk_full_can_be_done_again() {
    let Some(disk) = TinyDisk::mount(8 << 20) else { return };
    let directory = disk.path().join("engine");
    let options = LsmOptions { table_bytes: 100_000, ..LsmOptions::default() };
    let engine = LsmEngine::open(&directory, options).unwrap();
    for byte in 0..20 {
        ingest(&engine, &rows(0..100, byte));
    }
    let before = files(&directory.join("tables"));
    for left in [0, 4096, 8192, 40_960, 65_536, 98_304] {
        let ballast = disk.fill(left);
        for error in [engine.maintain().unwrap_err(), engine.compact().unwrap_err()] {
            assert!(error.is_full(), "with {left} bytes left: {error}");
        }
        assert_eq!(values(&engine), [19; 100]);
        fs::remove_file(ballast).unwrap();
        assert_eq!(files(&directory.join("tables")), before, "with {left} bytes left");
    }
    while engine.maintain().unwrap() {}
    assert!(files(&directory.join("tables")).len() < before.len());
    assert_eq!(values(&engine), [19; 100]);
    drop(engine);
    assert_eq!(values(&LsmEngine::open(&directory, options).unwrap()), [19; 100]);
}

#[test]
fn a_scan_keeps_its_files_while_leftovers_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).unwrap();
    for byte in 0..4 {
        ingest(&engine, &rows(0..50, byte));
    }
    let all = std::ops::Bound::Unbounded;
    let given_up = |sink: &mut dyn remex_engine::RowSink| {
        for key in 0..500_u32 {
            sink.put(&key.to_be_bytes(), &[9; 1000])?;
        }
        // While this run is being written, what the scan reads is replaced.
        while engine.maintain()? {}
        Err(EngineError::Io(io::ErrorKind::StorageFull.into()))
    };
    let mut scan = engine.scan(all, all, remex_engine::Direction::Forward);
    assert_eq!(scan.next().unwrap().unwrap().1[0], 3);
    let mut fill = given_up;
    assert!(engine.ingest(&mut fill).unwrap_err().is_full());
    assert_eq!(scan.map(|row| row.unwrap().1[0]).collect::<Vec<_>>(), [3; 49]);
    assert_eq!(values(&engine), [3; 50]);
    // Nothing but what belongs to the store is left.
    let left = files(&directory.path().join("tables"));
    drop(engine);
    drop(open(directory.path()).unwrap());
    assert_eq!(files(&directory.path().join("tables")), left);
}

/// The library would lose count of the runs at the 256th.
#[test]
fn runs_are_merged_before_there_are_too_many() {
    // In memory if possible: some hundred runs are many thousand syncs.
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let engine = open(directory.path()).unwrap();
    for byte in 0..=255 {
        ingest(&engine, &rows(0..3, byte));
    }
    for byte in 0..50 {
        ingest(&engine, &rows(0..3, byte));
    }
    drop(engine);
    assert_eq!(values(&open(directory.path()).unwrap()), [49; 3]);
}
