//! Real `remex` processes on this machine: start them, hurt them, read what they say.
//!
//! A [`Cluster`] owns a temporary directory with a data directory and log files for each
//! [`Node`]. Every start of a node uses the same command line, as the product promises is right
//! for ever, unless a test changes its flags. Nothing outlives the cluster: dropping it kills what still runs. If the thread that
//! drops it is panicking, the directory stays as the failure bundle (data, logs, and the history
//! given to [`Cluster::keep_history`]) and its path is printed.
//!
//! Ports are chosen once per node and kept over restarts; see [`ports`] for why none of them
//! comes from the ephemeral range.

mod fleet;
mod node;
mod patience;
pub mod ports;
mod process;

pub use fleet::{Cluster, Plan};
pub use node::Node;
pub use patience::Patience;
pub use process::{Logs, Process};
pub use rustix::process::Signal;

use std::time::Duration;

/// A text that values of tests hold, and nothing else does. A [`Cluster`] that is dropped fails the
/// test if it stands in any output of a node: no value may ever be logged, at any level.
pub const SECRET: &str = "planted-secret";

/// How long anything may take before a test calls it a failure. Generous: it only bounds the
/// damage of a hang, on a machine however busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
