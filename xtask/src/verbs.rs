//! The verbs.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::rehearse;
use crate::tidy::{self, Tree};

/// The environment variable that makes golden tests rewrite their expected output.
pub const GOLDEN_VARIABLE: &str = "REMEX_GOLDEN";

/// The root of the repository.
///
/// # Panics
/// Never: this crate lies one folder below the root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies one folder below the root").to_owned()
}

/// Everything that must hold before a change is merged. Writes nothing into the working tree.
///
/// # Errors
/// At the first check that fails.
pub fn verify(with_tests: bool) -> anyhow::Result<()> {
    cargo("format", &["fmt", "--all", "--check"], &[])?;
    tidy()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    cargo("clippy", &clippy, &[])?;
    if with_tests {
        cargo("tests", &["test", "--workspace", "--locked"], &[])?;
    }
    let rustdoc = ["doc", "--workspace", "--no-deps", "--locked"];
    cargo("rustdoc", &rustdoc, &[("RUSTDOCFLAGS", "-D warnings")])
}

/// Lets clippy and rustfmt repair what they can.
///
/// # Errors
/// If one of them fails.
pub fn fix_all() -> anyhow::Result<()> {
    let fix = ["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace"];
    cargo("clippy --fix", &[fix.as_slice(), &["--all-targets"]].concat(), &[])?;
    cargo("format", &["fmt", "--all"], &[])
}

/// Rewrites the expected output of golden tests. Further arguments go to `cargo test`, for
/// example `-p remex-state`.
///
/// # Errors
/// If a test fails for another reason than its expected output.
pub fn golden(arguments: &[&str]) -> anyhow::Result<()> {
    let scope: &[&str] = if arguments.is_empty() { &["--workspace"] } else { arguments };
    cargo("golden", &[&["test"], scope].concat(), &[(GOLDEN_VARIABLE, "write")])
}

/// Runs the simulator, optimized as far as it goes: it runs longer than it takes to build.
///
/// # Errors
/// If a seed fails; the simulator has said how to replay it.
pub fn sim(arguments: &[&str]) -> anyhow::Result<()> {
    let run = ["run", "--profile", "dist", "--locked", "--package", "remex-sim", "--"];
    cargo("simulator", &[run.as_slice(), arguments].concat(), &[])
}

/// Measures how long clients feel the death of a leader, and how long a restart takes.
///
/// # Errors
/// If something cannot be built or started.
pub fn failover(arguments: &[&str]) -> anyhow::Result<()> {
    let program = build()?.display().to_string();
    let example = ["--package", "remex-testkit", "--example", "failover"];
    let run = [&["run", "--release", "--locked"], &example[..], &["--", "--remex", &program]];
    cargo("failover", &[run.concat().as_slice(), arguments].concat(), &[])
}

/// Builds the program; where it is.
fn build() -> anyhow::Result<PathBuf> {
    let build = ["build", "--release", "--locked", "--package", "remex-cli"];
    cargo("the program", &build, &[])?;
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join("remex"))
}

/// Runs the rigs that end lives and fill disks, beyond the sample that tests run. The arguments
/// are the name of a rig, which leaves the others out, and flags with a number or `all`.
///
/// # Errors
/// If one of them finds something, or the arguments are none.
pub fn crash(arguments: &[&str]) -> anyhow::Result<()> {
    let (mut filter, mut variables) = (Vec::new(), Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let variable = match *argument {
            "--points" => "REMEX_RIG_POINTS",
            "--power-cuts" => "REMEX_RIG_CUTS",
            "--minutes" => "REMEX_RIG_MINUTES",
            "--binary" => "REMEX_RIG_BINARY",
            rig if !rig.starts_with('-') => {
                filter.push(rig);
                continue;
            }
            other => bail!("crash does not know {other}"),
        };
        variables.push((variable, *rest.next().context("a flag without its value")?));
    }
    let test = ["test", "--locked", "--package", "remex-cli", "--test", "rigs", "--"];
    let quietly = ["--nocapture", "--test-threads", "1"];
    cargo("crash", &[&test, filter.as_slice(), &quietly].concat(), &variables)
}

/// Lets the pods of `deploy/kubernetes` live through what happens to pods. Builds the program unless
/// it is given one.
///
/// # Errors
/// If something does not go as it should; see [`rehearse::run`].
pub fn rehearse(program: Option<&str>) -> anyhow::Result<()> {
    let program = match program {
        Some(program) => PathBuf::from(program),
        None => build()?,
    };
    rehearse::run(&root(), &program)
}

/// Checks the repository itself.
///
/// # Errors
/// Lists everything that is not tidy.
pub fn tidy() -> anyhow::Result<()> {
    say("tidy")?;
    let findings = tidy::check(&Tree::read(&root())?);
    if findings.is_empty() {
        return Ok(());
    }
    let list: String = findings.iter().map(|finding| format!("\n  {finding}")).collect();
    bail!("{} findings:{list}", findings.len())
}

/// Runs cargo at the root of the repository under a heading.
fn cargo(heading: &str, arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<()> {
    say(heading)?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root())
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("{heading} failed: cargo {}", arguments.join(" "));
    }
    Ok(())
}

fn say(heading: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "\n== {heading} ==").context("writing to standard error")
}
