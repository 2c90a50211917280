//! The embeddable handle: what a Rust program holds when the store runs inside it.
//!
//! [`Store::builder`] names a directory, [`Builder::open`] starts a node in it. The node keeps the
//! data, votes, and serves its peers; the [`Store`] is how this program speaks with it. Any node
//! takes any request: what only the leader can do is forwarded inside.
//!
//! # Rules
//!
//! - A `Store` is a handle: cloning it is cheap, and all clones mean the same node. The node is
//!   stopped by the first [`Store::close`], for all of them; or, like a crash, when the last clone is
//!   dropped. Nothing that was acknowledged is lost either way.
//! - Every call ends: it has a deadline, set with [`Builder::timeout`] for all calls and with
//!   [`Store::within`] for some. Only [`Changes::next`] waits for as long as it takes.
//! - A write that fails says whether it may have been applied ([`crate::Error::effect`]).
//! - Everything is per handle: no global state, no logger (events go to `tracing`, for whoever
//!   listens), any number of stores in one process.
//!
//! The parts: [`Builder`] opens; `handle` is the node's life; `read`, `write` and `batch` are data;
//! `changes` is the stream of what was applied; `members` is who belongs to the cluster.
//!
//! What is missing: leases, and conditions on other things than revisions.

mod batch;
mod builder;
mod changes;
mod entry;
mod handle;
mod members;
mod read;
mod write;

pub use batch::{Batch, BatchReceipt};
pub use builder::Builder;
pub use changes::{Change, Changed, Changes};
pub use entry::{Entry, Receipt, json};
pub use handle::{Status, Store};
pub use read::{Listing, Pages};
