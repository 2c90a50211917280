//! What is done with folders: finding out whether they hold anything, and changing them so that a
//! power cut takes nothing away that was done.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Whether a directory exists and has something in it.
pub(crate) fn holds_anything(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut files| files.next().is_some())
}

/// The folder that a new file system comes with.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";

/// As [`holds_anything`], but a new file system counts as empty.
pub(crate) fn holds_files(path: &Path) -> bool {
    let counts = |name: io::Result<fs::DirEntry>| {
        name.is_ok_and(|entry| entry.file_name() != LOST_AND_FOUND)
    };
    fs::read_dir(path).is_ok_and(|mut files| files.any(counts))
}

/// Creates a folder, and whatever is missing on the way to it, durably.
pub(crate) fn create_durably(path: &Path) -> io::Result<()> {
    let absolute = std::path::absolute(path)?;
    let is_missing = |folder: &&Path| !folder.exists();
    let missing: Vec<&Path> = absolute.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(&absolute)?;
    // The name of the folder itself may stem from a start that was cut short.
    let made = missing.into_iter().chain([absolute.as_path()]);
    for folder in made.filter_map(Path::parent) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Replaces a file of a folder, atomically and durably.
pub(crate) fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))?;
    File::open(folder)?.sync_all()
}
