//! The API of `raft-example`, a minimal key/value store over HashiCorp's Raft library in one file
//! of Go: `/set`, `/get` and `/join`, by any method. `docs/dialects/raft-example.md` is the
//! reference.
//!
//! A string dialect: a value is stored as the text that was sent, and any other value is shown as
//! text. `/get` reads this node's own copy; `consistency=linearizable` asks for more, and `/del`
//! deletes: both are additions. What differs from the original, on purpose: any node takes a write
//! and a refused one is told before it reaches the log; only `/join` insists on the leader, with
//! the status 400 that the original meant to send.
//!
//! `/join` and `/set` work by GET, so that any page in a browser could send them: `layers::guard`
//! refuses what comes from strange pages.

mod convert;
mod error;
mod routes;
mod wire;

pub(crate) use routes::REGISTRATION;
