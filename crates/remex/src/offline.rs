//! Work on data directories that no node runs in: checking a snapshot's file, founding a cluster from
//! one, and founding one from what is left of a cluster that has lost its majority.
//!
//! What makes a directory that of another cluster or of none is its identity file: it is written
//! last, and removed first. A crash in between leaves a directory that says so.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use remex_engine::{LsmEngine, LsmOptions};
use remex_log::{FileDisk, Log};
use remex_model::{ClusterId, Incarnation, Index, Member, Membership, NodeId, Revision, Term};
pub use remex_state::snapshot::{SnapshotError, Summary};
use remex_state::{Options, State};

use crate::directory::{Directory, read_identity};
use crate::folders::holds_files;
use crate::identity::{Identity, Phase};
use crate::log_writer::from_log;
use crate::snapshots::Shelf;
use crate::{Config, OpenError, parts, random, snapshots};

/// Name of the snapshot that a recovery leaves in the data directory.
const BEFORE: &str = "before-recovery.snapshot";

/// What the identity is called while a recovery is under way.
const RECOVERING: &str = "identity.recovering";

/// Bytes of the log that are read at a time.
const READ_BYTES: usize = 8 * 1024 * 1024;

/// Whether the node of a data directory belongs to a cluster already, so that it needs no `join`.
/// False if there is no such directory, or it cannot be read: opening it says why.
#[must_use]
pub fn is_member(data_dir: &Path) -> bool {
    let identity = read_identity(&data_dir.join("identity"));
    matches!(identity, Ok(Some(Identity { phase: Phase::Member { .. }, .. })))
}

/// Checks a snapshot's file from its first byte to its last.
///
/// # Errors
/// If it cannot be read, is damaged, or is not whole; with the place.
pub fn verify(path: &Path) -> Result<Summary, SnapshotError> {
    snapshots::verify_file(path)
}

/// A cluster of one node that was founded from a snapshot or from a survivor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// The new cluster.
    pub cluster: ClusterId,
    /// Its only member.
    pub node: NodeId,
    /// The member's name.
    pub name: String,
    /// The store's revision.
    pub revision: Revision,
    /// The last entry whose effect it holds.
    pub index: Index,
}

/// Founds a new cluster of one node, with a new cluster id, from a snapshot. Other nodes join it.
///
/// # Errors
/// If the snapshot is not good, or the directory holds anything; a `lost+found` is nothing.
pub fn restore(
    snapshot: &Path,
    data_dir: &Path,
    name: Option<String>,
) -> Result<Founded, OpenError> {
    let unusable = |error: SnapshotError| {
        OpenError::Recovery(format!(
            "cannot restore {}: {error}. Check it with: remex snapshot verify {}",
            snapshot.display(),
            snapshot.display()
        ))
    };
    // Whole and good, before anything is made of it.
    verify(snapshot).map_err(unusable)?;
    if holds_files(data_dir) {
        return Err(OpenError::Identity(format!(
            "the directory {} is not empty: a snapshot is restored into an empty one, so that \
             nothing is lost; choose another --data-dir",
            data_dir.display()
        )));
    }
    let directory = Directory::open(data_dir)?;
    found(&directory, snapshot, name.unwrap_or_else(crate::node::default_name)).map_err(|error| {
        match error {
            Failed::Open(error) => error,
            Failed::Snapshot(error) => unusable(error),
        }
    })
}

enum Failed {
    Open(OpenError),
    Snapshot(SnapshotError),
}

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<SnapshotError> for Failed {
    fn from(error: SnapshotError) -> Self {
        Self::Snapshot(error)
    }
}

/// Founds a cluster of one node in a directory without identity.
fn found(directory: &Directory, snapshot: &Path, name: String) -> Result<Founded, Failed> {
    let cluster = ClusterId(random::identity()?);
    let member = Member {
        id: NodeId(random::identity()?),
        incarnation: Incarnation(random::identity()?),
        name: name.clone(),
        // Written anew when the node starts: only then is it known where it listens.
        peer_address: String::new(),
        client_url: String::new(),
        promote: true,
    };
    let reader = snapshots::open(snapshot)?;
    let membership = Membership::founded([member.clone()]);
    snapshots::replace_engine(directory, reader, Some(membership))?;
    let path = directory.engine();
    let engine = LsmEngine::open(&path, LsmOptions::default())
        .map_err(|error| SnapshotError::State(error.into()))?;
    let state =
        State::open(engine.into(), Options::default(), None).map_err(SnapshotError::State)?;
    let (index, term, revision) = (state.applied(), state.applied_term(), state.revision());
    begin_log(directory, cluster, member.id, index, term)?;
    let identity = Identity {
        id: member.id,
        incarnation: member.incarnation,
        name: name.clone(),
        has_log: true,
        phase: Phase::Member { cluster, founders: Vec::new() },
    };
    directory.write_identity(&identity)?;
    Ok(Founded { cluster, node: member.id, name, revision, index })
}

