//! What a surface is made of: the ports, the options, and what all requests share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use remex_model::{Admin, BoxFuture, Error, Service};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use crate::layers::{RequestIds, ServedBy};
use crate::traffic::{Arrival, Traffic};

/// The ports that the surface translates for, and how it serves.
#[derive(Clone, Debug)]
pub struct Surface {
    /// The store.
    pub service: Arc<dyn Service>,
    /// What the node says about itself.
    pub admin: Arc<dyn Admin>,
    /// What is logged, if that can be changed while the program runs.
    pub logs: Option<Arc<dyn Logs>>,
    /// Who knows how peers reach a node that is named by its URL for clients. Without it, a
    /// dialect that is given such a URL takes its host and port for the peer address.
    pub neighbors: Option<Arc<dyn Neighbors>>,
    /// Who takes connections to the client port that are not HTTP.
    pub guests: Option<Arc<dyn Guests>>,
    /// How to serve.
    pub options: Options,
}

impl Surface {
    /// A surface over the ports alone, served as usual.
    #[must_use]
    pub fn new(service: Arc<dyn Service>, admin: Arc<dyn Admin>) -> Self {
        let options = Options::default();
        Self { service, admin, logs: None, neighbors: None, guests: None, options }
    }
}

/// Asks other nodes where their peers reach them.
pub trait Neighbors: fmt::Debug + Send + Sync + 'static {
    /// The peer address, `host:port`, of the node that serves clients at `url`.
    ///
    /// # Errors
    /// If nobody answers there by the deadline, or something that is no node does.
    fn peer_address(&self, url: String, deadline: Instant) -> BoxFuture<'_, Result<String, Error>>;
}

/// Takes over connections of another protocol, so that one port can serve both.
pub trait Guests: fmt::Debug + Send + Sync + 'static {
    /// Whether a connection that begins with these bytes is for them; `None` if more bytes are
    /// needed to tell, of which there must not be many.
    fn wants(&self, first: &[u8]) -> Option<bool>;
    /// Takes a connection over, none of its bytes read yet.
    fn take(&self, stream: TcpStream);
}

/// Says and changes what the program logs. The program implements it, because it alone knows how
/// its logs are made.
pub trait Logs: fmt::Debug + Send + Sync + 'static {
    /// What is logged now: a level such as `info`, or a filter by part such as
    /// `info,remex_http=debug`.
    fn filter(&self) -> String;
    /// Changes what is logged from now on.
    ///
    /// # Errors
    /// Says what a filter has to look like, as the end of a sentence that names the filter.
    fn set_filter(&self, filter: &str) -> Result<(), String>;
}

/// How to serve. [`Options::default`] is right for almost everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Milliseconds that a request may take, its body included. Then it is answered with 504.
    pub request_timeout_ms: u64,
    /// Milliseconds that a change of the membership may take. Becoming a voter takes as long as
    /// catching up does.
    pub change_timeout_ms: u64,
    /// Milliseconds that the making of a snapshot may take. Reading it takes as long as the client
    /// takes.
    pub snapshot_timeout_ms: u64,
    /// Most snapshots that are read at a time; each holds a thread.
    pub snapshots_max: usize,
    /// Milliseconds that a new connection has to send its first request head.
    pub head_timeout_ms: u64,
    /// Milliseconds after which a connection is closed if no request is in flight on it, none
    /// began, and no byte of an answer left: an idle one, one whose client trickles its headers,
    /// one whose client does not read. It may take twice as long.
    pub idle_timeout_ms: u64,
    /// Milliseconds that requests in flight have to finish after shutdown began; then their
    /// connections are dropped.
    pub drain_timeout_ms: u64,
    /// Most connections at a time. Further ones wait in the kernel's queue until one ends.
    pub connections_max: usize,
    /// Host names under which requests that write by GET are taken, beside the usual ones
    /// (addresses, names without dots, names that nobody else can own).
    pub allow_hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout_ms: 5_000,
            change_timeout_ms: 30_000,
            snapshot_timeout_ms: 600_000,
            snapshots_max: 4,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            drain_timeout_ms: 6_000,
            connections_max: 10_000,
            allow_hosts: Vec::new(),
        }
    }
}

/// What all requests of one surface share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) admin: Arc<dyn Admin>,
    pub(crate) logs: Option<Arc<dyn Logs>>,
    pub(crate) neighbors: Option<Arc<dyn Neighbors>>,
    pub(crate) guests: Option<Arc<dyn Guests>>,
    pub(crate) options: Options,
    pub(crate) traffic: Traffic,
    /// A permit for each snapshot that may be read at the moment.
    pub(crate) snapshots: Arc<Semaphore>,
    pub(crate) request_ids: RequestIds,
    pub(crate) served_by: ServedBy,
    draining: AtomicBool,
    drain: Notify,
}

impl Shared {
    pub(crate) fn new(surface: Surface) -> Self {
        let Surface { service, admin, logs, neighbors, guests, options } = surface;
        Self {
            served_by: ServedBy::new(&admin.node()),
            service,
            admin,
            logs,
            neighbors,
            guests,
            traffic: Traffic::default(),
            snapshots: Arc::new(Semaphore::new(options.snapshots_max)),
            options,
            request_ids: RequestIds::new(),
            draining: AtomicBool::new(false),
            drain: Notify::new(),
        }
    }

    /// The moment by which a request must be answered.
    pub(crate) fn deadline_of(&self, arrival: Arrival) -> Instant {
        arrival.began + Duration::from_millis(self.options.request_timeout_ms)
    }

    /// The moment by which a request that begins now must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        in_ms(self.options.request_timeout_ms)
    }

    /// The moment by which a change of the membership that begins now must be done.
    pub(crate) fn change_deadline(&self) -> Instant {
        in_ms(self.options.change_timeout_ms)
    }

    /// The moment by which a snapshot that is asked for now must be made.
    pub(crate) fn snapshot_deadline(&self) -> Instant {
        in_ms(self.options.snapshot_timeout_ms)
    }

    /// Turns `/readyz` bad: no connection is accepted from now on.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.drain.notify_waiters();
    }

    /// Waits until no connection is accepted any more.
    pub(crate) async fn drained(&self) {
        let begun = self.drain.notified();
        if !self.is_draining() {
            begun.await;
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

fn in_ms(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}
