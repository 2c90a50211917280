//! Consensus as a value: events in, effects out.
//!
//! [`Core`] wraps the Raft library and everything that decides with it: elections with seeded
//! timeouts, replication, forwarding of proposals to the leader, linearizable reads, changes of
//! the membership, and which follower needs a snapshot. It has no
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
//! - Members come and go by joint consensus (Raft thesis §4.3), one change at a time, as entries of
//!   the log: see `core/membership.rs` for the argument why that is safe although a change takes
//!   effect only when it is applied. **It rests on the log keeping an [`Effect::Persist`] whole**:
//!   the hard state that comes with entries is there after a crash if the entries are.
//! - A node never goes by a disk that went back in time, as far as that can be noticed: by what
//!   the leader counts on it for, by what others have committed (`core/guard.rs`), and by what its
//!   peers remember of it ([`Marks`]).
//! - No protobuf is ever parsed: messages and entries have a codec of their own ([`Message`]).
//!   This is the only crate that names the Raft library.
//!
//! # What is missing
//!
//! The bytes of a snapshot: the core only says that one is needed, and goes on, as a new core, from
//! the one that was installed. And the memory of marks: the core fills them in while it leads;
//! keeping and spreading them is the node's.

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