/// A log of nothing but the position that the state has.
fn begin_log(
    directory: &Directory,
    cluster: ClusterId,
    node: NodeId,
    index: Index,
    term: Term,
) -> Result<(), OpenError> {
    let path = directory.log();
    directory.create(&path)?;
    let at = |source| OpenError::DataDir { path: path.clone(), source };
    let disk = FileDisk::open(&path).map_err(at)?;
    let segment_bytes = Config::new(directory.path()).segment_bytes;
    let options = parts::log_options(cluster, node, segment_bytes, random::identity()?);
    let failed = |error: &dyn std::fmt::Display| {
        OpenError::Recovery(format!("cannot make the log in {}: {error}", path.display()))
    };
    let (mut log, _) = Log::open(disk, options).map_err(|error| failed(&error))?;
    parts::begin_behind(&mut log, index, term).map_err(|error| failed(&error))
}

/// What a survivor of a lost majority holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Its name.
    pub name: String,
    /// Its id.
    pub node: NodeId,
    /// The cluster that has lost its majority.
    pub cluster: ClusterId,
    /// Names of the other members, as the survivor last knew them.
    pub others: Vec<String>,
    /// The newest term that it knows.
    pub term: Term,
    /// Last entry that it knows to be committed. Acknowledged writes behind its log may exist on
    /// members that are lost.
    pub commit: Index,
    /// Last entry of its log. Entries behind `commit` may never have been acknowledged; a recovery
    /// keeps them, because they may have been.
    pub last: Index,
    /// The store's revision with all of them applied.
    pub revision: Revision,
}

/// Looks at a survivor's data directory without changing it, but for what any start would. `None` if
/// a recovery of it was cut short.
///
/// # Errors
/// If it is in use, damaged, or of no cluster.
pub fn inspect(data_dir: &Path) -> Result<Option<Survivor>, OpenError> {
    if data_dir.join(RECOVERING).exists() {
        return Ok(None);
    }
    let directory = open_existing(data_dir)?;
    let identity = directory.read_identity()?;
    replay(&directory, identity).map(|(survivor, _)| Some(survivor))
}

/// Makes a cluster of one node, with a new cluster id, out of a survivor's data directory. The log
/// of the survivor is applied to its end. What it held before stays in the directory `set-aside`.
///
/// A recovery that was cut short is finished by doing it again; no node starts from it meanwhile.
///
/// # Errors
/// If the directory is in use, damaged, or of no cluster.
pub fn recover(data_dir: &Path) -> Result<Founded, OpenError> {
    let failed = |error: &dyn std::fmt::Display| {
        OpenError::Recovery(format!(
            "cannot recover {}: {error}. Nothing is lost; try again",
            data_dir.display()
        ))
    };
    let (identity, recovering) = (data_dir.join("identity"), data_dir.join(RECOVERING));
    let directory = if recovering.exists() {
        Directory::open(data_dir)?
    } else {
        let directory = open_existing(data_dir)?;
        replay(&directory, directory.read_identity()?)?;
        // From here on the old cluster has lost this member: its state will hold what may not have
        // been committed.
        fs::rename(&identity, &recovering).map_err(|error| failed(&error))?;
        directory
    };
    let Some(survivor) = read_identity(&recovering)? else {
        return Err(failed(&"its identity is gone"));
    };
    let (name, snapshot) = (survivor.name.clone(), data_dir.join(BEFORE));
    if !snapshot.exists() {
        export_survivor(&directory, survivor, &snapshot)?;
    }
    directory.put_aside_once()?;
    let founded = found(&directory, &snapshot, name).map_err(|error| match error {
        Failed::Open(error) => error,
        Failed::Snapshot(error) => failed(&error),
    })?;
    // They hold nothing that the new cluster does not.
    Shelf::open(directory.snapshots())?.discard_pending().map_err(|error| failed(&error))?;
    for path in [snapshot, recovering, data_dir.join("members")] {
        remove_if_there(&path).map_err(|error| failed(&error))?;
    }
    Ok(founded)
}

