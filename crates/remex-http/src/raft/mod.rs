//! The dialect `raft`: the REST API of a small key/value store in Go, `POST /v1/data` and
//! `GET`, `DELETE /v1/data/{key}`, on the client port beside the native API.
//!
//! A string dialect: a value is stored as the text that was sent, and any other value is shown as
//! text. Reads are linearizable, as reads there go to the leader. Bodies are
//! `{"k": …, "v": …}`, names in any case, as Go reads them.
//!
//! What differs from the imitated store: a body without `k` or `v` is refused rather than read as
//! empty text; slashes belong to the key; an error says in a line of text what is wrong; and every
//! error that may pass carries `Retry-After`. `docs/dialects/raft.md` lists all of it.

mod convert;
mod error;
mod routes;
mod wire;

pub(crate) use routes::REGISTRATION;
