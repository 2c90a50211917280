//! The data directory: who may use it, and who the node is that lives in it.
//!
//! ```text
//! lock        held by the living process; its text names the holder for people
//! identity    who this node is and which cluster it belongs to (docs/data-format.md)
//! places      where the following three lie, if not here
//! owner       the mark that all folders of this node share
//! log/        the write-ahead log
//! engine/     the state machine's store
//! snapshots/  snapshots that are made, fetched, or wait to be installed
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use remex_model::Decoder;

use crate::OpenError;
use crate::folders::{create_durably, holds_anything, replace};
use crate::identity::Identity;
use crate::places::{Homes, Part, Past, Places};

/// Magic bytes at the start of the identity file.
const MAGIC: &[u8; 8] = b"remexid\x01";

/// A data directory that this process holds the lock of.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    places: Places,
    /// Keeps the lock; the system releases it when the process ends, however it ends.
    lock: File,
}

impl Directory {
    /// Creates the directory if need be and takes its lock. The parts of the data are where the
    /// directory remembers them to be.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, &Homes::default())
    }

    /// As [`Directory::open`]; parts that are wanted elsewhere have their folders there, or must have
    /// been moved there.
    pub(crate) fn open_with(path: &Path, wanted: &Homes) -> Result<Self, OpenError> {
        let at = |source| OpenError::DataDir { path: path.to_owned(), source };
        create_durably(path).map_err(at)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join("lock"))
            .map_err(at)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The text is only for the message: if it cannot be read, the lock still stands.
                if lock.read_to_string(&mut holder).is_err() || holder.is_empty() {
                    holder = "unknown".to_owned();
                }
                let holder = holder.trim().to_owned();
                return Err(OpenError::Locked { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(at(source)),
        }
        lock.set_len(0).map_err(at)?;
        lock.rewind().map_err(at)?;
        writeln!(lock, "process {}", std::process::id()).map_err(at)?;
        let places = Places::open(path, wanted, past(path)?)?;
        Ok(Self { path: path.to_owned(), places, lock })
    }

    /// Gives the lock back: nothing of this node writes to the directory any more.
    pub(crate) fn unlock(&self) {
        if let Err(error) = self.places.unlock().and_then(|()| self.lock.unlock()) {
            tracing::warn!(reason = %error, "cannot unlock the data directory");
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.places.folder(Part::Snapshots)
    }

    /// The folder that the engine's folder lies in, where another one can be built beside it.
    pub(crate) fn engine_home(&self) -> &Path {
        self.places.home(Part::Engine)
    }

    /// The folders on whose file systems writes need room: a write that was acknowledged is in the
    /// log, and must fit into the engine. Snapshots wait for theirs.
    pub(crate) fn disks(&self) -> [PathBuf; 2] {
        [Part::Log, Part::Engine].map(|part| self.places.home(part).to_owned())
    }

    /// Removes the engine: a complete snapshot waits to take its place.
    pub(crate) fn remove_engine(&self) -> Result<(), OpenError> {
        remove_folder(&self.engine())
    }

    /// Moves log and engine out of the way, for people to look at; what was there before goes.
    pub(crate) fn put_aside(&self) -> Result<(), OpenError> {
        let parts = [Part::Log, Part::Engine];
        if !parts.iter().any(|part| holds_anything(&self.places.folder(*part))) {
            return Ok(());
        }
        for part in parts {
            let (folder, aside) = (self.places.folder(part), self.places.aside(part));
            let at = |source| OpenError::DataDir { path: aside.clone(), source };
            remove_folder(&aside)?;
            if !folder.exists() {
                continue;
            }
            aside.parent().map_or(Ok(()), create_durably).map_err(at)?;
            // Beside each other, so on one file system.
            fs::rename(&folder, &aside).map_err(at)?;
            File::open(self.places.home(part)).and_then(|home| home.sync_all()).map_err(at)?;
            tracing::warn!(
                folder = %aside.display(),
                "put earlier data aside; the folder can be removed once the node serves again"
            );
        }
        Ok(())
    }

    /// As [`Directory::put_aside`], but what is aside already stays there, and what would follow it
    /// is removed.
    pub(crate) fn put_aside_once(&self) -> Result<(), OpenError> {
        let parts = [Part::Log, Part::Engine];
        if !parts.iter().any(|part| holds_anything(&self.places.aside(*part))) {
            return self.put_aside();
        }
        parts.iter().try_for_each(|part| remove_folder(&self.places.folder(*part)))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.places.folder(Part::Log)
    }

    pub(crate) fn engine(&self) -> PathBuf {
        self.places.folder(Part::Engine)
    }

    /// Creates a folder of the directory, durably: a power cut must not take it away with what
    /// was synced in it.
    pub(crate) fn create(&self, folder: &Path) -> Result<(), OpenError> {
        create_durably(folder)
            .map_err(|source| OpenError::DataDir { path: folder.to_owned(), source })
    }

    /// Reads who lives here; `None` in a fresh directory.
    pub(crate) fn read_identity(&self) -> Result<Option<Identity>, OpenError> {
        read_identity(&self.path.join("identity"))
    }

    /// Replaces who lives here, atomically and durably.
    pub(crate) fn write_identity(&self, identity: &Identity) -> Result<(), OpenError> {
        let mut body = Vec::new();
        identity.encode(&mut body);
        let content = [MAGIC.as_slice(), &body, &crc32c::crc32c(&body).to_le_bytes()].concat();
        replace(&self.path, "identity", &content)
            .map_err(|source| OpenError::DataDir { path: self.path.join("identity"), source })
    }
}

