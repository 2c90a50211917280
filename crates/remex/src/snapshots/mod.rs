//! Snapshots of the whole state: made, given to members that are too far behind, fetched, installed.
//!
//! A snapshot is a file. The node that gives one makes it from its engine ([`outgoing`]), beside the
//! running state; a file can be read again from any offset, so a connection that breaks costs
//! nothing but the reconnect. The node that needs one fetches it by itself ([`incoming`]) into a
//! part file, checks it whole, and gives it the name [`INSTALL`]: from then on it will be
//! installed ([`install`]), whatever crash comes between. Installing replaces the engine's
//! directory, so it is done while the parts are not open: the node ends its generation for it.

mod incoming;
mod install;
mod outgoing;
mod wire;

pub(crate) use self::incoming::{Fetcher, fetch};
pub(crate) use self::install::{install, open, replace_engine, verify_file};
pub(crate) use self::outgoing::{Desk, Outgoing, Unavailable, export_to};

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::OpenError;

/// A snapshot of this name is complete and was checked: it takes the place of the engine.
const INSTALL: &str = "install";

/// Begins the name of what is being fetched, before the digest of the whole; it goes on where it
/// stopped, after a crash too.
const PART: &str = "incoming-";

/// Begins the name of files that are given to others; none outlives the process.
const OUTGOING: &str = "outgoing-";

/// The folder of a node's snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    /// Files that were given to others so far. Never begins anew: those of an earlier generation may
    /// still be read.
    given: Arc<AtomicU64>,
}

impl Shelf {
    /// Opens the folder; removes what an earlier process left and nobody needs.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, OpenError> {
        let at = |source| OpenError::DataDir { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(at)?;
        for entry in fs::read_dir(&folder).map_err(at)? {
            let entry = entry.map_err(at)?;
            if entry.file_name().to_string_lossy().starts_with(OUTGOING) {
                fs::remove_file(entry.path()).map_err(at)?;
            }
        }
        Ok(Self { folder, given: Arc::default() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A name of its own for a file that is made for others.
    fn outgoing(&self) -> PathBuf {
        self.path(&format!("{OUTGOING}{}", self.given.fetch_add(1, Ordering::Relaxed)))
    }

    /// Where what is being fetched is written.
    fn part(&self, sha256: &[u8; 32]) -> PathBuf {
        let digits: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        self.path(&format!("{PART}{digits}"))
    }

    /// What is being fetched, with the digest of the whole.
    fn parts(&self) -> io::Result<Vec<(PathBuf, [u8; 32])>> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(PART));
            if let Some(sha256) = digits.and_then(parse_digest) {
                parts.push((entry.path(), sha256));
            }
        }
        Ok(parts)
    }

    /// The snapshot that is to be installed, if there is one.
    pub(crate) fn pending(&self) -> Option<PathBuf> {
        Some(self.path(INSTALL)).filter(|path| path.exists())
    }

    /// The snapshot has been installed, or is of no use.
    pub(crate) fn discard_pending(&self) -> io::Result<()> {
        remove(&self.path(INSTALL))?;
        self.sync()
    }

    /// A complete file becomes the one that is to be installed.
    fn promise(&self, complete: &Path) -> io::Result<()> {
        File::open(complete)?.sync_all()?;
        fs::rename(complete, self.path(INSTALL))?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn parse_digest(digits: &str) -> Option<[u8; 32]> {
    let mut sha256 = [0; 32];
    for (position, byte) in sha256.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * position..2 * position + 2)?, 16).ok()?;
    }
    (digits.len() == 64).then_some(sha256)
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
