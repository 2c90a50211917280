//! One node with many keys dies and comes back.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;
use remex_testkit::http::HttpClient;

use crate::systems::{System, VALUE_BYTES};
use crate::{PATIENCE, ms};

pub(crate) const HEADING: &str = "\
| system | keys | bytes of a value | first put after the start ms | RSS then MB | RSS at most, 10 s later, MB |
|---|---|---|---|---|---|";

/// When the highest use of memory is looked up, after the first put.
const LATER: Duration = Duration::from_secs(10);

/// Keys of one request: as many as etcd takes.
const BATCH: usize = 128;

/// Fills a node, kills it, and prints a line about its restart.
pub(crate) fn measure(name: &str, system: &mut dyn System, keys: usize) -> anyhow::Result<()> {
    let (dialect, address) = (system.dialect(), system.addresses()[0]);
    let mut client = HttpClient::new(address, PATIENCE);
    // Eight characters of base64.
    let all: Vec<String> = (0..keys).map(|number| format!("{number:08}")).collect();
    for batch in all.chunks(BATCH) {
        dialect.put_all(&mut client, batch)?;
    }
    drop(client);
    system.kill(0)?;
    let begin = Instant::now();
    system.start(0)?;
    let mut client = HttpClient::new(address, PATIENCE);
    while !matches!(dialect.put(&mut client, "99999999"), Ok(true)) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = begin.elapsed();
    let process = system.process_id(0).context("it runs")?;
    let memory = memory_mb(process, "VmRSS")?;
    // What is left to do in the background may need more.
    std::thread::sleep(LATER);
    println!(
        "| {name} | {keys} | {VALUE_BYTES} | {} | {} | {} |",
        ms(took),
        memory,
        memory_mb(process, "VmHWM")?
    );
    Ok(())
}

/// A line of the process's status, in megabytes.
fn memory_mb(process: u32, field: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .context("no such line in the process's status")?
        .parse()?;
    Ok(kib * 1024 / 1_000_000)
}
