//! Deterministic simulator: the shipped code, one seed, every fault.
//!
//! A run is a small cluster and some clients in one thread: one, three or five founders and up to
//! two machines more, of which nodes come and go. Each node is the shipped consensus core, the
//! shipped log on a simulated disk, the shipped state machine over the in-memory engine, and the
//! shipped snapshots. The network loses, doubles, reorders, delays and replays messages, is slow, and
//! is cut in one direction or both; nodes crash at any moment, in the middle of a write, of a
//! recovery, of a change of the membership, of fetching and installing a snapshot, and their disks
//! lose or tear what was not synced; syncs fail, disks become slow or full, are lost, put back from
//! an older copy, rot or put writes in the wrong place; processes stand still, clocks jump and go too
//! fast or too slow.
//!
//! # What holds
//!
//! - One seed decides everything: two runs of a seed have the same [`Report::trace_hash`].
//! - After every step the judge checks the invariants of Raft and of the product, one file each
//!   in `judge/`. It keeps its own account and never asks the code under test.
//! - At the end all faults stop; within a bound of virtual time every node must serve again and
//!   hold the same state, every disk that was lost be replaced, every change of the membership be
//!   over. Then the whole history of all clients is checked for linearizability.
//! - The simulator can fail: every planted bug ([`Plant`]) is found, and a test demands it.
//! - What is played here and not shipped is the node's part: `node/` does what the driver, the
//!   background threads, the handshake and the installation of snapshots do in the product, with a
//!   queue of happenings in place of threads, and `world/members.rs` what its steward does.
//!
//! # What is missing
//!
//! Two nodes that run at once from copies of one disk, founding a cluster, watches, and a leader
//! that refuses writes because a disk is full: a full disk ends a simulated node.

mod around;
mod campaign;
mod client;
mod coverage;
mod dice;
mod judge;
mod network;
mod node;
mod plant;
mod queue;
mod selves;
mod settings;
mod trace;
mod violation;
mod world;

pub use self::campaign::{Campaign, Summary};
pub use self::coverage::Coverage;
pub use self::plant::Plant;
pub use self::trace::Lines;
pub use self::violation::Violation;
pub use self::world::{Report, run, running_seed};
