//! The replicated state machine: a store of keys with their history, built by applying the log.
//!
//! Every committed entry is applied in order on every node ([`State::apply`]), and every node comes
//! to the same state, because nothing else goes in: this crate knows no clock, no randomness, no
//! threads, no files and no sockets (`clippy.toml` forbids them). Time is what the batches carry.
//!
//! Changes go to a write buffer in memory. Now and then the buffer is frozen, written to the
//! engine as one atomic run that also holds the applied index, and let go ([`State::freeze`],
//! [`Frozen::write`], [`State::finish_flush`]). So the state has three layers, the active buffer,
//! the frozen buffer and the engine, and a read asks them in this order. After a crash the engine
//! holds the state as of some entry, and the log is applied again from there.
//!
//! Who belongs to the cluster is part of the state: [`State::apply_membership`] changes it, and it is
//! durable in the same row as the applied index. A cluster begins at index 1 with the membership that
//! it was founded with; a node that was not there then begins with nothing, and takes the state of
//! another node from a [`snapshot`], which is also what a backup is.
//!
//! The rules are etcd's: one revision for each command that changes something; a key has a create
//! revision, a mod revision and a version; what a revision showed stays readable until retention
//! moves the floor over it.
//!
//! Invariants:
//! - equal entries up to an index give an equal [`State::hash`], whatever was flushed or reopened;
//! - limits of requests are never checked here: what was admitted anywhere is applied everywhere;
//! - an error ([`Fatal`]) is never an outcome: a refusal is the same on every node, an error means
//!   that this node must stop, or, if [`Fatal::is_damage`], take its state from another node;
//! - memory is bounded by the buffers ([`Options::buffer_bytes_max`]), the records used lately
//!   ([`Options::recent_bytes_max`]) and the remembered request keys; one command's whole effect is
//!   held at once, which is why a range delete is bounded too.
//!
//! What is missing: leases, nested transactions and compaction on request.

mod apply;
mod buffer;
mod digest;
mod error;
mod flush;
mod history;
mod layers;
mod meta;
mod read;
mod recent;
mod requests;
mod rows;
pub mod snapshot;
mod state;

pub use apply::{Applied, AppliedMembership, Change};
pub use error::{Fatal, ReadError};
pub use flush::{Frozen, Retired};
pub use history::Retention;
pub use read::ChangePage;
pub use state::{Options, State};
