//! Where the parts of a node's data lie: log, engine and snapshots may have folders of their own,
//! on disks of their own.
//!
//! ```text
//! DATA/places  where each part lies; DATA/owner  the node's mark
//! HOME/owner   the same mark, in every folder outside of the data directory
//! HOME/log     the part itself; beside it set-aside/log, or engine.new: one file system, so that
//!              everything can be renamed into its place
//! ```
//!
//! A node whose log seems to be gone gives its identity up and joins anew. So a log must never seem
//! to be gone only because a flag was left out, or a disk is not mounted. Hence the rules:
//! - The data directory remembers where everything lies. A start without the flags finds it; one
//!   with other flags is refused, unless the part was moved there by hand.
//! - A folder that is remembered must be there with the node's mark in it. One that is not is never
//!   made anew: its file system may not be mounted. Whoever puts the mark there by hand says that the
//!   folder is right although it is empty.
//! - A new folder must be empty, and a folder belongs to one node: the mark says whose it is, and a
//!   lock on it keeps copies of the node out.
//!
//! At the first start the record is written before the marks, and again after them; who the node is
//! is written only then. So a crash in between leaves nothing that counts.

mod record;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use self::record::{OWNER, Owner, Record};
use crate::folders::{LOST_AND_FOUND, create_durably, holds_anything};
use crate::{Config, OpenError, random};

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Log,
    Engine,
    Snapshots,
}

impl Part {
    const ALL: [Self; 3] = [Self::Log, Self::Engine, Self::Snapshots];

    /// The name of its folder.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Engine => "engine",
            Self::Snapshots => "snapshots",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Log => "--log-dir",
            Self::Engine => "--engine-dir",
            Self::Snapshots => "--snapshot-dir",
        }
    }
}

/// A folder for each part, in the order of [`Part::ALL`]; `None` for the data directory, or where
/// nothing is wanted.
pub(crate) type Homes = [Option<PathBuf>; 3];

/// What the settings want.
pub(crate) fn wanted(config: &Config) -> Homes {
    [config.log_dir.clone(), config.engine_dir.clone(), config.snapshot_dir.clone()]
}

/// What is known of the data directory's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// Nobody has lived here.
    None,
    /// A node has, that has promised nothing.
    Fresh,
    /// A node has, with a log.
    HasLog,
}

/// Where everything lies. Holds the locks of the folders outside of the data directory.
#[derive(Debug)]
pub(crate) struct Places {
    data_dir: PathBuf,
    homes: Homes,
    locks: Vec<File>,
}

impl Places {
    /// Finds the folders of the node in `data_dir`, whose lock is held; makes them at the first
    /// start.
    pub(crate) fn open(data_dir: &Path, wanted: &Homes, past: Past) -> Result<Self, OpenError> {
        let data_dir = fs::canonicalize(data_dir)
            .map_err(|source| OpenError::DataDir { path: data_dir.to_owned(), source })?;
        let record = match Record::read(&data_dir)? {
            Some(record) if record.is_complete => record,
            Some(record) => begin(&data_dir, record.mark, wanted)?,
            None if data_dir.join(OWNER).exists() => return Err(forgotten(&data_dir)),
            None if past == Past::None => begin(&data_dir, random::identity()?, wanted)?,
            // Of a release that knew no other places.
            None => {
                let mark = random::identity()?;
                let record = Record { mark, is_complete: true, homes: Homes::default() };
                record.write(&data_dir)?;
                record
            }
        };
        if !data_dir.join(OWNER).exists() {
            record.write_owner(&data_dir, &data_dir).map_err(|error| at(&data_dir, error))?;
        }
        let record = follow(&data_dir, record, wanted, past)?;
        let mut places = Self { data_dir, homes: record.homes.clone(), locks: Vec::new() };
        for part in Part::ALL {
            places.check(part, record.mark, past)?;
        }
        places.lock()?;
        Ok(places)
    }

    /// The folder that a part's folder lies in.
    pub(crate) fn home(&self, part: Part) -> &Path {
        self.homes[part as usize].as_deref().unwrap_or(&self.data_dir)
    }

    /// The folder of a part.
    pub(crate) fn folder(&self, part: Part) -> PathBuf {
        self.home(part).join(part.folder())
    }

    /// Where what cannot be used any more of a part is put for people.
    pub(crate) fn aside(&self, part: Part) -> PathBuf {
        self.home(part).join("set-aside").join(part.folder())
    }

