//! Frames: a u32 length, a u32 CRC32C of the payload, the payload (little-endian).

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 8;

/// Longest payload. The longest message is a batch of entries: the bound on a message plus one
/// entry, which holds at most the longest request.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest payload before the other side has said who it is.
pub(crate) const HELLO_BYTES_MAX: usize = 64 * 1024;

/// Appends a frame whose payload `write` appends.
pub(crate) fn append(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    write(out);
    let payload = &out[start + HEADER_BYTES..];
    let length = u32::try_from(payload.len()).expect("messages are bounded far below 4 GiB");
    let checksum = crc32c::crc32c(payload);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// Takes the next whole frame's payload out of a buffer; `None` if it is not all there yet.
pub(crate) fn take(buffer: &mut BytesMut, payload_max: usize) -> io::Result<Option<Bytes>> {
    let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [a, b, c, d, checksum @ ..] = *header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > payload_max {
        let message = foreign([a, b, c, d]).map_or_else(
            || format!("a frame of {length} bytes, at most {payload_max} are taken"),
            ToOwned::to_owned,
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    if buffer.len() < HEADER_BYTES + length {
        buffer.reserve(HEADER_BYTES + length - buffer.len());
        return Ok(None);
    }
    buffer.advance(HEADER_BYTES);
    let payload = buffer.split_to(length).freeze();
    if crc32c::crc32c(&payload) != u32::from_le_bytes(checksum) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame's checksum is wrong"));
    }
    Ok(Some(payload))
}

/// The likeliest of what is no frame: ports for clients and for peers that were mistaken for each
/// other. What HTTP begins with is longer than any frame.
fn foreign(start: [u8; 4]) -> Option<&'static str> {
    match &start {
        b"HTTP" => Some(
            "HTTP is spoken there: this is an address for clients; give that of its --peer-listen, \
             or write http:// in front of it",
        ),
        b"GET " | b"PUT " | b"POST" | b"DELE" | b"HEAD" => {
            Some("it speaks HTTP: clients connect to the address of --listen")
        }
        _ => None,
    }
}

/// Reads one frame.
pub(crate) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    payload_max: usize,
) -> io::Result<Bytes> {
    loop {
        if let Some(payload) = take(buffer, payload_max)? {
            return Ok(payload);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Writes one frame.
pub(crate) async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    write: impl FnOnce(&mut Vec<u8>),
) -> io::Result<()> {
    let mut out = Vec::with_capacity(256);
    append(&mut out, write);
    stream.write_all(&out).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_whatever_the_cuts() {
        let mut out = Vec::new();
        append(&mut out, |out| out.extend_from_slice(b"first"));
        append(&mut out, |_| ());
        append(&mut out, |out| out.extend_from_slice(&[7; 1000]));
        let mut buffer = BytesMut::new();
        let mut payloads = Vec::new();
        for byte in out {
            buffer.extend_from_slice(&[byte]);
            while let Some(payload) = take(&mut buffer, 1000).unwrap() {
                payloads.push(payload.len());
            }
        }
        assert_eq!(payloads, [5, 0, 1000]);
    }

    #[test]
    fn a_flipped_bit_or_a_huge_length_is_refused() {
        let mut out = Vec::new();
        append(&mut out, |out| out.extend_from_slice(b"payload"));
        for position in 4..out.len() {
            let mut bad = BytesMut::from(&out[..]);
            bad[position] ^= 4;
            assert!(take(&mut bad, 1000).is_err(), "byte {position}");
        }
        let mut huge = BytesMut::from(&[0xff; 64][..]);
        assert!(take(&mut huge, PAYLOAD_BYTES_MAX).is_err());
    }

    #[test]
    fn ports_that_were_mistaken_for_each_other_are_told() {
        for (sent, want) in [
            ("HTTP/1.1 400 Bad Request\r\n", "--peer-listen"),
            ("GET /v1/node HTTP/1.1\r\n", "clients connect to the address of --listen"),
            ("SSH-2.0-OpenSSH\r\n", "a frame of"),
        ] {
            let error = take(&mut BytesMut::from(sent), PAYLOAD_BYTES_MAX).unwrap_err();
            assert!(error.to_string().contains(want), "{sent}: {error}");
        }
    }
}
