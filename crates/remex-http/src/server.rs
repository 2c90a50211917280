//! Serving: the listeners, the accept loop, and a shutdown that loses no answer.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Dialect;
use crate::connection::Protocol;
use crate::dispatch::Dispatch;
use crate::surface::{Options, Shared, Surface};

/// The pause after a failed accept, for example with no file descriptor left: long enough not to
/// spin, short enough not to be noticed once one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket, and what is spoken on it.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// The only dialect that is spoken there. `None` for the client port: the native API, and the
    /// dialects that stand beside it.
    pub dialect: Option<Dialect>,
}

impl From<TcpListener> for Listener {
    /// The client port.
    fn from(socket: TcpListener) -> Self {
        Self { socket, dialect: None }
    }
}

/// Serves the surface on all `listeners` until `shutdown` is ready. Then no connection is accepted
/// any more, requests in flight are finished and answered with `connection: close`, and idle
/// connections are closed. Returns when the last one has ended, or after
/// [`Options::drain_timeout_ms`].
///
/// Dropping the future drops all connections at once.
///
/// # Errors
/// None today: a failed accept is logged, and tried again after a pause.
pub async fn serve(
    listeners: impl IntoIterator<Item = Listener>,
    surface: Surface,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let shared = Arc::new(Shared::new(surface));
    let options = &shared.options;
    let mut sockets: Vec<Listening> =
        listeners.into_iter().map(|listener| Listening::new(listener, &shared)).collect();
    let protocol = Arc::new(protocol(options));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection met a defect");
                }
            }
            (stream, dispatch) = accept(&mut sockets),
                if connections.len() < options.connections_max =>
            {
                let protocol = Arc::clone(&protocol);
                let (shared, watcher) = (Arc::clone(&shared), graceful.watcher());
                connections.spawn(async move {
                    let _open = shared.traffic.connection();
                    protocol.serve(stream, dispatch, &shared, watcher).await;
                });
            }
        }
    }
    drop(sockets);
    shared.start_draining();
    let drain_timeout = Duration::from_millis(options.drain_timeout_ms);
    if tokio::time::timeout(drain_timeout, graceful.shutdown()).await.is_err() {
        let count = connections.len();
        tracing::warn!(count, "dropped connections that did not end in time");
    }
    connections.shutdown().await;
    Ok(())
}

/// A socket, and who answers what comes in there.
#[derive(Debug)]
struct Listening {
    socket: TcpListener,
    dispatch: Arc<Dispatch>,
}

impl Listening {
    fn new(listener: Listener, shared: &Arc<Shared>) -> Self {
        let Listener { socket, dialect } = listener;
        Self { socket, dispatch: Arc::new(Dispatch::new(Arc::clone(shared), dialect)) }
    }
}

fn protocol(options: &Options) -> Protocol {
    Protocol::new(
        Duration::from_millis(options.head_timeout_ms),
        Duration::from_millis(options.idle_timeout_ms),
    )
}

/// The next connection to any of the sockets. Failures are outlived: those of a single connection
/// at once, those of the process after a pause.
async fn accept(sockets: &mut [Listening]) -> (TcpStream, Arc<Dispatch>) {
    loop {
        let (position, accepted) = poll_fn(|context| next(sockets, context)).await;
        // The others are asked first the next time.
        sockets.rotate_left(position + 1);
        let error = match (accepted, sockets.last()) {
            (Ok((stream, peer)), Some(listening)) => {
                return (prepared(stream, peer), Arc::clone(&listening.dispatch));
            }
            (Ok(_), None) => continue,
            (Err(error), _) => error,
        };
        if is_of_one_connection(&error) {
            tracing::debug!(%error, "a connection ended before it was accepted");
        } else {
            tracing::warn!(%error, "cannot accept a connection; trying again");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// What comes in at the first socket that has something.
fn next(sockets: &[Listening], context: &mut Context<'_>) -> Poll<(usize, Accepted)> {
    for (position, listening) in sockets.iter().enumerate() {
        if let Poll::Ready(accepted) = listening.socket.poll_accept(context) {
            return Poll::Ready((position, accepted));
        }
    }
    Poll::Pending
}

type Accepted = io::Result<(TcpStream, SocketAddr)>;

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Turns off the delay that collects small packets: answers are written whole.
fn prepared(stream: TcpStream, peer: SocketAddr) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "cannot turn off the delay of small packets");
    }
    stream
}
