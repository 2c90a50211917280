//! What a surface is made of: the two ports, the options, and what all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use remex_model::{Admin, Service};

use crate::layers::{RequestIds, ServedBy};

/// The ports that the surface translates for, and how it serves.
#[derive(Clone, Debug)]
pub struct Surface {
    /// The store.
    pub service: Arc<dyn Service>,
    /// What the node says about itself.
    pub admin: Arc<dyn Admin>,
    /// How to serve.
    pub options: Options,
}

/// How to serve. [`Options::default`] is right for almost everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Milliseconds that a request may take, its body included. Then it is answered with 504.
    pub request_timeout_ms: u64,
    /// Milliseconds that a new connection has to send its first request head.
    pub head_timeout_ms: u64,
    /// Milliseconds after which a connection is closed if no request began on it and no byte of
    /// an answer left: an idle one, one whose client trickles its headers, one whose client does
    /// not read. It may take twice as long. Always longer than the request timeout.
    pub idle_timeout_ms: u64,
    /// Milliseconds that requests in flight have to finish after shutdown began; then their
    /// connections are dropped.
    pub drain_timeout_ms: u64,
    /// Most connections at a time. Further ones wait in the kernel's queue until one ends.
    pub connections_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout_ms: 5_000,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            drain_timeout_ms: 6_000,
            connections_max: 10_000,
        }
    }
}

/// What all requests of one surface share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) admin: Arc<dyn Admin>,
    pub(crate) options: Options,
    pub(crate) request_ids: RequestIds,
    pub(crate) served_by: ServedBy,
    draining: AtomicBool,
}

impl Shared {
    pub(crate) fn new(surface: Surface) -> Self {
        let Surface { service, admin, options } = surface;
        Self {
            served_by: ServedBy::new(&admin.node()),
            service,
            admin,
            options,
            request_ids: RequestIds::new(),
            draining: AtomicBool::new(false),
        }
    }

    /// The moment by which a request that begins now must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.options.request_timeout_ms)
    }

    /// Turns `/readyz` bad: no connection is accepted from now on.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
