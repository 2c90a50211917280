//! The write-ahead log of one node: entries and hard state, durable before anybody is answered.
//!
//! # The idea
//!
//! A [`Log`] is a chain of *segments*, files of one size whose blocks exist before they are used:
//! filled with zeros ahead of time, or left over from a segment that was released. Everything that
//! one [`Log::append`] is given becomes one *group*, one write at the end of the last segment,
//! padded to 4 KiB; [`Log::sync`] makes it durable. Overwriting blocks that exist spares the file
//! system its metadata, so a sync costs what the disk costs. Nothing is ever written twice at
//! the same place of a segment, and nothing is cut off: entries that a new leader replaces are
//! made void by a record.
//!
//! The log gives no meaning to what it stores. It knows no Raft, no clock, no threads, and no
//! files but through [`Disk`]; [`FileDisk`] is a directory, [`memory_disk::MemoryDisk`] one that
//! tears, loses and rots on demand, for tests and the simulator.
//!
//! # What holds
//!
//! - What was synced is there after any crash, whole and in order, and is never served changed.
//! - What was not synced is there as a prefix, or not at all.
//! - A damaged end of the log is cut only if nothing proves that it was once synced; the cut is
//!   reported in [`Recovered::cut`]. Proof is: a later group or header that says so. Anything else
//!   that is damaged is [`OpenError::Corrupt`], and nothing is changed on the disk.
//! - After a failed write or sync the log is poisoned and the process ends. The page cache may lie
//!   from then on, so [`Log::open`] writes the tail that is not proven to be durable again, into a
//!   new segment, and syncs it before it returns.
//! - A segment has its name only when it is whole; so a crash at any point, in recovery too,
//!   leaves a directory that opens.
//! - A full disk stops appends ([`LogError::Full`]) and nothing else: nothing has changed then, and
//!   the same call succeeds when there is space. What exists can be overwritten, so a node keeps
//!   [`Log::room_bytes`] for votes by refusing writes early.
//! - Slow work is done outside of the log: a [`SpareJob`] makes a file, a [`TrimJob`] takes one
//!   out, while a lock that the caller may hold around the log is free.
//!
//! # The one thing that cannot be known
//!
//! Damage in the very last group looks like a write that was torn: it is cut, although it may have
//! been synced. [`Log::mark_synced`] closes the window when the node is idle or stops. Against the
//! rest there are the other nodes: consensus keeps a group on a majority of them.
//!
//! # Where to read
//!
//! `docs/data-format.md` and `format` for the bytes; `append` for the write path; `trim` for the way
//! out; `recover` for what happens at the start, in three steps (`chain`, `replay`, `rewrite`);
//! `contents` for what is kept in memory: per group an index and a place, per term one number.
//!
//! # What is missing
//!
//! Repair of a single damaged place: [`OpenError::is_damage`] and [`LogError::is_damage`] say that a
//! log is beyond use, and the node gets everything anew from its peers. `O_DIRECT`. One thread
//! appends, syncs and reads; there is no reader beside a sync.

mod append;
mod contents;
mod disk;
mod error;
mod file_disk;
mod format;
mod log;
pub mod memory_disk;
mod options;
mod position;
mod read;
mod recover;
mod segment;
mod spare;
mod split_mix;
mod trim;

pub use disk::{Disk, DiskFile};
pub use error::{Corruption, IoFailure, LogError, OpenError};
pub use file_disk::FileDisk;
pub use log::Log;
pub use options::{Options, Owner};
pub use position::{HardState, LogEntry, Position};
pub use recover::{Cut, Recovered};
pub use spare::{Spare, SpareJob};
pub use trim::{Released, TrimJob, Trimmed};