    /// Gives the locks back.
    pub(crate) fn unlock(&self) -> io::Result<()> {
        self.locks.iter().try_for_each(File::unlock)
    }

    /// Checks that the folder that is remembered is there, and this node's.
    fn check(&self, part: Part, mark: u64, past: Past) -> Result<(), OpenError> {
        let Some(home) = &self.homes[part as usize] else { return Ok(()) };
        let (name, home, data_dir) = (part.folder(), home.display(), self.data_dir.display());
        let found = Owner::of(self.home(part)).map_err(|error| at(self.home(part), error))?;
        let what = match found {
            Owner::Node { mark: its, .. } if its == mark => {
                let stray = self.data_dir.join(name);
                if past == Past::HasLog
                    && !holds_anything(&self.folder(part))
                    && holds_anything(&stray)
                {
                    return Err(OpenError::Identity(format!(
                        "this node's {name} is in {home}, which is empty, but there is one in \
                         {}; to use that one, start the node with {} {data_dir}",
                        stray.display(),
                        part.setting()
                    )));
                }
                return Ok(());
            }
            Owner::Node { data_dir, .. } => {
                format!("it belongs to another node, that of the data directory {data_dir}")
            }
            Owner::Nobody => "it is not there, or has no file `owner`".to_owned(),
        };
        Err(OpenError::Identity(format!(
            "this node's {name} is in {home}, but {what}: is the right file system mounted there? \
             Nothing was changed. Mount it and start again; or, if what was there is lost for good, \
             tell the node so with `mkdir -p {home} && cp {data_dir}/owner {home}/`: it then gets \
             from the other members what it can"
        )))
    }

    /// Takes the lock of every folder outside of the data directory.
    fn lock(&mut self) -> Result<(), OpenError> {
        for home in distinct(&self.homes) {
            let file = File::open(home.join(OWNER)).map_err(|error| at(home, error))?;
            match file.try_lock() {
                Ok(()) => self.locks.push(file),
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::Identity(format!(
                        "the folder {} is in use by another process, which runs from a copy of \
                         this data directory; stop it first",
                        home.display()
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(at(home, error)),
            }
        }
        Ok(())
    }
}

/// Makes the folders of a node that has promised nothing.
fn begin(data_dir: &Path, mark: u64, wanted: &Homes) -> Result<Record, OpenError> {
    let mut homes = Homes::default();
    for (home, wanted) in homes.iter_mut().zip(wanted) {
        *home = made(data_dir, wanted.as_deref())?;
    }
    check_layout(data_dir, &homes)?;
    let mut record = Record { mark, is_complete: false, homes };
    record.write(data_dir)?;
    for home in distinct(&record.homes) {
        claim(data_dir, &record, home)?;
    }
    record.is_complete = true;
    record.write(data_dir)?;
    Ok(record)
}

/// Follows what was moved since the last start, and refuses what was not.
fn follow(
    data_dir: &Path,
    mut record: Record,
    wanted: &Homes,
    past: Past,
) -> Result<Record, OpenError> {
    let before = record.clone();
    for part in Part::ALL {
        let Some(wanted) = &wanted[part as usize] else { continue };
        let to = resolved(data_dir, wanted)?;
        let from = &mut record.homes[part as usize];
        if *from != to {
            let old = from.clone().unwrap_or_else(|| data_dir.to_owned());
            let new = to.clone().unwrap_or_else(|| data_dir.to_owned());
            moved(part, &old, &new, &before, past)?;
            if past != Past::HasLog
                && let Some(home) = &to
            {
                create_durably(home).map_err(|error| at(home, error))?;
                claim(data_dir, &before, home)?;
            }
            tracing::info!(part = part.folder(), from = %old.display(), to = %new.display(), "moved");
            *from = to;
        }
    }
    if record != before {
        check_layout(data_dir, &record.homes)?;
        record.write(data_dir)?;
    }
    Ok(record)
}

/// Checks that a part was moved by hand from one folder to another.
fn moved(part: Part, old: &Path, new: &Path, record: &Record, past: Past) -> Result<(), OpenError> {
    let name = part.folder();
    let is_left = !holds_anything(&old.join(name));
    let has_come = match past {
        Past::None | Past::Fresh => true,
        Past::HasLog => {
            let owner = Owner::of(new).map_err(|error| at(new, error))?;
            let is_ours = matches!(owner, Owner::Node { mark, .. } if mark == record.mark);
            // Snapshots come and go.
            is_ours && (part == Part::Snapshots || holds_anything(&new.join(name)))
        }
    };
    if is_left && has_come {
        return Ok(());
    }
    let (old, new, setting) = (old.display(), new.display(), part.setting());
    // Not `mv`: between file systems it would remove the one before the other is durable.
    Err(OpenError::Identity(format!(
        "{setting} is {new}, but this node's {name} is in {old}. Leave {setting} out; or move the \
         {name} while the node is stopped, with `mkdir -p {new} && cp -a {old}/owner {old}/{name} \
         {new}/ && sync && rm -r {old}/{name}`, and start it with {setting} {new} again"
    )))
}

/// Marks an empty folder as this node's.
fn claim(data_dir: &Path, record: &Record, home: &Path) -> Result<(), OpenError> {
    match Owner::of(home).map_err(|error| at(home, error))? {
        Owner::Node { mark, .. } if mark == record.mark => return Ok(()),
        Owner::Node { data_dir, .. } => {
            return Err(OpenError::Identity(format!(
                "the folder {} belongs to another node, that of the data directory {data_dir}; \
                 choose another, or remove what is in it if that node is gone for good",
                home.display()
            )));
        }
        Owner::Nobody => {}
    }
    let entries = fs::read_dir(home).map_err(|error| at(home, error))?;
    for entry in entries {
        let name = entry.map_err(|error| at(home, error))?.file_name();
        // What file systems and a start that was cut short leave.
        if name != LOST_AND_FOUND && name != "owner.new" {
            return Err(OpenError::Identity(format!(
                "the folder {} holds {}, which is not this node's; choose an empty folder",
                home.display(),
                name.display()
            )));
        }
    }
    record.write_owner(data_dir, home).map_err(|error| at(home, error))
}

/// Creates a folder that is wanted; `None` if it is the data directory.
fn made(data_dir: &Path, wanted: Option<&Path>) -> Result<Option<PathBuf>, OpenError> {
    let Some(wanted) = wanted else { return Ok(None) };
    create_durably(wanted).map_err(|error| at(wanted, error))?;
    resolved(data_dir, wanted)
}

/// The one name of a folder, also of one that is still to be made; `None` if it is the data directory.
fn resolved(data_dir: &Path, wanted: &Path) -> Result<Option<PathBuf>, OpenError> {
    let path = std::path::absolute(wanted).and_then(|path| canonical(&path));
    let path = path.map_err(|error| at(wanted, error))?;
    Ok((path != data_dir).then_some(path))
}

/// A path without links, as far as it exists.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(canonical(parent)?.join(name))
        }
        (found, _, _) => found,
    }
}

