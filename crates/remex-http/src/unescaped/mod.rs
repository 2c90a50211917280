//! Request lines that hold what no URL may.
//!
//! Some clients send a target as a person typed it: `GET /tailfeather/key-val/set?key=a&val={ 'b':
//! 1 } HTTP/1.1`. The HTTP library refuses that line, so it is escaped before the library reads
//! it. Only lines that begin in a way that a dialect has registered are touched, and only where a
//! request begins.
//!
//! To know where requests begin, their heads have to be followed. That is done for as long as
//! every request on the connection began in such a way and had no body; from the first other one
//! on, bytes pass as they are, for ever. So no byte of a body can be taken for a line, and all
//! other traffic pays for one look at the first bytes of its connection.
//!
//! - `lines`: the state machine, which knows bytes alone. Here it is put over a stream.

mod lines;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use lines::Lines;

/// Bytes read at a time while lines are looked at.
const CHUNK_BYTES: usize = 4 * 1024;

/// A stream whose request lines are escaped where that is needed.
#[derive(Debug)]
pub(crate) struct Unescaped<S> {
    stream: S,
    /// `None` once all that it held back has passed.
    lines: Option<Lines>,
}

impl<S> Unescaped<S> {
    /// As [`Lines::new`]; without `starts` nothing is looked at.
    pub(crate) fn new(stream: S, starts: &'static [&'static [u8]], line_bytes_max: usize) -> Self {
        let lines = (!starts.is_empty()).then(|| Lines::new(starts, line_bytes_max));
        Self { stream, lines }
    }
}

impl<S: Read + Unpin> Read for Unescaped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while let Some(lines) = &mut this.lines {
            let ready = lines.ready();
            if !ready.is_empty() {
                let length = ready.len().min(buffer.remaining());
                buffer.put_slice(&ready[..length]);
                lines.consume(length);
                return Poll::Ready(Ok(()));
            }
            if lines.is_passing() {
                this.lines = None;
                break;
            }
            let mut chunk = [0; CHUNK_BYTES];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(context, read.unfilled()))?;
            match read.filled() {
                // The end of the stream: what was held back is all there is, and behind it the
                // stream says again that it has ended.
                [] => lines.pass(),
                bytes => lines.feed(bytes),
            }
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl<S: Write + Unpin> Write for Unescaped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
