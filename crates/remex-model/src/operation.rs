//! Requests and responses, in neutral terms: what any surface can ask of the store.

use std::time::Instant;

use crate::{Command, Key, KeyRange, Outcome, Record, Revision};

/// One request with what the surface knows about it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks and until when.
    pub context: Context,
    /// What is asked.
    pub operation: Operation,
}

/// What accompanies every request.
#[derive(Clone, Debug)]
pub struct Context {
    /// After this moment the caller no longer waits: a write that was proposed by then has the
    /// outcome "unknown", anything else was not applied.
    pub deadline: Instant,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Read one key.
    Get(Get),
    /// Read a range of keys.
    List(List),
    /// Write.
    Write(Command),
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write that was acknowledged anywhere before the read began (the default).
    #[default]
    Linearizable,
    /// Whatever this node has: possibly old, never a mixture.
    Stale,
}

/// What every read can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// How fresh the answer must be.
    pub consistency: Consistency,
    /// Wait until this node has at least this revision.
    pub min_revision: Option<Revision>,
    /// Read the state as it was at this revision.
    pub at: Option<Revision>,
}

/// Reads one key.
#[derive(Clone, Debug)]
pub struct Get {
    /// The key.
    pub key: Key,
    /// Freshness.
    pub options: ReadOptions,
}

/// Reads a range of keys in order.
#[derive(Clone, Debug)]
pub struct List {
    /// The range.
    pub range: KeyRange,
    /// Only keys behind this one (before it, in descending order): where the last page ended.
    pub after: Option<Key>,
    /// At most this many keys; at least 1.
    pub limit: usize,
    /// Ascending or descending by key.
    pub order: Order,
    /// Leave the values out of the answer.
    pub keys_only: bool,
    /// Also count every key in the whole range, which costs a scan.
    pub count: bool,
    /// Freshness.
    pub options: ReadOptions,
}

/// Order of a listing, by key bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    #[default]
    Ascending,
    /// Largest key first.
    Descending,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Response {
    /// Answer to [`Operation::Get`].
    Get(GetResponse),
    /// Answer to [`Operation::List`].
    List(ListResponse),
    /// Answer to [`Operation::Write`].
    Write(Outcome),
}

/// Answer to a [`Get`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetResponse {
    /// The revision of the store that was read.
    pub revision: Revision,
    /// The record; `None` if the key does not exist at that revision.
    pub record: Option<Record>,
}

/// Answer to a [`List`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListResponse {
    /// The revision of the store that was read; ask for it again to go on consistently.
    pub revision: Revision,
    /// The keys with their records, in order. Values are empty if only keys were asked for.
    pub items: Vec<Item>,
    /// Whether more keys follow in the range.
    pub more: bool,
    /// Number of keys in the whole range, if it was asked for.
    pub count: Option<u64>,
}

/// One key of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Key,
    /// Its record.
    pub record: Record,
}
