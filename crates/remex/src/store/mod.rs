//! The embeddable handle: what a Rust program holds when the store runs inside it.
//!
//! [`Store::builder`] names a directory, [`Builder::open`] starts a node in it. The node keeps the
//! data, votes, and serves its peers; the [`Store`] is how this program speaks with it. Any node
//! takes any request: what only the leader can do is forwarded inside.
//!
//! Its rules stand on the crate's front page. A call becomes a request at the node's door, or at its
//! port [`remex_model::Admin`], like that of any surface; this folder only gives them names, types and
//! deadlines. Change events are the exception: they are read from the state by revision
//! (`changes`).
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
