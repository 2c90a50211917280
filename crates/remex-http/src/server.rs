//! Serving: the accept loop, and a shutdown that loses no answer.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::connection::Protocol;
use crate::dispatch::Dispatch;
use crate::surface::{Options, Shared, Surface};

/// The pause after a failed accept, for example with no file descriptor left: long enough not to
/// spin, short enough not to be noticed once one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the surface on `listener` until `shutdown` is ready. Then no connection is accepted any
/// more, requests in flight are finished and answered with `connection: close`, and idle
/// connections are closed. Returns when the last one has ended, or after
/// [`Options::drain_timeout_ms`].
///
/// Dropping the future drops all connections at once.
///
/// # Errors
/// None today: a failed accept is logged, and tried again after a pause.
pub async fn serve(
    listener: TcpListener,
    surface: Surface,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let shared = Arc::new(Shared::new(surface));
    let options = &shared.options;
    let dispatch = Arc::new(Dispatch::new(Arc::clone(&shared)));
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
            stream = accept(&listener), if connections.len() < options.connections_max => {
                let (protocol, dispatch) = (Arc::clone(&protocol), Arc::clone(&dispatch));
                let (shared, watcher) = (Arc::clone(&shared), graceful.watcher());
                connections.spawn(async move {
                    let _open = shared.traffic.connection();
                    protocol.serve(stream, dispatch, watcher).await;
                });
            }
        }
    }
    drop(listener);
    shared.start_draining();
    let drain_timeout = Duration::from_millis(options.drain_timeout_ms);
    if tokio::time::timeout(drain_timeout, graceful.shutdown()).await.is_err() {
        let count = connections.len();
        tracing::warn!(count, "dropped connections that did not end in time");
    }
    connections.shutdown().await;
    Ok(())
}

fn protocol(options: &Options) -> Protocol {
    Protocol::new(
        Duration::from_millis(options.head_timeout_ms),
        Duration::from_millis(options.idle_timeout_ms),
    )
}

/// The next connection. Failures are outlived: those of a single connection at once, those of the
/// process after a pause.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        let error = match listener.accept().await {
            Ok((stream, peer)) => return prepared(stream, peer),
            Err(error) => error,
        };
        if is_of_one_connection(&error) {
            tracing::debug!(%error, "a connection ended before it was accepted");
        } else {
            tracing::warn!(%error, "cannot accept a connection; trying again");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

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
