//! The cursor of a listing: where the last page ended, and of which listing it is a page.
//!
//! It carries all that makes the listing, so that a cursor alone goes on with it, on any node, at
//! the revision of the first page. Opaque to clients: base64url of a version byte, the fields, and
//! a checksum that catches cursors cut or altered on their way.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use remex_model::{
    DecodeError, Decoder, Encoder, Error, ErrorCode, Key, KeyRange, Order, Revision,
};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The revision that all pages are read at.
    pub(crate) revision: Revision,
    /// Number of keys in the whole range, counted for the first page.
    pub(crate) count: u64,
    /// The range of the listing.
    pub(crate) range: KeyRange,
    /// Its order.
    pub(crate) order: Order,
    /// The last key of the last page.
    pub(crate) after: Key,
}

impl Cursor {
    /// The cursor as text.
    pub(crate) fn to_text(&self) -> String {
        let mut out = Vec::with_capacity(64);
        let mut encoder = Encoder::new(&mut out);
        encoder.u8(VERSION);
        encoder.bool(self.order == Order::Descending);
        encoder.u64(self.revision.get());
        encoder.u64(self.count);
        encoder.bytes(&self.range.start);
        encoder.bool(self.range.end.is_some());
        if let Some(end) = &self.range.end {
            encoder.bytes(end);
        }
        encoder.bytes(self.after.as_bytes());
        let checksum = crc32c::crc32c(&out);
        Encoder::new(&mut out).u32(checksum);
        URL_SAFE_NO_PAD.encode(out)
    }

    /// Reads a cursor.
    ///
    /// # Errors
    /// If it is not exactly what [`Cursor::to_text`] made.
    pub(crate) fn from_text(text: &str) -> Result<Self, Error> {
        let invalid = || {
            Error::new(ErrorCode::BadRequest, "the cursor is not one that a listing returned")
                .hint("send `next` of the last page unchanged, or begin again without a cursor")
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_not_base64| invalid())?;
        let length = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or_else(invalid)?;
        let (fields, checksum) = bytes.split_at(length);
        if checksum != crc32c::crc32c(fields).to_le_bytes() {
            return Err(invalid());
        }
        let cursor =
            Self::decode(Bytes::copy_from_slice(fields)).map_err(|_malformed| invalid())?;
        if cursor.revision == Revision(0) || !cursor.range.contains(cursor.after.as_bytes()) {
            return Err(invalid());
        }
        Ok(cursor)
    }

    fn decode(fields: Bytes) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(fields);
        let version = decoder.u8("cursor version")?;
        if version != VERSION {
            let value = u64::from(version);
            return Err(DecodeError::Unknown { field: "cursor version", value });
        }
        let order = if decoder.bool("order")? { Order::Descending } else { Order::Ascending };
        let revision = Revision(decoder.u64("revision")?);
        let count = decoder.u64("count")?;
        let start = decoder.bytes("start")?;
        let end = if decoder.bool("has end")? { Some(decoder.bytes("end")?) } else { None };
        let after = Key::new(decoder.bytes("after")?);
        decoder.finish()?;
        Ok(Self { revision, count, range: KeyRange { start, end }, order, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors() -> [Cursor; 2] {
        let ascending = Cursor {
            revision: Revision(42),
            count: 7,
            range: KeyRange::prefix("app/"),
            order: Order::Ascending,
            after: "app/ü".into(),
        };
        let descending = Cursor {
            range: KeyRange::all(),
            order: Order::Descending,
            after: Key::new(&b"\xff"[..]),
            ..ascending.clone()
        };
        [ascending, descending]
    }

    #[test]
    fn a_cursor_reads_what_it_wrote() {
        for cursor in cursors() {
            let text = cursor.to_text();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            assert_eq!(Cursor::from_text(&text).unwrap(), cursor);
        }
    }

    #[test]
    fn a_cut_or_altered_cursor_is_refused() {
        for text in cursors().map(|cursor| cursor.to_text()) {
            for length in 0..text.len() {
                assert!(Cursor::from_text(&text[..length]).is_err());
            }
            for position in 0..text.len() {
                let mut altered = text.clone().into_bytes();
                altered[position] = if altered[position] == b'A' { b'B' } else { b'A' };
                let altered = String::from_utf8(altered).unwrap();
                assert!(Cursor::from_text(&altered).is_err(), "{altered}");
            }
            assert!(Cursor::from_text(&format!("{text}A")).is_err());
        }
    }

    #[test]
    fn a_cursor_that_points_out_of_its_range_is_refused() {
        let [cursor, _] = cursors();
        let text = Cursor { after: "b".into(), ..cursor }.to_text();
        assert!(Cursor::from_text(&text).is_err());
    }
}
