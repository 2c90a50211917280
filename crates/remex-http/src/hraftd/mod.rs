//! The APIs of `hraftd`, the reference example of HashiCorp's Raft library, and of `huffleraft`,
//! the package that was made from it. `docs/dialects/hraftd.md` is the reference.
//!
//! - hraftd: `POST /key` with one or several pairs, `GET` and `DELETE /key/{key}`, `POST /join`,
//!   `GET /status`.
//! - huffleraft: `POST /{directory}/key`, `DELETE /{directory}/key/{key}`, `POST /{directory}/join`:
//!   the same paths behind the name of a directory, which is what tells the two apart. It never
//!   had a read on the wire.
//!
//! A string dialect: a value is stored as the text that was sent, and any other value is shown as
//! text. Reads are of this node's own copy, unless `consistency=linearizable` asks for more. What
//! differs from the originals, on purpose: any node takes a write, several pairs are written all
//! or none, and a failure says why.
//!
//! Beside the five files of a dialect, `joining` holds what `/join` decides.

mod convert;
mod error;
mod joining;
mod routes;
mod wire;

pub(crate) use routes::REGISTRATION;
