//! The dialect `tailfeather`: the API of TailFeather, a configuration store in C#, under
//! `/tailfeather/` on the client port beside the native API.
//!
//! - `routes`: paths and parameters. `query`: parameters as .NET binds them.
//! - `wire`: the shapes of bodies. `convert`: between them and the model. `error`: errors.
//! - `lenient`: JSON as Json.NET reads it, rewritten to strict JSON. `equal`: deep equality.
//! - `leading`: who leads, and where a request is sent that this node cannot answer.
//!
//! A JSON dialect: a value that is JSON is stored as JSON, verbatim if it is strict; a value that
//! is none is stored as a JSON string. Reads are of this node's own copy, unless `mode` asks for
//! more. Writes and changes of the cluster are for the leader: any other node redirects to it.
//!
//! Everything here is guarded (`layers::guard`): it writes by GET. Request lines that hold what no
//! URL may (`val={ 'a': 1 }`) never come this far as such: [`crate::unescaped`] has escaped them.
//!
//! What differs from the imitated system: a redirect keeps path and query, and that of a POST is a
//! 307, after which a client still posts; parameters that are not known are refused; errors are
//! strict JSON, `{"Error": …}`, and what may pass carries `Retry-After`.
//! `docs/dialects/tailfeather.md` lists all of it.

mod convert;
mod equal;
mod error;
mod leading;
mod lenient;
mod query;
mod routes;
mod wire;

pub(crate) use routes::REGISTRATION;
