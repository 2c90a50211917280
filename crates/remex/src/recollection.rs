//! What a node knows of the others even when its own state cannot be read: the membership, and the
//! marks of the members' disks.
//!
//! A copy of things that stand elsewhere too, in a file of its own, `members`, so that a node whose
//! data is damaged knows whom to ask, and so that marks outlive the process. It may be a little out
//! of date, or missing; nothing depends on it for safety.
//!
//! Bytes: `RMXMEMB1`, membership, marks (both as in the log and between peers), CRC32C of it all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use remex_consensus::Marks;
use remex_model::{Decoder, Encoder, Membership, NodeId};

use crate::directory::Directory;

const MAGIC: &[u8; 8] = b"RMXMEMB1";

/// What a node knows of the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recollection {
    pub(crate) membership: Arc<Membership>,
    pub(crate) marks: Marks,
}

impl Recollection {
    /// Reads what was last written; nothing if there is no file, or one that cannot be read.
    pub(crate) fn read(directory: &Directory) -> Self {
        let bytes = fs::read(directory.path().join("members")).unwrap_or_default();
        Self::decode(&bytes).unwrap_or_default()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut decoder = Decoder::new(Bytes::copy_from_slice(body.strip_prefix(MAGIC)?));
        let membership = Arc::new(Membership::decode(&mut decoder).ok()?);
        let marks = Marks::decode(&mut decoder).ok()?;
        decoder.finish().ok()?;
        Some(Self { membership, marks })
    }

    /// Replaces what was last written. Not synced to the disk: a crash may bring the file before
    /// back, or leave one that cannot be read.
    pub(crate) fn write(&self, directory: &Directory) -> io::Result<()> {
        let mut out = MAGIC.to_vec();
        self.membership.encode(&mut Encoder::new(&mut out));
        self.marks.encode(&mut Encoder::new(&mut out));
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        let (new, path) = (directory.path().join("members.new"), directory.path().join("members"));
        File::create(&new)?.write_all(&out)?;
        fs::rename(new, path)
    }

    /// Forgets what was last written: it is of another cluster, or of an earlier self. Marks of
    /// another cluster, told to the members of this one, would make this node's disk an old one.
    pub(crate) fn forget(directory: &Directory) -> io::Result<()> {
        match fs::remove_file(directory.path().join("members")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Peer addresses of all members but `me` and those that are only awaited.
    pub(crate) fn addresses(&self, me: NodeId) -> Vec<String> {
        self.membership
            .members()
            .filter(|(member, _)| member.id != me && !member.is_awaited())
            .map(|(member, _)| member.peer_address.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use remex_model::{Incarnation, Member};

    use super::*;

    #[test]
    fn it_survives_and_damage_means_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        assert_eq!(Recollection::read(&directory), Recollection::default());
        let member = |id: u64| Member {
            id: NodeId(id),
            incarnation: Incarnation(id),
            name: format!("n{id}"),
            peer_address: format!("127.0.0.1:{id}"),
            client_url: String::new(),
            promote: true,
        };
        let mut membership = Membership::founded([member(1), member(2)]);
        // Nobody is there yet who could be asked.
        let awaited = Member { incarnation: Incarnation(0), ..member(3) };
        membership.apply(&[remex_model::MemberChange::Add(awaited)]).unwrap();
        let membership = Arc::new(membership);
        let known = Recollection { membership, marks: Marks::default() };
        known.write(&directory).unwrap();
        assert_eq!(Recollection::read(&directory), known);
        assert_eq!(known.addresses(NodeId(1)), ["127.0.0.1:2"]);
        for _ in 0..2 {
            Recollection::forget(&directory).unwrap();
            assert_eq!(Recollection::read(&directory), Recollection::default());
        }
        known.write(&directory).unwrap();
        let path = folder.path().join("members");
        let good = fs::read(&path).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert_eq!(Recollection::read(&directory), Recollection::default());
        }
    }
}
