//! The API of `raftexample`, the example that comes with etcd's Raft library: the whole request
//! target is the key. `docs/dialects/raftexample.md` is the reference.
//!
//! - `PUT /any?thing` stores the body under `/any?thing`; `GET` gives it back from this node's own
//!   copy.
//! - `POST /4` with a peer's URL as its body adds node 4, which may not run yet; `DELETE /4` removes
//!   that node. No key is ever deleted, so this dialect is served only on listeners of its own,
//!   where nobody takes `DELETE` for anything else.
//!
//! Node numbers are names of members. What differs from the original, on purpose: a write is
//! answered once it is committed, a change of the membership once it is decided, and a failure is
//! told.

mod convert;
mod error;
mod routes;
mod wire;

pub(crate) use routes::REGISTRATION;
