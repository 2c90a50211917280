//! Measures applying puts: wall time and CPU time for each, with flushes and compaction running
//! beside it as on a node.
//!
//! `cargo run --release -p remex-state --example apply_rate -- [memory|disk] [puts] [keys] [pending]`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement prints and reads the clock"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, mpsc};
use std::time::Instant;

use bytes::Bytes;
use remex_engine::{Engine, LsmEngine, LsmOptions, MemoryEngine};
use remex_model::{BatchBuilder, Command, Key, ProposalId, Proposed, Term, Value};
use remex_state::{Frozen, Options, State};

const BATCH: usize = 50;
const VALUE_BYTES: usize = 256;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |position: usize, default: u64| {
        arguments.get(position).map_or(default, |text| text.parse().expect("a number"))
    };
    let (puts, keys) = (number(1, 1_000_000), number(2, 100_000));
    let puts = usize::try_from(puts).expect("a number that fits");
    match arguments.first().map(String::as_str) {
        None | Some("memory") => measure(Arc::new(MemoryEngine::new()), puts, keys),
        Some("disk") => {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let pending = u8::try_from(number(3, 8)).expect("a small number");
            let options = LsmOptions { pending_tables_max: pending, ..LsmOptions::default() };
            let engine = LsmEngine::open(directory.path(), options).expect("an empty store");
            measure(Arc::new(engine), puts, keys);
        }
        Some(other) => println!("unknown engine {other}; memory or disk"),
    }
}

fn measure<E: Engine>(engine: Arc<E>, puts: usize, keys: u64) {
    let state = State::open(Arc::clone(&engine), Options::default(), None).expect("an empty store");
    let state = Arc::new(RwLock::new(state));
    let entries = prepare(puts, keys);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::sync_channel::<Frozen<E>>(1);
    std::thread::scope(|scope| {
        let flushed = Arc::clone(&state);
        let flusher = scope.spawn(move || {
            let cpu = thread_cpu_us();
            for frozen in receiver {
                frozen.write().expect("the disk takes the run");
                let retired = flushed.write().expect("no panic").finish_flush(frozen);
                drop(retired);
            }
            thread_cpu_us() - cpu
        });
        let compacted = Arc::clone(&engine);
        let stop = &stop;
        let compactor = scope.spawn(move || {
            let cpu = thread_cpu_us();
            while !stop.load(Ordering::Relaxed) {
                if !compacted.maintain().expect("the disk works") {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            }
            thread_cpu_us() - cpu
        });
        let mut report = Report::begin();
        for (done, payload) in entries.iter().enumerate() {
            if (done * BATCH) as u64 == keys {
                report.line("inserts", keys);
                report = Report::begin();
            }
            apply(&state, payload.clone(), &sender);
        }
        report.line("overwrites", puts as u64);
        drop(sender);
        let flush_us = flusher.join().expect("no panic");
        stop.store(true, Ordering::Relaxed);
        let compact_us = compactor.join().expect("no panic");
        let total = (keys + puts as u64) as f64;
        println!(
            "background, µs of CPU a put: flush {:.2}, compaction {:.2}; disk {} MB",
            flush_us / total,
            compact_us / total,
            engine.disk_bytes() / 1_000_000
        );
    });
}

fn apply<E: Engine>(
    state: &RwLock<State<E>>,
    payload: Bytes,
    flushes: &mpsc::SyncSender<Frozen<E>>,
) {
    let mut guard = state.write().expect("no panic");
    let index = guard.applied().next();
    guard.apply(index, Term(1), payload).expect("a valid entry");
    if guard.should_flush()
        && let Some(frozen) = guard.freeze()
    {
        drop(guard);
        flushes.send(frozen).expect("the flusher runs");
        return;
    }
    let full = guard.buffer_bytes() > 2 * Options::default().buffer_bytes_max;
    drop(guard);
    if full {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// First every key once in random order, then puts to random keys.
fn prepare(puts: usize, keys: u64) -> Vec<Bytes> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut order: Vec<u64> = (0..keys).collect();
    rng.shuffle(&mut order);
    order.extend(std::iter::repeat_with(|| rng.u64(..keys)).take(puts));
    let mut sequence = 0;
    let mut value_rng = fastrand::Rng::with_seed(2);
    let batches = order.chunks(BATCH).map(|chunk| {
        let mut builder = BatchBuilder::new(sequence / 50, 0);
        for key in chunk {
            sequence += 1;
            let mut value = vec![b'x'; VALUE_BYTES];
            value_rng.fill(&mut value[..VALUE_BYTES / 2]);
            let key = Key::from(format!("/registry/pods/{key:08}").as_str());
            let command = Command::put(key, Value::raw(value)).to_bytes();
            let id = ProposalId { session: 1, sequence };
            builder.push(&Proposed { id, command });
        }
        Bytes::from(builder.finish())
    });
    batches.collect()
}

struct Report {
    start: Instant,
    cpu_us: f64,
}

impl Report {
    fn begin() -> Self {
        Self { start: Instant::now(), cpu_us: thread_cpu_us() }
    }

    fn line(&self, name: &str, puts: u64) {
        let puts = puts as f64;
        let seconds = self.start.elapsed().as_secs_f64();
        let cpu_us = thread_cpu_us() - self.cpu_us;
        println!(
            "{name}: {:.0} puts/s, {:.2} µs a put, {:.2} µs of CPU in apply",
            puts / seconds,
            seconds * 1e6 / puts,
            cpu_us / puts
        );
    }
}

/// CPU time of this thread so far, in microseconds.
fn thread_cpu_us() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1000.0
}
