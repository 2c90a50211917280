//! A client of Remex's native HTTP API.
//!
//! A [`Client`] knows one or more endpoints (any node answers every request), keeps connections
//! open, remembers the endpoint that worked last, and tries again where that is safe. Every
//! operation is a [`Call`]: built by an options type ([`Get`], [`Put`], [`Delete`],
//! [`DeletePrefix`], [`List`], [`Batch`]), sent by [`Client::send`], answered by an [`Answer`]
//! whose body is kept as it came. The methods of [`Client`] named after the operations do these
//! steps and return typed answers.
//!
//! The rule that everything here serves: **a write is sent a second time only if the first one
//! certainly was not applied** (nothing was sent, or the server said `outcome: not_applied`),
//! **or if it carries an idempotency key**, so that the server applies it once however often it
//! arrives. The client makes such a key for every write of data that it may have to repeat, anew
//! for each [`Client::send`], so that a node which stops or dies in the middle does not make the
//! write fail. In every other case the caller gets an [`Error`] whose [`Outcome`] is
//! [`Outcome::Unknown`], and decides. Reads have no effect and are repeated freely.
//!
//! ```no_run
//! # async fn example() -> Result<(), remex_client::Error> {
//! use remex_client::{Client, Put};
//!
//! let client = Client::connect("127.0.0.1:7480,127.0.0.1:7490")?;
//! let written = client.put("app/config", r#"{"replicas": 3}"#, &Put::new()).await?;
//! let entry = client.get("app/config").await?.expect("it was just written");
//! assert_eq!(entry.revision, written.revision);
//! // Compare and set: only if nobody else wrote in between.
//! let put = Put::new().if_revision(entry.revision);
//! client.put("app/config", r#"{"replicas": 5}"#, &put).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`tailfeather`] holds a small client of another API that Remex serves.
//!
//! What is missing: TLS, authentication, watches, leases, transactions. They come with the
//! server's side of them.

mod answer;
mod batch;
mod call;
mod client;
mod delete;
mod endpoint;
mod error;
mod get;
mod list;
mod members;
mod nodes;
mod pool;
mod put;
mod retry;
mod snapshot;
pub mod tailfeather;

pub use answer::Answer;
pub use batch::{Batch, BatchResult};
pub use call::Call;
pub use client::{Client, Options};
pub use delete::{Delete, DeletePrefix, Deleted};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Check, Code, Error, Outcome, Problem};
pub use get::{Consistency, Entry, Get};
pub use http::Method;
pub use list::{Item, Key, List, Page, Pages};
pub use members::{AddMember, ChangeMember, Leader, Members, Transfer};
pub use nodes::{Cluster, Disk, Member, Node, Quorum, Status, Version};
pub use put::{Put, PutResult};
pub use snapshot::{Saved, Snapshot};
