//! The state and what it says about itself.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remex_engine::{Direction, Engine};
use remex_model::{Index, Membership, Revision, Term};

use crate::buffer::Buffer;
use crate::error::Fatal;
use crate::history::Retention;
use crate::layers::Lower;
use crate::meta::Meta;
use crate::recent::Recent;
use crate::requests::Requests;
use crate::rows;

/// How the state uses memory and how far back it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Size of the write buffer, in bytes, at which [`State::should_flush`] asks for a flush. With
    /// a flush under way memory for two buffers is in use.
    pub buffer_bytes_max: usize,
    /// Most memory that newest records used lately take, in bytes. They save reads of the engine.
    pub recent_bytes_max: usize,
    /// How much of the past is kept. May differ between nodes.
    pub retention: Retention,
    /// Most request keys remembered. Decides outcomes: **must be the same on every node**, and so
    /// is not a setting of the program.
    pub request_keys_max: usize,
    /// Most bytes that remembered request keys take. **Must be the same on every node.**
    pub request_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            buffer_bytes_max: 32 << 20,
            recent_bytes_max: 48 << 20,
            retention: Retention::default(),
            request_keys_max: 65_536,
            request_bytes_max: 32 << 20,
        }
    }
}

/// What durable runs allow compaction to drop. Raised only after the run that says so is durable:
/// a node that falls back to the run before it must still find what that run could read.
#[derive(Debug)]
pub(crate) struct Droppable {
    floor: AtomicU64,
    first_request: AtomicU64,
}

impl Droppable {
    pub(crate) fn raise(&self, meta: &Meta) {
        self.floor.store(meta.history.floor().get(), Ordering::Release);
        self.first_request.store(meta.requests.0, Ordering::Release);
    }

    fn drops(&self, row: &[u8]) -> bool {
        let floor = Revision(self.floor.load(Ordering::Acquire));
        rows::is_behind(row, floor, self.first_request.load(Ordering::Acquire))
    }
}

/// The replicated state machine. See the crate.
pub struct State<E> {
    pub(crate) options: Options,
    /// Takes what is applied.
    pub(crate) active: Buffer,
    pub(crate) lower: Lower<E>,
    /// `requests` in it is kept only in [`State::requests`], and filled in when it is written.
    pub(crate) meta: Meta,
    pub(crate) requests: Requests,
    pub(crate) durable: Index,
    pub(crate) droppable: Arc<Droppable>,
    pub(crate) poisoned: bool,
}

impl<E: Engine> State<E> {
    /// Opens the state that the engine holds. The log must be applied from the entry behind
    /// [`State::applied`] on.
    ///
    /// An empty engine becomes that of a cluster `founded` with this membership: the state at
    /// index 1 and term 1, written to the engine at once. Without one it is fresh: nothing is
    /// applied and nobody is a member, so that only a snapshot can bring it into a cluster. If the
    /// engine holds anything, `founded` is not looked at.
    ///
    /// # Errors
    /// If the engine cannot be read or written, is damaged, or was written by a newer version.
    pub fn open(
        engine: Arc<E>,
        options: Options,
        founded: Option<Membership>,
    ) -> Result<Self, Fatal> {
        let meta = match (engine.get(&[rows::META])?, founded) {
            (Some(row), _) => Meta::decode(row)?,
            (None, Some(membership)) => {
                let (meta, mut row) = (Meta::founded(membership), Vec::new());
                meta.encode(&mut row);
                engine.ingest(&mut |sink| sink.put(&[rows::META], &row))?;
                meta
            }
            (None, None) => Meta::new(),
        };
        let requests = read_requests(&*engine, &options, meta.requests)?;
        let droppable =
            Arc::new(Droppable { floor: AtomicU64::new(0), first_request: AtomicU64::new(0) });
        droppable.raise(&meta);
        let filter = Arc::clone(&droppable);
        engine.set_drop_filter(Box::new(move |row, _| filter.drops(row)));
        let durable = meta.applied;
        Ok(Self {
            options,
            active: Buffer::default(),
            lower: Lower { engine, frozen: None, recent: Recent::new(options.recent_bytes_max) },
            meta,
            requests,
            durable,
            droppable,
            poisoned: false,
        })
    }

    /// The last entry that was applied; 0 before the first.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.meta.applied
    }

    /// The term of the last entry that was applied.
    #[must_use]
    pub fn applied_term(&self) -> Term {
        self.meta.term
    }

    /// The last entry whose effect is in the engine: the log must keep every entry behind it.
    #[must_use]
    pub fn durable(&self) -> Index {
        self.durable
    }

    /// Who belongs to the cluster, as of [`State::applied`].
    #[must_use]
    pub fn membership(&self) -> Arc<Membership> {
        Arc::clone(&self.meta.membership)
    }

    /// The store's revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.meta.revision
    }

    /// The oldest revision that can be read. The changes behind it can be followed; the change
    /// that made it may be gone.
    #[must_use]
    pub fn oldest_revision(&self) -> Revision {
        self.meta.history.floor()
    }

    /// Hash of everything that was applied: equal on all nodes at the same applied index.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.meta.digest.0
    }

    /// Memory that changes not yet in the engine hold, in bytes.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.active.bytes() + self.lower.frozen.as_ref().map_or(0, |frozen| frozen.bytes())
    }
}

impl<E> fmt::Debug for State<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("State")
            .field("applied", &self.meta.applied)
            .field("durable", &self.durable)
            .field("revision", &self.meta.revision)
            .field("buffered_keys", &self.active.chains.len())
            .finish_non_exhaustive()
    }
}

fn read_requests<E: Engine>(
    engine: &E,
    options: &Options,
    (first, next): (u64, u64),
) -> Result<Requests, Fatal> {
    let mut requests = Requests::new(options.request_keys_max, options.request_bytes_max, first);
    let start = rows::numbered_key(rows::REQUESTS, first);
    let end = rows::numbered_key(rows::REQUESTS, next);
    let bounds = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
    for row in engine.scan(bounds.0, bounds.1, Direction::Forward) {
        let (key, value) = row?;
        if rows::number(&key) != Some(requests.next()) {
            break;
        }
        requests.restore(value)?;
    }
    match requests.next() == next {
        true => Ok(requests),
        false => {
            let found = requests.next() - first;
            Err(Fatal::Missing { table: "requests", found, expected: next - first })
        }
    }
}
