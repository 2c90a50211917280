//! The ordered store of bytes below the state machine.
//!
//! An [`Engine`] maps keys to values in byte order. It is written in one way only: as a *sorted
//! run* of puts and deletes ([`Engine::ingest`]) that becomes durable and visible as a whole or
//! not at all. So it needs no journal of its own: the replicated log is the journal, and the run
//! carries the index up to which the log is contained in it. Space is given back in one way only:
//! compaction asks the owner's [`DropFilter`] which rows nobody can read any more.
//!
//! Two engines: [`LsmEngine`] on disk and [`MemoryEngine`], its twin for tests and simulation,
//! whose [`MemoryEngine::image`] is what a disk would hold after a crash.
//!
//! Invariants:
//! - a run that was ingested survives any crash; a run that was not leaves nothing behind;
//! - a scan sees the runs that were there when it began, and no others;
//! - damage is an error ([`EngineError::Corrupt`]) that names the file, never a wrong or a missing
//!   row; [`Engine::scrub`] finds it before it is read;
//! - a full disk costs nothing but time: what failed leaves no files and can be tried again.
//!
//! This is the only crate that names the storage library, and it knows nothing of revisions. What
//! is missing: engine snapshots held open (each pins files; the state is copied by revision
//! instead), and a lock against a second process (the node locks its whole data directory).

mod engine;
mod error;
mod lsm;
mod memory;

pub use engine::{Direction, DropFilter, Engine, Row, RowSink, Rows, Scrub};
pub use error::EngineError;
pub use lsm::{LsmEngine, LsmOptions};
pub use memory::MemoryEngine;
