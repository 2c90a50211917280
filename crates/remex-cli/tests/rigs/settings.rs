//! How much the rigs do. `cargo xtask crash` sets these variables.

use std::env;
use std::io::Write;
use std::path::PathBuf;

/// The program under test: the one that cargo built, or another one.
pub(crate) fn binary() -> PathBuf {
    env::var_os("REMEX_RIG_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_remex")), PathBuf::from)
}

/// A number, or what CI can afford.
pub(crate) fn number(name: &str, in_ci: usize) -> usize {
    match env::var(name) {
        Ok(text) if text == "all" => usize::MAX,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => in_ci,
    }
}

/// Says something also when the test passes: the test harness shows only what goes through the
/// macros, and only of tests that fail.
pub(crate) fn say(text: &str) {
    let line = format!("rigs: {text}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A test that cannot run here.
pub(crate) fn skip(test: &str, missing: &str) {
    say(&format!("SKIPPED {test}: this machine lacks {missing}"));
}

/// Numbers from 1 to `last`, all or evenly spread.
pub(crate) fn spread(last: usize, wanted: usize) -> Vec<usize> {
    if wanted >= last {
        return (1..=last).collect();
    }
    (0..wanted).map(|position| 1 + position * last / wanted + last / wanted / 2).collect()
}
