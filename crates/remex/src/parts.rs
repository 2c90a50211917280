//! Opening and recovering the parts of a node: engine, state, log, consensus.
//!
//! The engine holds the state up to some entry; the log holds everything behind it. The core is
//! given those entries and applies them again as it learns that they are committed.

use std::sync::{Arc, Mutex, RwLock};

use remex_consensus::{Config as CoreConfig, Core, Start};
use remex_engine::{LsmEngine, LsmOptions};
use remex_log::{FileDisk, Log, Options as LogOptions, Owner};
use remex_model::{Index, NodeId, Term};
use remex_state::{Options as StateOptions, State};

use crate::cluster::Cluster;
use crate::directory::{Directory, holds_anything};
use crate::log_writer::{SharedLog, from_log, hard_state_from_log};
use crate::{Config, OpenError};

/// The state machine: applied by the driver, read by many.
pub(crate) type SharedState = Arc<RwLock<State<LsmEngine>>>;

/// Bytes of the log that are read at a time.
const READ_BYTES: usize = 8 * 1024 * 1024;

/// The recovered parts of a node.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) engine: Arc<LsmEngine>,
    pub(crate) state: SharedState,
    pub(crate) log: SharedLog,
    pub(crate) core: Core,
}

/// Opens and recovers everything in the data directory.
pub(crate) fn open(
    config: &Config,
    directory: &Directory,
    cluster: &Cluster,
    has_log: bool,
) -> Result<Parts, OpenError> {
    let session = cluster.session;
    let engine_path = directory.engine();
    directory.create(&engine_path)?;
    let engine = Arc::new(
        LsmEngine::open(&engine_path, LsmOptions::default())
            .map_err(|error| damaged("engine", &engine_path, &error))?,
    );
    let options = StateOptions { buffer_bytes_max: config.buffer_bytes, ..StateOptions::default() };
    let state = State::open(Arc::clone(&engine), options)
        .map_err(|error| damaged("engine", &engine_path, &error))?;
    if has_log && !holds_anything(&directory.log()) {
        let error = "it is gone, with votes and acknowledged writes in it";
        return Err(damaged("log", &directory.log(), error));
    }
    let log = open_log(config, directory, cluster, session)?;
    let start = start(&log, state.applied(), directory)?;
    let core = Core::new(core_config(config, cluster.me.id, cluster.voters(), session), start)
        .map_err(|error| damaged("log", &directory.log(), &error))?;
    tracing::info!(
        applied = %state.applied(), last = log.last_index(), revision = %state.revision(),
        "recovered"
    );
    Ok(Parts { engine, state: Arc::new(RwLock::new(state)), log: Arc::new(Mutex::new(log)), core })
}

fn open_log(
    config: &Config,
    directory: &Directory,
    cluster: &Cluster,
    seed: u64,
) -> Result<Log<FileDisk>, OpenError> {
    let path = directory.log();
    directory.create(&path)?;
    let disk = FileDisk::open(&path)
        .map_err(|source| OpenError::DataDir { path: path.clone(), source })?;
    let owner = Owner { cluster: cluster.id.get(), node: cluster.me.id.get() };
    let options =
        LogOptions { segment_bytes: config.segment_bytes, ..LogOptions::new(owner, seed) };
    let (log, recovered) =
        Log::open(disk, options).map_err(|error| damaged("log", &path, &error))?;
    if let Some(cut) = &recovered.cut {
        tracing::warn!(
            file = %cut.file, offset = cut.offset, reason = %cut.reason,
            "cut a torn end off the log; nothing in it was ever acknowledged"
        );
    }
    Ok(log)
}

/// What the core starts from.
fn start(log: &Log<FileDisk>, applied: Index, directory: &Directory) -> Result<Start, OpenError> {
    let (first, last) = (log.first_index(), log.last_index());
    let mut entries = Vec::new();
    let mut next = applied.get() + 1;
    if next < first {
        let error = format!("it begins at entry {first}, but the state needs entry {next}");
        return Err(damaged("log", &directory.log(), &error));
    }
    if last < applied.get() {
        let error = format!(
            "it ends at entry {last}, but entry {applied} was applied: synced data has been lost"
        );
        return Err(damaged("log", &directory.log(), &error));
    }
    while next <= last {
        let read = log
            .read(next, last + 1, READ_BYTES)
            .map_err(|error| damaged("log", &directory.log(), &error))?;
        for entry in read {
            next = entry.index + 1;
            entries.push(from_log(entry).map_err(|fatal| OpenError::Recovery(fatal.0))?);
        }
    }
    Ok(Start {
        hard_state: hard_state_from_log(log.hard_state()),
        applied,
        first_index: Index(first),
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

fn core_config(config: &Config, id: NodeId, voters: Vec<NodeId>, session: u64) -> CoreConfig {
    let tick_ms = tick_ms(config);
    let ticks = |ms: u64| usize::try_from(ms.div_ceil(tick_ms)).unwrap_or(usize::MAX).max(1);
    CoreConfig {
        election_ticks: ticks(config.election_timeout_ms),
        heartbeat_ticks: ticks(config.heartbeat_ms),
        ..CoreConfig::new(id, voters, session)
    }
}

/// Longest entry of the log in bytes: one request more than what closes a batch. The request's
/// own framing (kinds, lengths, leases) is at most 32 bytes an operation.
pub(crate) fn entry_bytes_max(config: &Config) -> u64 {
    let limits = &config.limits;
    let framing = 32 * limits.batch_writes_max + limits.request_key_bytes_max + 1024;
    let batch = CoreConfig::new(NodeId(1), Vec::new(), 0).entry_bytes_max;
    (batch + limits.request_bytes_max + framing) as u64
}

/// One tick of the core, in milliseconds: half a heartbeat.
pub(crate) fn tick_ms(config: &Config) -> u64 {
    (config.heartbeat_ms / 2).max(1)
}

fn damaged(
    what: &str,
    path: &std::path::Path,
    error: &(impl std::fmt::Display + ?Sized),
) -> OpenError {
    OpenError::Recovery(format!(
        "cannot recover the {what} in {}: {error}. Nothing was changed. Restore this directory \
         from a copy, or replace the node",
        path.display()
    ))
}
