//! Putting a snapshot in the place of the engine.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use remex_engine::{LsmEngine, LsmOptions};
use remex_model::{ClusterId, Index, Membership};
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
    let header = match take_over(directory, &path, cluster) {
        Ok(Took::All(header)) => header,
        Ok(Took::Nothing { index }) => {
            tracing::info!(%index, "the snapshot is not needed any more");
            return Ok(None);
        }
        Ok(Took::Foreign { its }) => {
            return Err(broken(&format!("it is of cluster {its}, this is {cluster}")));
        }
        // What the log cannot make good without it is fetched again.
        Err(error) if error.is_damage() => {
            tracing::error!(
                path = %path.display(), damage = %error,
                "a snapshot that was to be installed is damaged; it is thrown away"
            );
            shelf.discard_pending().map_err(|error| broken(&error))?;
            return Ok(None);
        }
        // Nothing is lost: the snapshot stays, and is installed when there is room.
        Err(error) if error.is_full() => {
            return Err(OpenError::Full(format!(
                "no room to install the snapshot {}: {error}; make room on the disk (a folder \
                 `set-aside` beside the engine is not needed any more once the node serves)",
                path.display()
            )));
        }
        Err(error) => return Err(broken(&error)),
    };
    tracing::info!(index = %header.index, revision = %header.revision, "installed a snapshot");
    Ok(Some(header))
}

/// What came of a snapshot that waited.
enum Took {
    All(snapshot::Header),
    /// The engine has gone beyond it.
    Nothing {
        index: Index,
    },
    /// It is none of this cluster's.
    Foreign {
        its: ClusterId,
    },
}

fn take_over(
    directory: &Directory,
    path: &Path,
    cluster: ClusterId,
) -> Result<Took, snapshot::SnapshotError> {
    let reader = open(path)?;
    let header = reader.header().clone();
    if header.cluster != cluster {
        return Ok(Took::Foreign { its: header.cluster });
    }
    if engine_is_ahead(directory, &header) {
        return Ok(Took::Nothing { index: header.index });
    }
    replace_engine(directory, reader, None)?;
    Ok(Took::All(header))
}

/// Reads a snapshot's file.
pub(crate) type FileReader = snapshot::Reader<io::BufReader<File>>;

/// Opens a snapshot's file.
pub(crate) fn open(path: &Path) -> Result<FileReader, snapshot::SnapshotError> {
    snapshot::Reader::new(io::BufReader::new(File::open(path)?))
}

/// Whether the engine that is there can be read and holds more than the snapshot. One that holds
/// just as much may be this very snapshot, with a log that was not emptied behind it before a crash:
/// it is installed again, so that the caller does that.
fn engine_is_ahead(directory: &Directory, header: &snapshot::Header) -> bool {
    if !directory.engine().exists() {
        return false;
    }
    let engine = LsmEngine::open(&directory.engine(), LsmOptions::default());
    let state = engine.ok().map(|engine| State::open(engine.into(), Options::default(), None));
    state.is_some_and(|state| state.is_ok_and(|state| state.durable() > header.index))
}

/// Builds a new engine out of a snapshot, and puts it in the place of the old one.
pub(crate) fn replace_engine(
    directory: &Directory,
    reader: FileReader,
    membership: Option<Membership>,
) -> Result<(), snapshot::SnapshotError> {
    let (engine, fresh) = (directory.engine(), directory.engine_home().join("engine.new"));
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
    Ok(File::open(directory.engine_home())?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use remex_model::{Incarnation, Member, NodeId, Term};

    use super::*;
    use crate::snapshots::export_to;

    const CLUSTER: ClusterId = ClusterId(9);

    /// A data directory in which a snapshot at index 1 waits to be installed.
    fn waiting(folder: &Path) -> (Directory, Shelf) {
        let directory = Directory::open(&folder.join("node")).unwrap();
        let shelf = Shelf::open(directory.snapshots()).unwrap();
        let member = Member {
            id: NodeId(1),
            incarnation: Incarnation(2),
            name: "n1".to_owned(),
            peer_address: String::new(),
            client_url: String::new(),
            promote: true,
        };
        let source = folder.join("source");
        fs::create_dir_all(&source).unwrap();
        let engine = Arc::new(LsmEngine::open(&source, LsmOptions::default()).unwrap());
        let founded = Some(Membership::founded([member]));
        let state = State::open(Arc::clone(&engine), Options::default(), founded).unwrap();
        assert_eq!((state.durable(), state.applied_term()), (Index(1), Term(1)));
        let path = shelf.path(super::super::INSTALL);
        export_to(&path, &engine, CLUSTER, &AtomicBool::new(false)).unwrap();
        (directory, shelf)
    }

    #[test]
    fn an_installation_that_crashed_before_the_log_was_emptied_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let (directory, shelf) = waiting(folder.path());
        let first = install(&directory, &shelf, CLUSTER).unwrap().expect("it was needed");
        assert_eq!(first.index, Index(1));
        // The crash. Were this `None`, the log that ends before the state would count as damaged.
        let again = install(&directory, &shelf, CLUSTER).unwrap();
        assert_eq!(again, Some(first));
    }

    #[test]
    fn a_damaged_snapshot_is_thrown_away_and_does_not_keep_the_node_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let (directory, shelf) = waiting(folder.path());
        let path = shelf.pending().unwrap();
        let good = fs::read(&path).unwrap();
        for place in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[place] ^= 1;
            fs::write(&path, bad).unwrap();
            assert_eq!(install(&directory, &shelf, CLUSTER).unwrap(), None);
            assert_eq!(shelf.pending(), None);
        }
        fs::write(&path, good).unwrap();
        assert!(install(&directory, &shelf, ClusterId(8)).is_err(), "another cluster's");
        assert!(shelf.pending().is_some());
    }
}
