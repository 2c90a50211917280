//! The Remex node, embeddable in a Rust program.
//!
//! [`Node::open`] recovers a data directory and starts the node; [`Node::service`] is the store
//! as surfaces see it, on whichever node of the cluster. The crate knows no HTTP, no command line
//! and no global state: any number of nodes live in one process.
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
pub use remex_model::{
    ClusterView, Effect, Error, ErrorCode, Key, Limits, MemberRole, MemberView, NodeId, NodeInfo,
    NodeRole, NodeStatus, Retry, Revision, Term, Value,
};
pub use store::{
    Batch, BatchReceipt, Builder, Change, Changed, Changes, Entry, Listing, Pages, Receipt, Status,
    Store, json,
};
