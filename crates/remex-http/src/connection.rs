//! One connection: its protocol, and how long it may be silent.
//!
//! HTTP/1.1 and HTTP/2 with prior knowledge share the port. Hyper's own timer for request heads
//! is not used: it arms and disarms a timer for every request, starts only once the protocol is
//! known, and does not see a client that stops reading. Instead the connection notes that
//! something happened (a request began, bytes of an answer left), and is looked at once a period.
//! A request in flight is not silence, however long it takes: it has a deadline of its own.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Guests;
use crate::dispatch::Dispatch;
use crate::surface::Shared;
use crate::unescaped::Unescaped;

/// Longest request head, in bytes. A key of the greatest length that can be set, every byte of it
/// percent-encoded, takes 48 KiB.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// Bytes that tell the guests' connections from ours.
const FIRST_BYTES: usize = 32;

/// Pause between two looks at a connection that has sent too little to tell whose it is.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Most requests at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// How connections are served; shared by all of them.
#[derive(Debug)]
pub(crate) struct Protocol {
    builder: Builder<TokioExecutor>,
    /// Until the first request.
    head_timeout: Duration,
    /// Between requests, and between bytes of an answer.
    idle_timeout: Duration,
}

impl Protocol {
    pub(crate) fn new(head_timeout: Duration, idle_timeout: Duration) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().max_buf_size(HEAD_BYTES_MAX);
        builder
            .http2()
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
        Self { builder, head_timeout, idle_timeout }
    }

    /// Serves one connection until the client closes it, it is silent for too long, or `watcher`
    /// ends it between two requests.
    pub(crate) async fn serve(
        &self,
        stream: TcpStream,
        dispatch: Arc<Dispatch>,
        shared: &Shared,
        watcher: Watcher,
    ) {
        // Peers come in by the client port alone.
        let guests = shared.guests.as_ref().filter(|_| dispatch.is_client_port());
        let stream = match guests {
            None => stream,
            Some(guests) => match timeout(self.head_timeout, sort(stream, &**guests, shared)).await
            {
                Ok(Some(stream)) => stream,
                Ok(None) => return,
                Err(_elapsed) => {
                    tracing::debug!("closed a silent connection");
                    return;
                }
            },
        };
        let life = Arc::new(Life {
            dispatch,
            moved: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
        });
        let stream = TokioIo::new(stream);
        let inner = Unescaped::new(stream, life.dispatch.unescaped(), HEAD_BYTES_MAX);
        let io = Monitored { inner, life: Arc::clone(&life) };
        let server = Arc::clone(&life);
        let service = service_fn(move |request: Request<Incoming>| {
            let flight = Flight::begin(&server);
            async move { Ok::<_, Infallible>(flight.0.dispatch.answer(request).await) }
        });
        let connection = self.builder.serve_connection(io, service);
        let mut connection = pin!(watcher.watch(connection));
        let mut silence = pin!(tokio::time::sleep(self.head_timeout));
        loop {
            tokio::select! {
                biased;
                result = &mut connection => {
                    if let Err(error) = result {
                        // The client broke off, or what it sent was not HTTP. It has been told
                        // if it could be.
                        tracing::debug!(error, "a connection ended early");
                    }
                    return;
                }
                () = &mut silence => {
                    if life.was_silent() {
                        tracing::debug!("closed a silent connection");
                        return;
                    }
                    silence.as_mut().reset(tokio::time::Instant::now() + self.idle_timeout);
                }
            }
        }
    }
}

/// Gives a connection to the guests if its first bytes are theirs; otherwise it comes back, with
/// none of its bytes read. `None` as well if it broke, or has not said whose it is when the server
/// shuts down.
async fn sort(stream: TcpStream, guests: &dyn Guests, shared: &Shared) -> Option<TcpStream> {
    let mut first = [0; FIRST_BYTES];
    let mut seen = 0;
    loop {
        let peeked = tokio::select! {
            biased;
            peeked = stream.peek(&mut first) => peeked,
            () = shared.drained() => return None,
        };
        let length = match peeked {
            Ok(0) => return None,
            Ok(length) => length,
            Err(error) => {
                tracing::debug!(%error, "a connection ended early");
                return None;
            }
        };
        match guests.wants(&first[..length]) {
            Some(true) => {
                guests.take(stream);
                return None;
            }
            Some(false) => return Some(stream),
            None if length == FIRST_BYTES => return Some(stream),
            // The few bytes that are there make the socket readable at once: look again in a moment.
            None if length == seen && shared.is_draining() => return None,
            None if length == seen => tokio::time::sleep(FIRST_PAUSE).await,
            None => seen = length,
        }
    }
}

/// What a connection and the requests on it share.
#[derive(Debug)]
struct Life {
    dispatch: Arc<Dispatch>,
    /// Whether a request began, or bytes left, since the last look.
    moved: AtomicBool,
    /// Requests that have begun and are not answered yet, nor given up.
    in_flight: AtomicUsize,
}

impl Life {
    /// Whether nothing has happened since the last look, and nothing is under way.
    fn was_silent(&self) -> bool {
        !self.moved.swap(false, Ordering::Relaxed) && self.in_flight.load(Ordering::Relaxed) == 0
    }
}

/// A request in flight.
#[derive(Debug)]
struct Flight(Arc<Life>);

impl Flight {
    fn begin(life: &Arc<Life>) -> Self {
        life.moved.store(true, Ordering::Relaxed);
        life.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(life))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that notes when bytes leave.
#[derive(Debug)]
struct Monitored {
    inner: Unescaped<TokioIo<TcpStream>>,
    life: Arc<Life>,
}

impl Monitored {
    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(result, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.life.moved.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Read for Monitored {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl Write for Monitored {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
