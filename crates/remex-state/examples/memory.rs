//! Measures the memory of a node's state: loads a store, opens it anew in a process of its own,
//! reads and writes it, and copies it by a snapshot. Prints the resident memory after each step and
//! the most there ever was.
//!
//! `cargo run --release -p remex-state --example memory -- [keys] [puts] [value bytes]`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement prints, reads the clock and looks at its process"
)]

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::process::Command as Process;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use remex_engine::{Engine, LsmEngine, LsmOptions};
use remex_model::{BatchBuilder, ClusterId, Command, Key, ProposalId, Proposed, Term, Value};
use remex_state::snapshot::{self, Reader};
use remex_state::{Options, State};

const BATCH: u64 = 50;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |position: usize, default: u64| {
        arguments.get(position).map_or(default, |text| text.parse().expect("a number"))
    };
    let (keys, puts, bytes) = (number(0, 1_000_000), number(1, 300_000), number(2, 256));
    let bytes = usize::try_from(bytes).expect("a number that fits");
    match arguments.get(3) {
        Some(directory) => use_again(Path::new(directory), keys, puts, bytes),
        None => {
            let directory = tempfile::tempdir().expect("a temporary directory");
            load(directory.path(), keys, bytes);
            let program = std::env::current_exe().expect("this program");
            let numbers = [keys, puts, bytes as u64].map(|number| number.to_string());
            let status = Process::new(program).args(numbers).arg(directory.path()).status();
            assert!(status.expect("this program runs").success());
        }
    }
}

fn open(directory: &Path) -> (Arc<LsmEngine>, State<LsmEngine>) {
    let engine = LsmEngine::open(directory, LsmOptions::default()).expect("a store");
    let engine = Arc::new(engine);
    let state = State::open(Arc::clone(&engine), Options::default(), None).expect("a state");
    (engine, state)
}

fn load(directory: &Path, keys: u64, bytes: usize) {
    let (engine, mut state) = open(directory);
    write(&engine, &mut state, 0..keys, bytes);
    flush(&engine, &mut state);
    report("loaded");
    println!("disk: {} MB", engine.disk_bytes() / 1_000_000);
}

fn use_again(directory: &Path, keys: u64, puts: u64, bytes: usize) {
    let start = Instant::now();
    let (engine, mut state) = open(directory);
    println!("opened in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    report("opened");
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..100_000 {
        let found = state.get(&key(rng.u64(..keys)), None).expect("the store can be read");
        assert!(found.record.is_some());
    }
    report("100,000 reads later");
    let puts = usize::try_from(puts).expect("a number that fits");
    let chosen: Vec<u64> = std::iter::repeat_with(|| rng.u64(..keys)).take(puts).collect();
    write(&engine, &mut state, chosen, bytes);
    report("written");
    flush(&engine, &mut state);
    report("flushed");
    for slice in engine.scrub() {
        slice.expect("the store is whole");
    }
    report("scrubbed");
    let path = directory.join("snapshot");
    let file = File::create(&path).expect("room on the disk");
    let summary = snapshot::export(&*engine, ClusterId(1), BufWriter::new(file));
    println!("snapshot of {} MB", summary.expect("a snapshot").bytes / 1_000_000);
    report("exported");
    let copy = LsmEngine::open(&directory.join("copy"), LsmOptions::default()).expect("a store");
    let file = BufReader::new(File::open(&path).expect("the snapshot"));
    let reader = Reader::new(file).expect("a snapshot");
    snapshot::import(&copy, reader, None).expect("a whole snapshot");
    report("imported");
}

fn key(number: u64) -> Key {
    Key::from(format!("/registry/pods/{number:08}").as_str())
}

fn write(
    engine: &Arc<LsmEngine>,
    state: &mut State<LsmEngine>,
    keys: impl IntoIterator<Item = u64>,
    bytes: usize,
) {
    let mut keys = keys.into_iter().peekable();
    let mut rng = fastrand::Rng::with_seed(2);
    while keys.peek().is_some() {
        let mut builder = BatchBuilder::new(state.applied().get(), 0);
        for (sequence, number) in (1..=BATCH).zip(&mut keys) {
            let mut value = vec![b'x'; bytes];
            rng.fill(&mut value[..bytes / 2]);
            let command = Command::put(key(number), Value::raw(value)).to_bytes();
            builder.push(&Proposed { id: ProposalId { session: 1, sequence }, command });
        }
        let index = state.applied().next();
        state.apply(index, Term(1), Bytes::from(builder.finish())).expect("a valid entry");
        if state.should_flush() {
            flush(engine, state);
        }
    }
}

fn flush(engine: &Arc<LsmEngine>, state: &mut State<LsmEngine>) {
    let Some(frozen) = state.freeze() else { return };
    frozen.write().expect("the disk takes the run");
    drop(state.finish_flush(frozen));
    while engine.maintain().expect("the disk works") {}
}

fn report(step: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1000
    };
    println!("{step}: {} MB resident, {} MB at most", field("VmRSS:"), field("VmHWM:"));
}