/// Writes everything that a survivor holds to a snapshot.
fn export_survivor(
    directory: &Directory,
    survivor: Identity,
    snapshot: &Path,
) -> Result<(), OpenError> {
    let failed = |error: &dyn std::fmt::Display| {
        OpenError::Recovery(format!(
            "cannot recover {}: {error}. Nothing is lost; try again",
            directory.path().display()
        ))
    };
    let cluster = survivor.phase.cluster().unwrap_or_default();
    let (_, mut state) = replay(directory, Some(survivor))?;
    while let Some(frozen) = state.freeze() {
        frozen.write().map_err(|error| failed(&error))?;
        drop(state.finish_flush(frozen));
    }
    drop(state);
    let engine = LsmEngine::open(&directory.engine(), LsmOptions::default())
        .map_err(|error| failed(&error))?;
    let part = snapshot.with_extension("part");
    let never = AtomicBool::new(false);
    snapshots::export_to(&part, &engine, cluster, &never).map_err(|error| failed(&error))?;
    verify(&part).map_err(|error| failed(&error))?;
    // What it was made of is put aside, or removed, as soon as it is there under its name.
    File::open(&part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&part, snapshot))
        .and_then(|()| File::open(directory.path())?.sync_all())
        .map_err(|error| failed(&error))
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn open_existing(data_dir: &Path) -> Result<Directory, OpenError> {
    if !data_dir.join("identity").exists() {
        return Err(OpenError::Identity(format!(
            "{} is not the data directory of a node: it has no file `identity`",
            data_dir.display()
        )));
    }
    Directory::open(data_dir)
}

/// Applies a survivor's log to its end, in memory.
fn replay(
    directory: &Directory,
    identity: Option<Identity>,
) -> Result<(Survivor, State<LsmEngine>), OpenError> {
    let of_none = || {
        OpenError::Identity(format!(
            "the node in {} is not part of a cluster: there is nothing to recover",
            directory.path().display()
        ))
    };
    let Some(Identity { id, name, phase: Phase::Member { cluster, founders }, .. }) = identity
    else {
        return Err(of_none());
    };
    let failed = |error: &dyn std::fmt::Display| {
        OpenError::Recovery(format!("cannot read {}: {error}", directory.path().display()))
    };
    // As any start would: the engine may be gone already for it.
    let shelf = Shelf::open(directory.snapshots())?;
    snapshots::install(directory, &shelf, cluster)?;
    let engine = LsmEngine::open(&directory.engine(), LsmOptions::default())
        .map_err(|error| failed(&error))?;
    let founded = (!founders.is_empty()).then(|| Membership::founded(founders));
    let mut state =
        State::open(engine.into(), Options::default(), founded).map_err(|error| failed(&error))?;
    let path = directory.log();
    let disk = FileDisk::open(&path)
        .map_err(|source| OpenError::DataDir { path: path.clone(), source })?;
    let segment_bytes = Config::new(directory.path()).segment_bytes;
    let options = parts::log_options(cluster, id, segment_bytes, random::identity()?);
    let (log, _) = Log::open(disk, options).map_err(|error| failed(&error))?;
    let last = log.last_index();
    while state.applied().get() < last {
        let next = state.applied().get() + 1;
        for entry in log.read(next, last + 1, READ_BYTES).map_err(|error| failed(&error))? {
            let entry = from_log(entry).map_err(|error| failed(&error))?;
            apply(&mut state, entry).map_err(|error| failed(&error))?;
        }
    }
    let membership = state.membership();
    let others = membership.members().filter(|(member, _)| member.id != id);
    let mut others: Vec<String> = others.map(|(member, _)| member.name.clone()).collect();
    others.sort_unstable();
    let hard_state = log.hard_state();
    let survivor = Survivor {
        name,
        node: id,
        cluster,
        others,
        term: Term(hard_state.term),
        commit: Index(hard_state.commit),
        last: Index(last.max(state.applied().get())),
        revision: state.revision(),
    };
    Ok((survivor, state))
}

fn apply(
    state: &mut State<LsmEngine>,
    entry: remex_consensus::Entry,
) -> Result<(), remex_state::Fatal> {
    match entry.kind {
        remex_consensus::EntryKind::Data => {
            state.apply(entry.index, entry.term, entry.data).map(drop)
        }
        remex_consensus::EntryKind::Membership => {
            state.apply_membership(entry.index, entry.term, entry.data).map(drop)
        }
    }
}
