//! `cargo xtask VERB`: reads the verb, runs it, exits with its success.

use std::env;

use anyhow::bail;
use xtask::{packages, verbs};

const USAGE: &str = "usage: cargo xtask VERB
  verify [--no-test]    format, tidy, clippy, tests, rustdoc; writes nothing
  fix-all               what clippy and rustfmt can fix by themselves
  golden [ARGS]         rewrite the expected output of the golden tests, then read the diff
  sim SEED              replay one seed in the simulator
  sim --seeds N         run N seeds (more arguments go to the simulator as they are)
  failover [ARGS]       measure failover and restart, beside etcd if it is found (--etcd PATH)
  crash [RIG] [ARGS]    crash points, failing calls, power cuts, full disks, overwrites: see docs/testing.md
  packages              check image, compose file, manifests, chart and unit with the tools that are there
  rehearse [--binary F] live through what happens to pods, with deploy/kubernetes; needs root
  tidy                  check the repository itself";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["verify"] => verbs::verify(true),
        ["verify", "--no-test"] => verbs::verify(false),
        ["fix-all"] => verbs::fix_all(),
        ["golden", rest @ ..] => verbs::golden(rest),
        ["sim", rest @ ..] if !rest.is_empty() => verbs::sim(rest),
        ["failover", rest @ ..] => verbs::failover(rest),
        ["crash", rest @ ..] => verbs::crash(rest),
        ["packages"] => packages::check(&verbs::root()),
        ["rehearse"] => verbs::rehearse(None),
        ["rehearse", "--binary", program] => verbs::rehearse(Some(program)),
        ["tidy"] => verbs::tidy(),
        _ => bail!("{USAGE}"),
    }
}