/// Reads an identity file; `None` if there is none.
pub(crate) fn read_identity(path: &Path) -> Result<Option<Identity>, OpenError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::DataDir { path: path.to_owned(), source }),
    };
    let damaged = |what: &str| {
        OpenError::Identity(format!(
            "the identity file {} is damaged ({what}); restore this node's data directory, or \
             remove the whole directory and let the node join anew",
            path.display()
        ))
    };
    let Some((magic, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(damaged("it is too short"));
    };
    if magic != MAGIC {
        return Err(damaged("it does not begin with the magic bytes of version 1"));
    }
    let Some((body, checksum)) = rest.split_last_chunk::<4>() else {
        return Err(damaged("it is too short"));
    };
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Err(damaged("its checksum is wrong"));
    }
    let mut decoder = Decoder::new(Bytes::copy_from_slice(body));
    let identity = Identity::decode(&mut decoder)
        .and_then(|identity| decoder.finish().map(|()| identity))
        .map_err(|error| damaged(&error.to_string()))?;
    Ok(Some(identity))
}

/// Removes a folder that may not be there.
fn remove_folder(path: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::DataDir { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// What is known of the one who lives in a data directory.
fn past(path: &Path) -> Result<Past, OpenError> {
    if let Some(identity) = read_identity(&path.join("identity"))? {
        return Ok(if identity.has_log { Past::HasLog } else { Past::Fresh });
    }
    // A recovery that was cut short, or data whose identity is gone: whose it is is said elsewhere.
    let traces = ["identity.recovering", "log", "engine"].map(|name| path.join(name));
    let lived = traces[0].exists() || traces[1..].iter().any(|folder| holds_anything(folder));
    Ok(if lived { Past::HasLog } else { Past::None })
}

#[cfg(test)]
mod tests {
    use remex_model::{ClusterId, Incarnation, Member, NodeId};

    use super::*;
    use crate::identity::Phase;

    fn identity() -> Identity {
        let me = Member {
            id: NodeId(7),
            incarnation: Incarnation(9),
            name: "n1".to_owned(),
            peer_address: "127.0.0.1:7481".to_owned(),
            client_url: "http://127.0.0.1:7480".to_owned(),
            promote: false,
        };
        let phase = Phase::Member { cluster: ClusterId(3), founders: vec![me.clone()] };
        Identity { id: me.id, incarnation: me.incarnation, name: me.name, has_log: true, phase }
    }

    #[test]
    fn an_identity_survives_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        assert!(directory.read_identity().unwrap().is_none());
        directory.write_identity(&identity()).unwrap();
        assert_eq!(directory.read_identity().unwrap(), Some(identity()));

        let path = folder.path().join("identity");
        let good = fs::read(&path).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&path, &bad).unwrap();
            let error = directory.read_identity().unwrap_err().to_string();
            assert!(error.contains("damaged"), "byte {position}: {error}");
        }
    }

    #[test]
    fn a_directory_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Directory::open(folder.path()).unwrap();
        let error = Directory::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Directory::open(folder.path()).unwrap();
    }
}
