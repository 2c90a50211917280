//! The port to raw files: what the log needs of a directory, and nothing more.

use std::io;

use crate::error::{IoFailure, failed_at};

/// One directory of files: the only way from the log to a disk.
///
/// A file operation is durable only after [`DiskFile::sync`], a change of names only after
/// [`Disk::sync_dir`]; an implementation may lose, or tear, everything else in a power cut.
pub trait Disk: Send + Sync + 'static {
    /// An open file of this directory. It stays usable when its name changes.
    type File: DiskFile;

    /// Where the directory is, for messages to people.
    fn place(&self) -> String;

    /// The names of all files, in any order.
    ///
    /// # Errors
    /// Whatever the operating system says; likewise in every method below.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file for reading and writing; empties one that is there already.
    ///
    /// # Errors
    /// See [`Disk::list`].
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    /// See [`Disk::list`].
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, replacing a file that has this name, atomically.
    ///
    /// # Errors
    /// See [`Disk::list`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// See [`Disk::list`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes every change of names so far durable.
    ///
    /// # Errors
    /// See [`Disk::list`].
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file, addressed by offset.
pub trait DiskFile: Send + Sync + 'static {
    /// Writes all of `bytes` at `offset`, growing the file where needed.
    ///
    /// # Errors
    /// Whatever the operating system says. Any part of `bytes` may have been written then.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads up to `buffer.len()` bytes at `offset`; 0 only at the end of the file.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes the written bytes durable, as `fdatasync` does.
    ///
    /// # Errors
    /// After an error it is unknown which bytes are durable, and a second call proves nothing:
    /// the kernel may have marked the lost pages clean. It is never to be retried.
    fn sync(&self) -> io::Result<()>;

    /// Length of the file in bytes.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// See [`DiskFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Reads until `buffer` is full or the file ends; returns how many bytes were read. `name` is that
/// of the file, for the error.
pub(crate) fn read_full<F: DiskFile>(
    file: &F,
    name: &str,
    mut buffer: &mut [u8],
    mut offset: u64,
) -> Result<usize, IoFailure> {
    let mut total = 0;
    while !buffer.is_empty() {
        let count = match file.read_at(buffer, offset) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed_at("read", name, offset)(error)),
        };
        total += count;
        offset += count as u64;
        buffer = buffer.split_at_mut(count).1;
    }
    Ok(total)
}
