//! What tests of Remex share: a judge of histories and a harness for real processes.
//!
//! - [`linearizability`] decides whether what clients saw can be explained by one copy of the
//!   data ([`linearizability::check`]), and whether the server's revisions are the witness of
//!   such an order ([`linearizability::check_revisions`]). It knows nothing of where a history
//!   comes from: the simulator stamps events with virtual time, the harness with nanoseconds.
//! - [`history`] records events from many threads and keeps them as NDJSON in a failure bundle.
//! - [`cluster`] starts, kills, pauses and restarts real `remex` processes on this machine.
//! - [`http`] is a client that makes exactly one attempt per request, so that one attempt is one
//!   event; [`recorded`] puts, gets, deletes and compares through it and records what it saw.
//!
//! Invariants: nothing here retries a write; an answer that was lost is recorded as unknown, and
//! never as failed; a child process never outlives the value that started it.
//!
//! This crate knows no other crate of ours: it judges the product from outside, through its
//! command line and its HTTP API, so it cannot share the product's mistakes. Missing: histories
//! of ranges, leases and watches.

pub mod cluster;
pub mod history;
pub mod http;
pub mod linearizability;
pub mod recorded;
