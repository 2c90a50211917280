//! The HTTP surfaces of Remex: the native API under `/v1`, and beside it one folder for every
//! dialect that imitates another store.
//!
//! The idea: a surface translates. It decodes a request into the vocabulary of `remex-model`,
//! calls the port [`remex_model::Service`] (or asks [`remex_model::Admin`]), and encodes what
//! comes back. It decides nothing about data, and it sees neither consensus nor log nor state, so
//! that everything here can be tested against a fake `Service` in memory.
//!
//! ```text
//! serve ─► layers (request id, deadline, body bound, served-by, problem) ─► native ─► Service, Admin
//! ```
//!
//! Invariants:
//! - What every surface needs lives in `layers`; what one dialect alone means lives in its folder.
//!   Deleting the folder of a dialect, its `mod` line here and its line in `registry` leaves the
//!   workspace building.
//! - No body is read without a bound and a deadline.
//! - Every answer that is not 2xx or 3xx is `application/problem+json`, whoever made it, unless a
//!   dialect that imitates another store has spoken for itself (`layers::spoken`).
//! - Whether a failed write was applied is said by the `Service`; nothing here upgrades `unknown`
//!   to `not applied`.
//! - Bytes reach the HTTP library as they came in, but for request lines that begin in a way that a
//!   dialect has registered: those are escaped first (`unescaped`).
//! - Keys are taken from the raw path: dots, double slashes and percent signs are data.
//!
//! Not here yet: watches, transactions, leases, authentication, TLS, compression, the console.

mod connection;
mod dialect;
mod dispatch;
mod hraftd;
mod layers;
mod native;
mod raft;
mod raft_example;
mod raftexample;
mod registry;
mod server;
mod surface;
mod tailfeather;
mod traffic;
mod unescaped;

use std::sync::Arc;

use axum::Router;

pub use registry::Dialect;
pub use server::{Listener, serve};
pub use surface::{Guests, Logs, Neighbors, Options, Surface};

use surface::Shared;

/// All routes of the client port as one router, to be served by [`serve`] or mounted in a program of
/// one's own. The layers are part of it.
pub fn router(surface: Surface) -> Router {
    let shared = Arc::new(Shared::new(surface));
    layers::wrap(dispatch::routes(&shared, None), shared, dispatch::route_of)
}
