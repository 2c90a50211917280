//! `remex bench`: measures a cluster.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use remex_client::Batch;

use crate::bench::{self, Operation, Plan};
use crate::cli::{Consistency, Globals};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::session::Session;
use crate::settings::units;

/// Bytes of values in one batch of --fill.
const FILL_BYTES: usize = 512 * 1024;
/// Keys in one batch of --fill.
const FILL_KEYS: usize = 500;

/// Measure a cluster
#[derive(Debug, Args)]
#[command(after_help = "\
Without --rate, each client sends its next request when the last one is answered (closed loop).
With --rate, requests are sent at that rate and their latency counts from the moment at which
they should have been sent (open loop). Keys are drawn evenly; endpoints share the clients. The
keys stay in the store afterwards.

Output: table on a terminal, else json (one object). Exit code 6 if no request was carried out; the
first request that the server refuses as wrong ends the run with exit code 1.

Examples:
  remex bench put
  remex bench get --fill --clients 128
  remex bench mixed --rate 5000 --read-ratio 0.8 --duration 1m
  remex bench put -e http://127.0.0.1:7480,http://127.0.0.1:7490,http://127.0.0.1:7500
  remex del --prefix bench/ --yes")]
pub(crate) struct Bench {
    /// What to send
    operation: Operation,
    /// Connections, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: u32,
    /// Requests per second (open loop)
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// Measured time
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    duration: Duration,
    /// Time before measuring begins
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    warmup: Duration,
    /// Number of different keys
    #[arg(long, value_name = "N", default_value_t = 100_000,
        value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Length of the values
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = units::size)]
    value_bytes: usize,
    /// What every key begins with
    #[arg(long, value_name = "P", default_value = "bench/", value_parser = prefix)]
    prefix: String,
    /// Share of reads in mixed, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)]
    read_ratio: f64,
    /// Write every key before measuring
    #[arg(long)]
    fill: bool,
}

impl Bench {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Table, Format::Json])?;
        let session = Session::open(globals)?;
        let plan = Plan {
            operation: self.operation,
            endpoints: globals.endpoints()?,
            clients: usize::try_from(self.clients).expect("32 bits fit"),
            rate: self.rate,
            duration: self.duration,
            warmup: self.warmup,
            keys: self.keys,
            value_bytes: self.value_bytes,
            prefix: self.prefix,
            read_ratio: self.read_ratio,
            stale: globals.consistency == Consistency::Stale,
            timeout: globals.timeout(),
        };
        if self.fill {
            fill(&session, &plan).await?;
        }
        let show_progress = !globals.quiet && std::io::stderr().is_terminal();
        let report = bench::run(plan, show_progress).await;
        if let Some(refused) = report.refused {
            let message = format!("the server refuses these requests: {}", refused.detail);
            return Err(Failure::new(Exit::Failure, message).hint(refused.hint));
        }
        match format {
            Format::Json => {
                let text = serde_json::to_string(&report);
                output::line(&text.expect("a report of numbers and texts always becomes JSON"))?;
            }
            Format::Table | Format::Ndjson | Format::Value => {
                output::write(report.table().as_bytes())?;
            }
        }
        if report.ops == 0 {
            let why = report.last_error.as_deref().unwrap_or("no answer in the measured time");
            let failure = Failure::new(Exit::Unavailable, format!("nothing was measured: {why}"));
            return Err(failure.hint("see whether the cluster serves: remex status"));
        }
        Ok(())
    }
}

/// Writes every key once, in large batches.
async fn fill(session: &Session, plan: &Plan) -> Result<(), Failure> {
    let mut random = fastrand::Rng::new();
    let size = (FILL_BYTES / plan.value_bytes.max(1)).clamp(1, FILL_KEYS);
    let mut batch = Batch::new();
    for number in 0..plan.keys {
        batch = batch.put_text(&plan.key(number), &plan.value(&mut random));
        if batch.len() == size || number + 1 == plan.keys {
            session.client().batch(&batch).await?;
            batch = Batch::new();
        }
    }
    Ok(())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e7 => Ok(rate),
        _ => Err("must be a number above 0".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

fn some_time(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        Duration::ZERO => Err("must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

/// Keys go into requests as they are, so they must need no encoding.
fn prefix(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    if !text.bytes().all(plain) || text.starts_with('/') || text.contains("//") {
        let want = "may hold letters, digits and - _ . ~ and single slashes, not at the start";
        return Err(want.to_owned());
    }
    Ok(text.to_owned())
}
