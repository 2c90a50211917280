//! A snapshot as the body of an answer.
//!
//! The source is read by a thread of the blocking pool, chunk by chunk, into a short queue: a
//! client that reads slowly makes the thread wait, and a client that goes away drops the queue,
//! which ends it. The thread starts when the body is first asked for, so that HEAD reads nothing.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use remex_model::SnapshotSource;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, Sender, channel};

const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that wait for the client.
const CHUNKS_MAX: usize = 2;

/// Why a body ended before its announced length. The connection is closed then, so that the
/// client notices.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the snapshot could not be read to its end")
    }
}

impl std::error::Error for Cut {}

/// The bytes of a snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotBody {
    state: State,
    /// Bytes that have not been handed on.
    left: u64,
}

#[derive(Debug)]
enum State {
    /// Nobody has asked for a byte yet.
    Ready(Option<(SnapshotSource, OwnedSemaphorePermit)>),
    /// A thread reads.
    Reading(Receiver<Bytes>),
    /// The end, or a failure, has been told.
    Ended,
}

impl SnapshotBody {
    /// The permit is given back when the source is closed.
    pub(crate) fn new(source: SnapshotSource, permit: OwnedSemaphorePermit) -> Self {
        Self { left: source.bytes, state: State::Ready(Some((source, permit))) }
    }
}

impl Body for SnapshotBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let State::Ready(source) = &mut self.state {
            let (source, permit) = source.take().expect("a body that is ready has its source");
            let (sender, receiver) = channel(CHUNKS_MAX);
            // Nobody waits for the thread: it ends with the source or with the receiver.
            drop(tokio::task::spawn_blocking(move || {
                read(source, &sender);
                drop(permit);
            }));
            self.state = State::Reading(receiver);
        }
        let State::Reading(receiver) = &mut self.state else { return Poll::Ready(None) };
        let Poll::Ready(chunk) = receiver.poll_recv(context) else { return Poll::Pending };
        let length = chunk.as_ref().map_or(0, Bytes::len) as u64;
        match chunk {
            Some(chunk) if length <= self.left => {
                self.left -= length;
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            None if self.left == 0 => {
                self.state = State::Ended;
                Poll::Ready(None)
            }
            _ => {
                self.state = State::Ended;
                Poll::Ready(Some(Err(Cut)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads to the end of the source, or until nobody wants more.
fn read(mut source: SnapshotSource, chunks: &Sender<Bytes>) {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        match source.read.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
            Ok(0) => return,
            Ok(_) => {
                if chunks.blocking_send(chunk.into()).is_err() {
                    tracing::debug!("a client broke off a snapshot");
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a snapshot cannot be read on");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use remex_model::{ClusterId, Index, Revision};
    use tokio::sync::Semaphore;

    use super::*;

    async fn body(read: impl Read + Send + 'static, bytes: u64) -> SnapshotBody {
        let source = SnapshotSource {
            cluster_id: ClusterId(1),
            index: Index(1),
            revision: Revision(1),
            bytes,
            sha256: [0; 32],
            read: Box::new(read),
        };
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        SnapshotBody::new(source, permit)
    }

    #[tokio::test]
    async fn all_bytes_arrive_in_order_under_an_exact_length() {
        let bytes: Vec<u8> =
            (0..3 * CHUNK_BYTES + 7).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let body = body(io::Cursor::new(bytes.clone()), bytes.len() as u64).await;
        assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64));
        assert_eq!(body.collect().await.unwrap().to_bytes(), bytes);
    }

    #[tokio::test]
    async fn a_source_of_another_length_than_announced_is_an_error() {
        for announced in [CHUNK_BYTES as u64 + 1, 3] {
            let body = body(io::repeat(1).take(CHUNK_BYTES as u64), announced).await;
            assert!(body.collect().await.is_err(), "{announced}");
        }
    }

    /// Fails behind its first chunk, and tells when it is closed.
    struct Broken {
        rest: usize,
        closed: std::sync::mpsc::Sender<()>,
        fails: bool,
    }

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.rest == 0 && self.fails {
                return Err(io::Error::other("rot"));
            }
            let length = if self.fails { buffer.len().min(self.rest) } else { buffer.len() };
            self.rest -= length.min(self.rest);
            Ok(length)
        }
    }

    impl Drop for Broken {
        fn drop(&mut self) {
            // Whoever does not care for the end has dropped the other side.
            self.closed.send(()).ok();
        }
    }

    #[tokio::test]
    async fn a_source_that_cannot_be_read_cuts_the_body() {
        let (closed, _ended) = std::sync::mpsc::channel();
        let broken = Broken { rest: CHUNK_BYTES, closed, fails: true };
        let mut body = body(broken, 2 * CHUNK_BYTES as u64).await;
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_closes_its_source() {
        let (closed, ended) = std::sync::mpsc::channel();
        let endless = Broken { rest: 0, closed, fails: false };
        let mut body = body(endless, u64::MAX).await;
        assert!(body.frame().await.unwrap().is_ok());
        drop(body);
        tokio::task::spawn_blocking(move || ended.recv().unwrap()).await.unwrap();
    }
}
