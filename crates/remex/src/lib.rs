//! The Remex node, embeddable in a Rust program: a replicated key/value store with a directory, one
//! port, and no server beside it.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! use remex::Store;
//!
//! let store = Store::builder(directory).name("n1").listen("127.0.0.1:0").open().await?;
//! store.put("greeting", "hello").await?;
//! let entry = store.get("greeting").await?.expect("it was just put");
//! assert_eq!(entry.text(), Some("hello"));
//!
//! // Only if nobody wrote it since; and typed, as JSON.
//! store.put_if_revision("greeting", "hi", entry.revision).await?;
//! store.put_json("limits", &[10, 20]).await?;
//! assert_eq!(store.get_json("limits").await?, Some([10, 20]));
//!
//! // Everything that is applied, in order, from the beginning or from any revision on.
//! let mut changes = store.changes(remex::Revision(0));
//! let first = changes.next().await.expect("the store is open")?;
//! assert_eq!(first.changes[0].key().as_text(), Some("greeting"));
//!
//! // Another node becomes a member, through any node of the cluster.
//! # let other_directory = tempfile::tempdir()?;
//! # let other_directory = other_directory.path();
//! let other = Store::builder(other_directory).name("n2").wait().open().await?;
//! store.join(other.peer_address().to_string()).await?;
//! assert_eq!(other.get("greeting").await?.expect("it is everywhere").text(), Some("hi"));
//!
//! other.close().await?;
//! store.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Store::builder`] names a directory, [`Builder::open`] starts a node in it, and the [`Store`] is
//! how the program speaks with it. Any node takes any request: what only the leader can do is
//! forwarded inside. `docs/embedding.md` is the manual.
//!
//! # Rules
//!
//! - A [`Store`] is a handle: cloning it is cheap, and all clones mean the same node. The node is
//!   stopped by the first [`Store::close`], for all of them; or, like a crash, when the last clone is
//!   dropped. Nothing that was acknowledged is lost either way.
//! - Every call ends: it has a deadline, set with [`Builder::timeout`] for all calls and with
//!   [`Store::within`] for some. Only [`Changes::next`] and [`Store::failed`] wait for as long as it
//!   takes.
//! - A write that fails says whether it may have been applied ([`Error::effect`]).
//! - Everything is per handle: no global state, no logger (events go to `tracing`, for whoever
//!   listens), no allocator, any number of nodes in one process. The crate knows no HTTP, no TLS and
//!   no command line.
//!
//! Whoever puts a surface of their own before the store (the server does) takes the [`Node`] itself
//! and its ports, [`Node::service`] and [`Node::admin`].
//!
//! # Threads
//!
//! The driver thread turns the consensus core and applies what is committed; a background thread
//! writes the state to disk and compacts it. Everything else — connections to peers, requests —
//! runs as tasks of the tokio runtime that [`Node::open`] was called in. Data moves one way:
//! door → inbox → driver → core → effects → log, peers, state → reply.

mod background;
mod board;
mod checkpoints;
mod cluster;
mod config;
mod directory;
mod door;
mod driver;
mod ending;
mod error;
mod flush;
mod folders;
mod forwarding;
mod generation;
mod house;
mod identity;
mod inbox;
mod log_writer;
mod members;
mod meters;
mod metrics;
mod node;
pub mod offline;
mod overview;
mod parts;
mod peer;
mod places;
mod random;
mod recollection;
mod repair;
mod running;
mod snapshots;
mod space;
mod store;
mod supervisor;

pub use config::Config;
pub use error::{Fatal, OpenError};
pub use node::Node;
pub use peer::port::PeerPort;
/// The whole vocabulary, for whoever puts a surface before [`Node::service`] and [`Node::admin`].
pub use remex_model as model;
pub use remex_model::{
    ClusterView, Effect, Error, ErrorCode, Key, Limits, MemberRole, MemberView, NodeId, NodeInfo,
    NodeRole, NodeStatus, Retry, Revision, Value,
};
pub use store::{
    Batch, BatchReceipt, Builder, Change, Changed, Changes, Entry, Listing, Pages, Receipt, Status,
    Store, json,
};

/// The programs in the manual compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct Manual;
