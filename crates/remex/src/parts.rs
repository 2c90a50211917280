//! Opening and recovering the parts of a node: engine, state, log, consensus.
//!
//! The engine holds the state up to some entry; the log holds everything behind it. The core is
//! given those entries and applies them again as it learns that they are committed. A snapshot that
//! waits to be installed takes the place of the engine first.

use std::sync::{Arc, Mutex, RwLock};

use remex_consensus::{Config as CoreConfig, Core, Start};
use remex_engine::{LsmEngine, LsmOptions};
use remex_log::{FileDisk, Log, LogError, Options as LogOptions, Owner, Position as LogPosition};
use remex_model::{ClusterId, Index, Member, Membership, NodeId, Term};
use remex_state::{Options as StateOptions, Retention, State};

use crate::directory::Directory;
use crate::ending::{Damage, Damaged};
use crate::folders::holds_anything;
use crate::log_writer::{SharedLog, from_log, hard_state_from_log};
use crate::peer::hello::Position;
use crate::snapshots::{Shelf, install};
use crate::space::Capacity;
use crate::{Config, OpenError};

/// The state machine: applied by the driver, read by many.
pub(crate) type SharedState = Arc<RwLock<State<LsmEngine>>>;

/// Bytes of the log that are read at a time.
const READ_BYTES: usize = 8 * 1024 * 1024;

/// The smallest write buffer that is worth writing as a run of its own, in bytes.
const BUFFER_BYTES_MIN: u64 = 1024 * 1024;

/// The recovered parts of a node.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) engine: Arc<LsmEngine>,
    pub(crate) state: SharedState,
    pub(crate) log: SharedLog,
    pub(crate) core: Core,
    /// Where the log ended when it was opened: what this node can still know of its promises.
    pub(crate) position: Position,
    pub(crate) sizes: Sizes,
    /// Whether a snapshot was installed.
    pub(crate) installed: bool,
}

/// Why the parts could not be opened.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// For good.
    Error(OpenError),
    /// The disk has lost something that other members may have.
    Damaged(Damage),
    /// The node is no member any more.
    Removed,
}

impl From<OpenError> for Unopened {
    fn from(error: OpenError) -> Self {
        Self::Error(error)
    }
}

/// Sizes that suit the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// One segment of the log, in bytes.
    pub(crate) segment_bytes: u64,
    /// One write buffer of the state, in bytes.
    pub(crate) buffer_bytes: usize,
    /// What is kept of the log for members that are behind, in bytes.
    pub(crate) log_keep_bytes: u64,
    /// Bytes of records of the past.
    pub(crate) history_bytes: u64,
    /// One table that compaction writes: its step takes room for some of them.
    pub(crate) table_bytes: u64,
}

impl Sizes {
    /// What is configured, or less on a small disk.
    pub(crate) fn of(config: &Config, directory: &Directory) -> Result<Self, OpenError> {
        let [log, engine] = directory
            .disks()
            .map(|path| Capacity::of(&path).map_err(|source| OpenError::DataDir { path, source }));
        let (log, engine) = (log?, engine?);
        let segment_bytes = log.scale(config.segment_bytes, segment_bytes_min(config));
        let buffer_bytes = engine.scale(config.buffer_bytes as u64, BUFFER_BYTES_MIN);
        let buffer_bytes = usize::try_from(buffer_bytes).unwrap_or(config.buffer_bytes);
        let log_keep_bytes = log.scale(config.log_keep_bytes, 0);
        let history_bytes = engine.history(config.history_bytes);
        let table_bytes = engine.scale(LsmOptions::default().table_bytes, BUFFER_BYTES_MIN);
        Ok(Self { segment_bytes, buffer_bytes, log_keep_bytes, history_bytes, table_bytes })
    }
}

/// Whose parts are opened.
#[derive(Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) config: &'a Config,
    pub(crate) directory: &'a Directory,
    pub(crate) cluster: ClusterId,
    pub(crate) me: NodeId,
    /// The members that the cluster was founded with, if this node was one of them.
    pub(crate) founders: &'a [Member],
    /// Whether this node has had a log before.
    pub(crate) has_log: bool,
    pub(crate) session: u64,
}

