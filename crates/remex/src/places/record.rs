//! The two small files that tie a node's folders together: `places` in the data directory says where
//! each part of the data lies, and `owner` in every folder says whose it is.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use remex_model::{DecodeError, Decoder, Encoder};

use super::Homes;
use crate::OpenError;
use crate::folders::replace;

/// Magic bytes at the start of the record.
const MAGIC: &[u8; 8] = b"RMXPLAC1";

/// The record's name in the data directory.
const RECORD: &str = "places";

/// The name of the mark in every folder.
pub(super) const OWNER: &str = "owner";

/// Where the parts lie, as the data directory remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Drawn at the first start; in the mark of every folder of this node, and of no other.
    pub(super) mark: u64,
    /// Whether every folder has its mark. From then on a folder without one is not this node's, or
    /// is not mounted. Before, nothing has been promised by anybody.
    pub(super) is_complete: bool,
    /// Absolute; `None` for the data directory itself, which may be moved as a whole.
    pub(super) homes: Homes,
}

impl Record {
    /// Reads the record; `None` if there is none.
    pub(super) fn read(data_dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = data_dir.join(RECORD);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OpenError::DataDir { path, source }),
        };
        decode(&bytes).map(Some).map_err(|why| {
            OpenError::Identity(format!(
                "the file {}, which says where the node's data lies, is damaged ({why}); restore it \
                 from a copy, or remove the whole data directory and let the node join anew",
                path.display()
            ))
        })
    }

    /// Replaces the record, atomically and durably.
    pub(super) fn write(&self, data_dir: &Path) -> Result<(), OpenError> {
        let mut out = MAGIC.to_vec();
        let mut encoder = Encoder::new(&mut out);
        encoder.u64(self.mark);
        encoder.bool(self.is_complete);
        for home in &self.homes {
            encoder.bytes(home.as_ref().map_or(&[][..], |home| home.as_os_str().as_bytes()));
        }
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        replace(data_dir, RECORD, &out)
            .map_err(|source| OpenError::DataDir { path: data_dir.join(RECORD), source })
    }

    /// Puts the mark into a folder, durably.
    pub(super) fn write_owner(&self, data_dir: &Path, home: &Path) -> io::Result<()> {
        let text = format!(
            "Data of a Remex node. Do not remove this file.\nmark {:016x}\nof {}\n",
            self.mark,
            data_dir.display()
        );
        replace(home, OWNER, text.as_bytes())
    }
}

fn decode(bytes: &[u8]) -> Result<Record, String> {
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Err("its checksum is wrong".to_owned());
    }
    let body = body.strip_prefix(MAGIC).ok_or("it does not begin with the magic bytes")?;
    let mut decoder = Decoder::new(Bytes::copy_from_slice(body));
    let read = |decoder: &mut Decoder| -> Result<Record, DecodeError> {
        let mark = decoder.u64("mark")?;
        let is_complete = decoder.bool("is complete")?;
        let mut homes = Homes::default();
        for home in &mut homes {
            let path = decoder.bytes("folder")?;
            *home = (!path.is_empty()).then(|| PathBuf::from(OsString::from_vec(path.to_vec())));
        }
        Ok(Record { mark, is_complete, homes })
    };
    read(&mut decoder)
        .and_then(|record| decoder.finish().map(|()| record))
        .map_err(|error| error.to_string())
}

/// Whose a folder is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It has no mark that can be read.
    Nobody,
    /// It has this mark, made by the node of this data directory, as it was called then.
    Node { mark: u64, data_dir: String },
}

impl Owner {
    pub(super) fn of(home: &Path) -> io::Result<Self> {
        let text = match fs::read(home.join(OWNER)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nobody),
            Err(error) => return Err(error),
        };
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let mark = field("mark ").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let data_dir = field("of ").unwrap_or("?").to_owned();
        Ok(mark.map_or(Self::Nobody, |mark| Self::Node { mark, data_dir }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), None);
        let odd = PathBuf::from(OsString::from_vec(b"/mnt/\xff".to_vec()));
        let record = Record { mark: 7, is_complete: true, homes: [Some(odd), None, None] };
        record.write(folder.path()).unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), Some(record));

        let path = folder.path().join(RECORD);
        let good = fs::read(&path).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&path, &bad).unwrap();
            let error = Record::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("damaged"), "byte {position}: {error}");
        }
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(Record::read(folder.path()).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_mark_is_read_back_and_anything_else_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        assert_eq!(Owner::of(home).unwrap(), Owner::Nobody);
        let record = Record { mark: 0xfeed, is_complete: true, homes: Homes::default() };
        record.write_owner(Path::new("/var/lib/remex"), home).unwrap();
        let ours = Owner::Node { mark: 0xfeed, data_dir: "/var/lib/remex".to_owned() };
        assert_eq!(Owner::of(home).unwrap(), ours);
        fs::write(home.join(OWNER), "mark nonsense\n").unwrap();
        assert_eq!(Owner::of(home).unwrap(), Owner::Nobody);
        fs::write(home.join(OWNER), [0xff, 0xfe]).unwrap();
        assert_eq!(Owner::of(home).unwrap(), Owner::Nobody);
    }
}
