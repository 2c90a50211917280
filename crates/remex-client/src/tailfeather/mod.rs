//! A client of TailFeather's API, `/tailfeather/…`, which Remex serves beside its own.
//!
//! Made for programs that spoke to TailFeather through its own client: the same three operations,
//! and the same rules for finding the leader. New programs are better off with [`crate::Client`]:
//! any node answers it, and its writes are repeated safely.
//!
//! - `client`: the operations, retries and redirects.
//! - `flock`: what nodes say of their cluster, and whom to believe.
//!
//! The rules: all known nodes are asked for their flock, and the one with the highest
//! `CommitIndex` is believed. Requests go to the leader that it names, and wherever a redirect
//! sends them. One that fails is tried again up to three times, each time after asking for the
//! flock anew. Unlike that client, this one repeats a write only if it certainly was not applied.

mod client;
mod flock;

pub use client::TailFeatherClient;
