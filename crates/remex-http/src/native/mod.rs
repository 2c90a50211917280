//! The native API: `/v1`, and the root paths `/livez`, `/readyz`, `/metrics` and `/version`.
//!
//! A request to a key is answered with the bare value; what is known about it stands in headers,
//! or in JSON round it with `?meta`. Everything else speaks JSON. `docs/http-api.md` is the
//! reference.
//!
//! - `routes`: paths, methods and the decoding of one request each.
//! - `wire`: the shapes of bodies, the only types here that derive serialization.
//! - `convert`: between wire and model, pure and total.
//! - `error`: error codes and their statuses.
//! - `membership`: what a request says about members. `exposition`: metrics as text.
//!   `snapshot`: a blocking reader as the body of an answer.
//! - `query`, `path`, `precondition`, `media`, `cursor`: parts of a request.
//! - `reply`: parts of an answer.
//!
//! Not here yet: `PATCH`, history, transactions, watch, leases, locks, backups.

mod convert;
mod cursor;
mod error;
mod exposition;
mod media;
mod membership;
mod path;
mod precondition;
mod query;
mod reply;
mod routes;
mod snapshot;
mod wire;

pub(crate) use path::{is_key, route_of};
pub(crate) use routes::{answer_key, register};