/// Opens and recovers everything in the data directory.
pub(crate) fn open(whose: &Whose<'_>, shelf: &Shelf) -> Result<Parts, Unopened> {
    let Whose { config, directory, .. } = *whose;
    if !whose.has_log {
        // Of an earlier self, or of a first start that was cut short: nothing was promised with it.
        directory.put_aside()?;
    }
    let sizes = Sizes::of(config, directory)?;
    let installed = install(directory, shelf, whose.cluster)?.is_some();
    let (engine, state) = open_state(whose, sizes)?;
    if whose.has_log && !holds_anything(&directory.log()) {
        let path = directory.log();
        let detail =
            format!("the log {} is gone, with votes and acknowledged writes in it", path.display());
        return Err(Unopened::Damaged(Damage { part: Damaged::Log, detail }));
    }
    let mut log = open_log(whose, sizes)?;
    connect(&mut log, &state, whose, installed)?;
    if shelf.pending().is_some() {
        let at = |source| OpenError::DataDir { path: directory.snapshots(), source };
        shelf.discard_pending().map_err(at)?;
    }
    let start = start(&log, &state)?;
    let term = start.hard_state.term;
    let position = Position { term, last_index: Index(log.last_index()) };
    let core = Core::new(core_config(config, whose.me, whose.session), start).map_err(|error| {
        Unopened::Damaged(Damage { part: Damaged::Log, detail: error.to_string() })
    })?;
    tracing::info!(
        applied = %state.applied(), last = log.last_index(), revision = %state.revision(),
        "recovered"
    );
    let (state, log) = (Arc::new(RwLock::new(state)), Arc::new(Mutex::new(log)));
    Ok(Parts { engine, state, log, core, position, sizes, installed })
}

fn open_state(
    whose: &Whose<'_>,
    sizes: Sizes,
) -> Result<(Arc<LsmEngine>, State<LsmEngine>), Unopened> {
    let path = whose.directory.engine();
    whose.directory.create(&path)?;
    let failed = |error: &remex_state::Fatal| {
        let detail = format!("the engine in {}: {error}", path.display());
        if error.is_damage() {
            return Unopened::Damaged(Damage { part: Damaged::Engine, detail });
        }
        if error.is_full() {
            return Unopened::Error(no_room(&detail));
        }
        Unopened::Error(unrecovered(&detail))
    };
    let options = LsmOptions { table_bytes: sizes.table_bytes, ..LsmOptions::default() };
    let engine = LsmEngine::open(&path, options)
        .map_err(|error| failed(&remex_state::Fatal::from(error)))?;
    let engine = Arc::new(engine);
    let retention = Retention {
        history_bytes_max: sizes.history_bytes,
        history_age_ms: whose.config.history_age_ms,
    };
    let options =
        StateOptions { buffer_bytes_max: sizes.buffer_bytes, retention, ..StateOptions::default() };
    let founded =
        (!whose.founders.is_empty()).then(|| Membership::founded(whose.founders.iter().cloned()));
    let state =
        State::open(Arc::clone(&engine), options, founded).map_err(|error| failed(&error))?;
    Ok((engine, state))
}

/// Options of the log of a node in a cluster.
pub(crate) fn log_options(
    cluster: ClusterId,
    node: NodeId,
    segment_bytes: u64,
    seed: u64,
) -> LogOptions {
    let owner = Owner { cluster: cluster.get(), node: node.get() };
    LogOptions { segment_bytes, ..LogOptions::new(owner, seed) }
}

fn open_log(whose: &Whose<'_>, sizes: Sizes) -> Result<Log<FileDisk>, Unopened> {
    let path = whose.directory.log();
    whose.directory.create(&path)?;
    let disk = FileDisk::open(&path)
        .map_err(|source| OpenError::DataDir { path: path.clone(), source })?;
    let options = log_options(whose.cluster, whose.me, sizes.segment_bytes, whose.session);
    let (log, recovered) = Log::open(disk, options).map_err(|error| {
        let detail = format!("the log in {}: {error}", path.display());
        match error.is_damage() {
            true => Unopened::Damaged(Damage { part: Damaged::Log, detail }),
            false => Unopened::Error(unrecovered(&detail)),
        }
    })?;
    if let Some(cut) = &recovered.cut {
        tracing::warn!(
            file = %cut.file, offset = cut.offset, reason = %cut.reason,
            "cut a torn end off the log; nothing in it was ever acknowledged"
        );
    }
    Ok(log)
}

/// Makes sure that the log goes on where the state ends. A log that is new, or that does not reach
/// a snapshot that was just installed, begins behind it; any other gap is damage.
fn connect(
    log: &mut Log<FileDisk>,
    state: &State<LsmEngine>,
    whose: &Whose<'_>,
    installed: bool,
) -> Result<(), Unopened> {
    let (applied, term) = (state.applied(), state.applied_term());
    if log.term(applied.get()) == Some(term.get()) {
        return Ok(());
    }
    if !whose.has_log || installed {
        return begin_behind(log, applied, term).map_err(|error| {
            let path = whose.directory.log();
            unrecovered(&format!("the log in {}: {error}", path.display())).into()
        });
    }
    let (first, last) = (log.first_index(), log.last_index());
    let path = whose.directory.log();
    let path = path.display();
    let (part, detail) = if applied.get() + 1 < first {
        let text =
            format!("the log in {path} begins at entry {first}, but the state ends at {applied}");
        (Damaged::Engine, text)
    } else {
        let text = format!(
            "the log in {path} ends at entry {last}, but entry {applied} of term {term} was applied: \
             synced data has been lost"
        );
        (Damaged::Log, text)
    };
    Err(Unopened::Damaged(Damage { part, detail }))
}

