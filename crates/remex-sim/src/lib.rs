//! Deterministic simulator: the shipped code, one seed, every fault.
//!
//! A run is a small cluster of one, three or five nodes and some clients in one thread. Each
//! node is the shipped consensus core, the shipped log on a simulated disk, and the shipped
//! state machine over the in-memory engine. The network loses, doubles, reorders, delays and
//! replays messages and is cut in one direction or both; nodes crash at any moment, in the middle
//! of a write and of a recovery, and their disks lose or tear what was not synced; syncs fail,
//! disks become slow or full, processes stand still, clocks jump.
//!
//! # What holds
//!
//! - One seed decides everything: two runs of a seed have the same [`Report::trace_hash`].
//! - After every step the judge checks the invariants of Raft and of the product, one file each
//!   in `judge/`. It keeps its own account and never asks the code under test.
//! - At the end all faults stop; within a bound of virtual time every node must serve again and
//!   hold the same state. Then the whole history of all clients is checked for linearizability.
//! - The simulator can fail: every planted bug ([`Plant`]) is found, and a test demands it.
//! - What is played here and not shipped is the driver's part: `node/` does what the driver of
//!   the node does, with a queue of happenings in place of threads.
//!
//! # What is missing
//!
//! Rot on disk, disks that are wiped or rolled back, watches; changes of membership and snapshots:
//! nobody asks for the first or fetches the second. Therefore logs are trimmed only up to what every
//! node has.

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