/// Checks that no folder lies in another one that may be removed or replaced as a whole.
fn check_layout(data_dir: &Path, homes: &Homes) -> Result<(), OpenError> {
    for (part, home) in Part::ALL.into_iter().zip(homes) {
        let Some(home) = home else { continue };
        let outer = Part::ALL.into_iter().zip(homes).find_map(|(other, other_home)| {
            let folders = [other.folder(), "set-aside", "engine.new"];
            let other_home = other_home.as_deref()?;
            let mut folders = folders.into_iter().map(|name| other_home.join(name));
            folders.find(|folder| home.starts_with(folder) || data_dir.starts_with(folder))
        });
        let outer = outer.or_else(|| home.starts_with(data_dir).then(|| data_dir.to_owned()));
        if let Some(outer) = outer {
            return Err(OpenError::Identity(format!(
                "{} {} does not go together with {}: one lies in the other; choose a folder beside \
                 it, or leave it out",
                part.setting(),
                home.display(),
                outer.display()
            )));
        }
    }
    Ok(())
}

/// Every folder outside of the data directory once.
fn distinct(homes: &Homes) -> Vec<&Path> {
    let mut distinct: Vec<&Path> = homes.iter().flatten().map(PathBuf::as_path).collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

fn forgotten(data_dir: &Path) -> OpenError {
    OpenError::Identity(format!(
        "the file {}/places, which says where the node's data lies, is gone; restore it from a copy, \
         or remove the whole data directory and let the node join anew",
        data_dir.display()
    ))
}

fn at(home: &Path, error: io::Error) -> OpenError {
    OpenError::Identity(format!(
        "cannot use the folder {}: {error}; check its owner and permissions, or choose another",
        home.display()
    ))
}

#[cfg(test)]
mod tests;
