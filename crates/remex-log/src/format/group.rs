//! Groups: what one write to the disk carries.

use bytes::{BufMut, Bytes};

use super::record::{self, Record};
use super::{BLOCK, BLOCK_BYTES, keyed_checksum};
use crate::LogEntry;

/// Bytes of a group in front of its payload.
pub(crate) const GROUP_HEADER_BYTES: usize = 32;

const MAGIC: &[u8; 4] = b"RXLG";

/// The part of the header that its checksum covers: everything behind the checksum.
const FIELD_BYTES: usize = 20;

/// Recognizes a segment's own groups even if their checksum fails.
fn tag(salt: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = salt.to_le_bytes();
    [a, b, c, d]
}

/// The fields of a group's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) payload_checksum: u32,
    pub(crate) payload_bytes: u32,
    /// How many records the payload holds.
    pub(crate) records: u32,
    /// When this group was written, everything before this offset of the segment was synced.
    pub(crate) synced_to: u64,
}

/// What stands at a place where a group could begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The header of a group of this segment; its payload is still to be checked.
    Header(GroupHeader),
    /// The beginnings of a group of this segment that does not pass.
    Damaged,
    /// Zeros, or what an earlier use of the file left: no group of this segment.
    Foreign,
}

impl Frame {
    /// Looks at the first bytes of a block.
    ///
    /// Magic and tag are redundant and outside the checksum: a group whose checksum is right
    /// passes without them, and one whose checksum is wrong is known by its tag. So no single
    /// flipped bit makes the last group of a log look as if it had never been written.
    pub(crate) fn look(block: &[u8], salt: u64, offset: u64) -> Self {
        let Some(header) = block.first_chunk::<GROUP_HEADER_BYTES>() else {
            return Self::Foreign;
        };
        let fields = header.last_chunk::<FIELD_BYTES>();
        let checksum = header.get(8..12).and_then(|bytes| bytes.first_chunk::<4>());
        let (Some(fields), Some(checksum)) = (fields, checksum) else {
            return Self::Foreign;
        };
        let expected = crc32c::crc32c_append(keyed_checksum(salt, offset), fields);
        if expected == u32::from_le_bytes(*checksum)
            && let Some(header) = GroupHeader::decode(fields)
        {
            return Self::Header(header);
        }
        if Self::has_tag(block, salt) { Self::Damaged } else { Self::Foreign }
    }

    /// Whether the block bears the mark of this segment's groups. Asked for besides the checksum
    /// where many blocks of old content are looked at and 32 bits would meet by chance.
    pub(crate) fn has_tag(block: &[u8], salt: u64) -> bool {
        block.get(4..8) == Some(&tag(salt)[..])
    }
}

impl GroupHeader {
    fn decode(fields: &[u8; FIELD_BYTES]) -> Option<Self> {
        let (payload_checksum, rest) = fields.split_first_chunk::<4>()?;
        let (payload_bytes, rest) = rest.split_first_chunk::<4>()?;
        let (records, rest) = rest.split_first_chunk::<4>()?;
        let synced_to = rest.first_chunk::<8>()?;
        Some(Self {
            payload_checksum: u32::from_le_bytes(*payload_checksum),
            payload_bytes: u32::from_le_bytes(*payload_bytes),
            records: u32::from_le_bytes(*records),
            synced_to: u64::from_le_bytes(*synced_to),
        })
    }

    /// Bytes of header and payload.
    pub(crate) fn bytes(&self) -> usize {
        GROUP_HEADER_BYTES + self.payload_bytes as usize
    }

    /// Bytes of the group on disk: padded to whole blocks.
    pub(crate) fn bytes_padded(&self) -> u64 {
        (self.bytes() as u64).next_multiple_of(BLOCK_BYTES)
    }

    /// The payload of `group` (header, payload, perhaps padding) if it is what was written.
    pub(crate) fn payload<'a>(&self, group: &'a [u8], salt: u64, offset: u64) -> Option<&'a [u8]> {
        let payload = group.get(GROUP_HEADER_BYTES..self.bytes())?;
        let checksum = crc32c::crc32c_append(keyed_checksum(salt, offset), payload);
        (checksum == self.payload_checksum).then_some(payload)
    }

    /// Checks a whole group and takes its payload, sharing its memory.
    pub(crate) fn open(group: Bytes, salt: u64, offset: u64) -> Option<(Self, Bytes)> {
        let Frame::Header(header) = Frame::look(&group, salt, offset) else {
            return None;
        };
        header.payload(&group, salt, offset)?;
        Some((header, group.slice(GROUP_HEADER_BYTES..header.bytes())))
    }
}

/// Builds groups, one after the other, in one buffer.
#[derive(Debug)]
pub(crate) struct GroupBuffer {
    bytes: Vec<u8>,
    records: u32,
}

impl GroupBuffer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; GROUP_HEADER_BYTES], records: 0 }
    }

    /// Bytes of header and payload so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Begins an empty group.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(GROUP_HEADER_BYTES);
        self.records = 0;
    }

    /// Appends a record.
    pub(crate) fn push(&mut self, record: &Record) {
        record.encode(&mut self.bytes);
        self.records += 1;
    }

    /// Appends an entry.
    pub(crate) fn push_entry(&mut self, entry: &LogEntry) {
        record::encode_entry(entry, &mut self.bytes);
        self.records += 1;
    }

    /// Appends records that are encoded already.
    pub(crate) fn push_payload(&mut self, payload: &[u8], records: u32) {
        self.bytes.extend_from_slice(payload);
        self.records += records;
    }

    /// Fills in the header, pads to whole blocks, and returns the bytes to be written at `offset`.
    pub(crate) fn finish(&mut self, salt: u64, offset: u64, synced_to: u64) -> &[u8] {
        let payload_bytes = self.bytes.len() - GROUP_HEADER_BYTES;
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        let (mut header, rest) = self.bytes.split_at_mut(GROUP_HEADER_BYTES);
        let payload = rest.split_at(payload_bytes).0;
        let key = keyed_checksum(salt, offset);
        let mut fields = [0; FIELD_BYTES];
        let mut out = &mut fields[..];
        out.put_u32_le(crc32c::crc32c_append(key, payload));
        out.put_u32_le(u32::try_from(payload_bytes).expect("a group is far below 4 GiB"));
        out.put_u32_le(self.records);
        out.put_u64_le(synced_to);
        header.put_slice(MAGIC);
        header.put_slice(&tag(salt));
        header.put_u32_le(crc32c::crc32c_append(key, &fields));
        header.put_slice(&fields);
        &self.bytes
    }
}
