//! The command line of the simulator: many seeds, or one seed to look at.

use std::io::{self, IsTerminal, Write as _};
use std::panic;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Parser;
use remex_sim::{Campaign, Lines, Plant, Report, Summary, run, running_seed};

/// A run allocates all the time, in pieces that live as long as a message.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the shipped code against every fault, from seeds.
#[derive(Debug, Parser)]
#[command(name = "remex-sim", after_help = EXAMPLES)]
struct Arguments {
    /// The one seed to run.
    #[arg(conflicts_with_all = ["seeds", "first", "threads"])]
    seed: Option<u64>,
    /// Print a line for everything that happens.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// How many seeds to run.
    #[arg(long, default_value_t = 300)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many run at once.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Plant this bug in every run, to see it found.
    #[arg(long, value_name = "NAME", value_parser = parse_plant)]
    plant: Option<Plant>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask sim --seeds 2000            run 2,000 seeds, stop at the first violation
  cargo xtask sim --seeds 500 --first 10000
  cargo xtask sim 4711 --trace            run one seed and print everything that happens
  cargo xtask sim --plant vote-not-synced";

fn parse_plant(name: &str) -> Result<Plant, String> {
    Plant::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Plant::ALL.into_iter().map(Plant::name).collect();
        format!("no such bug; there are: {}", names.join(", "))
    })
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if cfg!(panic = "abort") {
        report_panics(arguments.plant);
    }
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    }
}

/// Where a panic ends the process, it must still name its seed.
fn report_panics(plant: Option<Plant>) {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        default(info);
        if let Some(seed) = running_seed() {
            let line = format!("VIOLATION in seed {seed}: panic\n{}\n", replay(seed, plant));
            // The process ends either way.
            drop(io::stdout().write_all(line.as_bytes()));
        }
        exit_with_failure();
    }));
}

#[expect(clippy::exit, reason = "a panic would abort the process, with another code")]
fn exit_with_failure() -> ! {
    std::process::exit(1)
}

fn replay(seed: u64, plant: Option<Plant>) -> String {
    let plant = plant.map(|plant| format!(" --plant {plant}")).unwrap_or_default();
    format!("replay: cargo xtask sim {seed}{plant} --trace")
}

fn one(seed: u64, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let lines = arguments.trace.then(|| Box::new(io::BufWriter::new(io::stdout())) as Lines);
    let report = run(seed, arguments.plant, lines);
    let mut out = io::stdout().lock();
    if let Some(error) = &report.lines_failed {
        bail!("the trace could not be written: {error}");
    }
    let (nodes, steps, operations) = (report.nodes, report.steps, report.operations);
    let (virtual_ms, hash) = (report.virtual_us / 1000, report.trace_hash);
    writeln!(out, "seed {seed}: {nodes} nodes, {steps} steps, {operations} operations checked")?;
    writeln!(out, "virtual time {virtual_ms} ms, trace hash {hash:016x}")?;
    writeln!(out, "{}", report.coverage)?;
    verdict(&mut out, Some(&report), arguments)
}

fn many(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let end =
        arguments.first.checked_add(arguments.seeds).context("there are not so many seeds")?;
    let seeds = arguments.first..end;
    let campaign = Campaign { seeds, threads: arguments.threads, plant: arguments.plant };
    let begun = Instant::now();
    let shows_progress = io::stderr().is_terminal();
    let summary = campaign.run(|so_far| {
        if shows_progress && so_far.seeds.is_multiple_of(25) {
            let rate = per_second(so_far.steps, begun);
            let line = format!("\r{} of {} seeds, {rate} steps/s ", so_far.seeds, arguments.seeds);
            // Nobody needs the progress more than the result.
            drop(io::stderr().write_all(line.as_bytes()));
        }
    });
    let mut out = io::stdout().lock();
    summarize(&mut out, &summary, begun)?;
    verdict(&mut out, summary.failed.as_ref(), arguments)
}

fn summarize(out: &mut impl io::Write, summary: &Summary, begun: Instant) -> io::Result<()> {
    let seconds = begun.elapsed().as_secs_f64();
    let rate = per_second(summary.steps, begun);
    let (seeds, steps, operations) = (summary.seeds, summary.steps, summary.operations);
    writeln!(out, "\n{seeds} seeds in {seconds:.1} s: {steps} steps, {rate} steps/s")?;
    let hours = summary.virtual_us / 1_000_000;
    let (hours, minutes) = (hours / 3600, hours % 3600 / 60);
    let per_minute = per_second(summary.virtual_us, begun) / 60_000_000;
    writeln!(
        out,
        "{operations} operations checked; {hours} h {minutes} min of cluster time, {per_minute} h \
         a minute"
    )?;
    writeln!(out, "{}", summary.coverage)
}

/// So much in a second, since then.
fn per_second(count: u64, begun: Instant) -> u64 {
    let elapsed = begun.elapsed().as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / elapsed).unwrap_or(u64::MAX)
}

fn verdict(
    out: &mut impl io::Write,
    report: Option<&Report>,
    arguments: &Arguments,
) -> anyhow::Result<ExitCode> {
    let failed = report.and_then(|report| Some((report.seed, report.violation.as_ref()?)));
    let Some((seed, violation)) = failed else {
        writeln!(out, "no violation")?;
        return Ok(ExitCode::SUCCESS);
    };
    writeln!(out, "VIOLATION in seed {seed}: {violation}")?;
    writeln!(out, "{}", replay(seed, arguments.plant))?;
    Ok(ExitCode::FAILURE)
}
