//! What a node survives when its disk, or its life, ends at the worst moment.
//!
//! - `points`: one node is killed before, and in the middle of, every call that changes its files;
//! - `snapshots`: so is one of three while it fetches and installs a snapshot;
//! - `faults`: calls fail with `EIO` or `ENOSPC`, or write less than they were told;
//! - `power`: the power is cut, by shutting a file system down under the node;
//! - `full`: the disk is full, on a small file system of its own;
//! - `overwrites`: keys are overwritten for minutes, and the disk must not fill up.
//!
//! Each time the node is started again as it was, and must hold exactly what was acknowledged:
//! every key with its value, its revision and its number of writes, nothing that was refused, and a
//! revision of the store that is the number of writes that took one.
//!
//! Here a sample runs, some half a minute of it. `cargo xtask crash` runs all, or as much as it is
//! told. What needs more than a machine has (root, for file systems) is skipped, with a line on
//! standard error that says what is missing.

#![expect(
    clippy::unwrap_used,
    reason = "all of it is test code; clippy only spares test functions"
)]

mod disks;
mod faults;
mod full;
mod life;
mod overwrites;
mod points;
mod power;
mod settings;
mod shim;
mod snapshots;
mod writer;
