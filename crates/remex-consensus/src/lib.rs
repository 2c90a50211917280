//! Consensus as a value: events in, effects out.
//!
//! [`Core`] wraps the Raft library and everything that decides with it: elections with seeded
//! timeouts, replication, forwarding of proposals to the leader, linearizable reads. It has no
//! clock, disk, socket, thread or entropy of its own: time comes as [`Event::Tick`], durability
//! as [`Event::Persisted`], and what should happen goes out as [`Effect`]s, **to be carried out
//! in order**. The shipped node and the simulator run this same code.
//!
//! # What holds
//!
//! - A follower's votes and acknowledgements leave only after what they promise was synced: they
//!   are held until the `Persisted` event of their write. The leader's messages leave before its
//!   own write, which runs in parallel with the followers' (Raft thesis §10.2.1).
//! - A proposal is answered by whoever made it, when it applies the entry: see `proposals.rs` for
//!   how a lost proposal is told from one that is only late, so that it can be proposed again
//!   without ever being applied twice.
//! - Reads never rely on a clock: the leader confirms itself with one round of heartbeats for
//!   all reads that wait (Raft §8), see `reads.rs`.
//! - No protobuf is ever parsed: messages and entries have a codec of their own ([`Message`]).
//!   This is the only crate that names the Raft library.
//!
//! # What is missing
//!
//! Membership is fixed when the core starts; a follower that is behind the first entry of the
//! log cannot be helped with a snapshot yet.

mod conf;
mod config;
mod contact;
mod core;
mod entry;
mod event;
mod intake;
mod marks;
mod message;
mod proposals;
mod reads;
mod tail;
mod timeout;
mod wire;

pub use self::config::{Config, Start, StartError};
pub use self::core::Core;
pub use self::entry::{Entry, EntryKind, HardState};
pub use self::event::{ChangeRefusal, Effect, Event, FetchId, Leadership, Progress, Role};
pub use self::marks::{Mark, Marks, RolledBack};
pub use self::message::{Message, Promise, RaftMessage};