/// Empties a log: the effect of everything up to `applied` is durable elsewhere. Votes stay.
pub(crate) fn begin_behind(
    log: &mut Log<FileDisk>,
    applied: Index,
    term: Term,
) -> Result<(), LogError> {
    let known = log.hard_state();
    let mut hard_state = remex_log::HardState { commit: applied.get(), ..known };
    if term.get() > known.term {
        (hard_state.term, hard_state.vote) = (term.get(), 0);
    }
    log.start_after(Some(hard_state), LogPosition { index: applied.get(), term: term.get() })?;
    log.sync()
}

/// What the core starts from.
fn start(log: &Log<FileDisk>, state: &State<LsmEngine>) -> Result<Start, Unopened> {
    let applied = state.applied();
    let last = log.last_index();
    let mut entries = Vec::new();
    let mut next = applied.get() + 1;
    while next <= last {
        let read = log.read(next, last + 1, READ_BYTES).map_err(|error| {
            let detail = format!("the log cannot be read: {error}");
            match error.is_damage() {
                true => Unopened::Damaged(Damage { part: Damaged::Log, detail }),
                false => Unopened::Error(unrecovered(&detail)),
            }
        })?;
        for entry in read {
            next = entry.index + 1;
            let entry = from_log(entry);
            entries.push(entry.map_err(|fatal| OpenError::Recovery(fatal.to_string()))?);
        }
    }
    Ok(Start {
        hard_state: hard_state_from_log(log.hard_state()),
        membership: (*state.membership()).clone(),
        applied,
        first_index: Index(log.first_index()),
        terms: runs_of_terms(log),
        entries,
    })
}

/// First index and term of every run of entries with one term, from the entry before the first
/// on. Terms never fall along the log, so each run's end is found by halving.
fn runs_of_terms(log: &Log<FileDisk>) -> Vec<(Index, Term)> {
    let term = |index: u64| log.term(index).unwrap_or_default();
    let last = log.last_index();
    let mut next = log.first_index() - 1;
    if next == 0 {
        next = 1;
    }
    let mut runs = Vec::new();
    while next <= last {
        let current = term(next);
        runs.push((Index(next), Term(current)));
        let (mut inside, mut behind) = (next, last + 1);
        while behind - inside > 1 {
            let middle = inside + (behind - inside) / 2;
            if term(middle) == current { inside = middle } else { behind = middle }
        }
        next = behind;
    }
    runs
}

fn core_config(config: &Config, id: NodeId, session: u64) -> CoreConfig {
    let tick_ms = tick_ms(config);
    let ticks = |ms: u64| usize::try_from(ms.div_ceil(tick_ms)).unwrap_or(usize::MAX).max(1);
    CoreConfig {
        election_ticks: ticks(config.election_timeout_ms),
        heartbeat_ticks: ticks(config.heartbeat_ms),
        ..CoreConfig::new(id, session)
    }
}

/// Longest entry of the log in bytes: one request more than what closes a batch. The request's
/// own framing (kinds, lengths, leases) is at most 32 bytes an operation.
pub(crate) fn entry_bytes_max(config: &Config) -> u64 {
    let limits = &config.limits;
    let framing = 32 * limits.batch_writes_max + limits.request_key_bytes_max + 1024;
    let batch = CoreConfig::new(NodeId(1), 0).entry_bytes_max;
    (batch + limits.request_bytes_max + framing) as u64
}

/// The smallest segment that holds the longest entry.
fn segment_bytes_min(config: &Config) -> u64 {
    let mut bytes = 1024 * 1024;
    while segment_room(bytes) < entry_bytes_max(config) {
        bytes *= 2;
    }
    bytes.min(config.segment_bytes)
}

/// The longest entry that fits into a segment.
pub(crate) fn segment_room(segment_bytes: u64) -> u64 {
    LogOptions { segment_bytes, ..LogOptions::new(Owner::default(), 0) }.entry_bytes_max()
}

/// One tick of the core, in milliseconds: half a heartbeat.
pub(crate) fn tick_ms(config: &Config) -> u64 {
    (config.heartbeat_ms / 2).max(1)
}

/// The end of a start for which the disk has no room.
fn no_room(detail: &str) -> OpenError {
    OpenError::Recovery(format!(
        "cannot open {detail}. The disk is full, the data is as it was: make room and start again"
    ))
}

/// The end of a start that the data does not allow and that no other member can help with.
pub(crate) fn unrecovered(detail: &str) -> OpenError {
    OpenError::Recovery(format!(
        "cannot recover {detail}. Nothing was changed. Restore the data directory from a backup \
         (remex snapshot restore), or replace the node"
    ))
}
