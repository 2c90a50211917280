//! Putting a snapshot in the place of the engine.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use remex_engine::{LsmEngine, LsmOptions};
use remex_model::{ClusterId, Membership};
use remex_state::{Options, State, snapshot};

use super::Shelf;
use crate::OpenError;
use crate::directory::Directory;

/// Reads a snapshot's file from its beginning to its end and checks everything in it.
pub(crate) fn verify_file(path: &Path) -> Result<snapshot::Summary, snapshot::SnapshotError> {
    open(path)?.verify()
}

/// Installs the snapshot that waits for it, if one does. A crash in the middle is made good by
/// doing it again: the snapshot stays until its content is durable in the engine.
///
/// The caller opens the log next, and empties it behind the snapshot unless it reaches that far.
pub(crate) fn install(
    directory: &Directory,
    shelf: &Shelf,
    cluster: ClusterId,
) -> Result<Option<snapshot::Header>, OpenError> {
    let Some(path) = shelf.pending() else { return Ok(None) };
    let broken = |error: &dyn std::fmt::Display| {
        OpenError::Recovery(format!(
            "cannot install the snapshot {}: {error}. Remove this file, and the node fetches another",
            path.display()
        ))
    };
    let reader = open(&path).map_err(|error| broken(&error))?;
    let header = reader.header().clone();
    if header.cluster != cluster {
        return Err(broken(&format!("it is of cluster {}, this is {cluster}", header.cluster)));
    }
    if engine_is_ahead(directory, &header) {
        tracing::info!(index = %header.index, "the snapshot is not needed any more");
        return Ok(None);
    }
    replace_engine(directory, reader, None).map_err(|error| broken(&error))?;
    tracing::info!(index = %header.index, revision = %header.revision, "installed a snapshot");
    Ok(Some(header))
}

/// Reads a snapshot's file.
pub(crate) type FileReader = snapshot::Reader<io::BufReader<File>>;

/// Opens a snapshot's file.
pub(crate) fn open(path: &Path) -> Result<FileReader, snapshot::SnapshotError> {
    snapshot::Reader::new(io::BufReader::new(File::open(path)?))
}

/// Whether the engine that is there can be read and holds as much as the snapshot.
fn engine_is_ahead(directory: &Directory, header: &snapshot::Header) -> bool {
    if !directory.engine().exists() {
        return false;
    }
    let engine = LsmEngine::open(&directory.engine(), LsmOptions::default());
    let state = engine.ok().map(|engine| State::open(engine.into(), Options::default(), None));
    state.is_some_and(|state| state.is_ok_and(|state| state.durable() >= header.index))
}

/// Builds a new engine out of a snapshot, and puts it in the place of the old one.
pub(crate) fn replace_engine(
    directory: &Directory,
    reader: FileReader,
    membership: Option<Membership>,
) -> Result<(), snapshot::SnapshotError> {
    let (engine, fresh) = (directory.engine(), directory.path().join("engine.new"));
    for old in [&fresh, &engine] {
        match fs::remove_dir_all(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    fs::create_dir_all(&fresh)?;
    let built = LsmEngine::open(&fresh, LsmOptions::default())
        .map_err(|error| snapshot::SnapshotError::State(error.into()))?;
    snapshot::import(&built, reader, membership)?;
    drop(built);
    fs::rename(&fresh, &engine)?;
    Ok(File::open(directory.path())?.sync_all()?)
}
