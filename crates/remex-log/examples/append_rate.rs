//! How many appends a second a disk makes durable, one after the other:
//! `cargo run --release -p remex-log --example append_rate -- DIRECTORY`

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use remex_log::{FileDisk, Log, LogEntry, Options, Owner};

const RUN: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a directory for the log")?;
    let started = Instant::now();
    let options = Options::new(Owner { cluster: 1, node: 1 }, 1);
    let (mut log, _) = Log::open(FileDisk::open(&path)?, options)?;
    let mut out = io::stdout().lock();
    writeln!(out, "opened in {:?}", started.elapsed())?;
    for group_bytes in [4 * 1024_usize, 64 * 1024] {
        // What frame and record take of a group.
        let data = Bytes::from(vec![7; group_bytes - 64]);
        let mut times = Vec::new();
        let started = Instant::now();
        while started.elapsed() < RUN {
            let index = log.last_index() + 1;
            let begun = Instant::now();
            log.append(None, &[LogEntry { index, term: 1, kind: 0, data: data.clone() }])?;
            log.sync()?;
            times.push(begun.elapsed());
            if index.is_multiple_of(1000) {
                while let Some(job) = log.trim_job(index, 0) {
                    let trimmed = job.run()?;
                    drop(log.finish_trim(trimmed));
                }
            }
        }
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied();
        let rate = times.len() as u64 / RUN.as_secs();
        let (p50, p99) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
        writeln!(out, "{group_bytes} bytes: {rate} syncs/s, p50 {p50:?}, p99 {p99:?}")?;
    }
    Ok(())
}
