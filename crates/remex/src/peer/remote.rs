//! Another member, and the state of the connections to it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use remex_model::{Member, NodeId};
use tokio::sync::Notify;

use super::hello::Hello;
use super::link::Link;
use super::vitals::Vitals;

/// Another member, or one that says it is.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    known: RwLock<Known>,
    /// Whether it is missing in the membership that is applied here.
    provisional: AtomicBool,
    /// Whether it is a peer no more: no connection to it may stay open.
    gone: AtomicBool,
    /// Milliseconds from the start of the parts to the last frame from the peer, plus one; 0 for
    /// never.
    contact_ms: AtomicU64,
    /// The connection that the peer dialed, while it is open.
    inbound: Mutex<Option<Connection>>,
    /// The connection that this node dialed, while it is open.
    outbound: Mutex<Option<Connection>>,
    heard: Mutex<Option<Heard>>,
    /// The last round trip in microseconds, plus one; 0 for none.
    round_trip_us: AtomicU64,
    pub(crate) link: Link,
}

/// What is known of a peer: at first from the membership, later from the peer itself.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) member: Member,
    pub(crate) version: Option<String>,
}

/// A connection to one run of a peer's process.
#[derive(Clone, Debug)]
struct Connection {
    session: u64,
    cut: Arc<Notify>,
}

/// The last vitals of a peer.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) at: Instant,
}

/// Which side dialed a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Inbound,
    Outbound,
}

impl Peer {
    pub(crate) fn new(member: Member, provisional: bool) -> Self {
        Self {
            id: member.id,
            known: RwLock::new(Known { member, version: None }),
            provisional: AtomicBool::new(provisional),
            gone: AtomicBool::new(false),
            contact_ms: AtomicU64::new(0),
            inbound: Mutex::new(None),
            outbound: Mutex::new(None),
            heard: Mutex::new(None),
            round_trip_us: AtomicU64::new(0),
            link: Link::new(),
        }
    }

    fn connection(&self, side: Side) -> MutexGuard<'_, Option<Connection>> {
        let connection = match side {
            Side::Inbound => &self.inbound,
            Side::Outbound => &self.outbound,
        };
        connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a connection to a run of the peer's process; an older one of the same side ends. The
    /// connection must end when it is notified through what this returns.
    pub(crate) fn connect(&self, side: Side, session: u64) -> Arc<Notify> {
        let cut = Arc::new(Notify::new());
        let connection = Connection { session, cut: Arc::clone(&cut) };
        if let Some(older) = self.connection(side).replace(connection) {
            older.cut.notify_one();
        }
        // Whoever sets this looks for connections afterwards, so one of the two sees the other.
        if self.gone.load(Ordering::SeqCst) {
            cut.notify_one();
        }
        cut
    }

    /// Notes that the connection that was given `cut` has ended.
    pub(crate) fn disconnect(&self, side: Side, cut: &Arc<Notify>) {
        self.connection(side).take_if(|connection| Arc::ptr_eq(&connection.cut, cut));
    }

    /// Ends the connections, for good: it is a peer no more.
    pub(crate) fn retire(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.cut_sessions(|_| true);
    }

    /// Ends the connections to some runs of the peer's process.
    pub(crate) fn cut_sessions(&self, of: impl Fn(u64) -> bool) {
        for side in [Side::Inbound, Side::Outbound] {
            let connection = self.connection(side).clone();
            if let Some(connection) = connection.filter(|connection| of(connection.session)) {
                connection.cut.notify_one();
            }
        }
    }

    /// The run of the peer's process whose connection to this node is open.
    pub(crate) fn session(&self) -> Option<u64> {
        self.connection(Side::Inbound).as_ref().map(|connection| connection.session)
    }

    /// Whether the peer's connection to this node is open.
    pub(crate) fn is_connected(&self) -> bool {
        self.connection(Side::Inbound).is_some()
    }

    /// Whether it is missing in the membership that is applied here.
    pub(crate) fn is_provisional(&self) -> bool {
        self.provisional.load(Ordering::Relaxed)
    }

    pub(crate) fn set_provisional(&self, provisional: bool) {
        self.provisional.store(provisional, Ordering::Relaxed);
    }

    /// When a frame last came from it, in milliseconds since the parts were started.
    pub(crate) fn contact_ms(&self) -> Option<u64> {
        self.contact_ms.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(crate) fn set_contact_ms(&self, at_ms: u64) {
        self.contact_ms.store(at_ms.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_member(&self, member: &Member) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).member = member.clone();
    }

    /// Takes over what the peer says of itself; its name, addresses and version may change.
    pub(crate) fn learn(&self, hello: &Hello) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.member = hello.node.clone();
        known.version = Some(hello.version.clone());
    }

    pub(crate) fn heard(&self) -> Option<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_heard(&self, vitals: Vitals) {
        let heard = Heard { vitals: Arc::new(vitals), at: Instant::now() };
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
    }

    /// What the peer last said of itself.
    pub(crate) fn vitals(&self) -> Option<Arc<Vitals>> {
        self.heard().map(|heard| heard.vitals)
    }

    /// The last round trip to the peer and back, in microseconds.
    pub(crate) fn round_trip_us(&self) -> Option<u64> {
        self.round_trip_us.load(Ordering::Relaxed).checked_sub(1)
    }
    pub(crate) fn set_round_trip_us(&self, round_trip_us: u64) {
        self.round_trip_us.store(round_trip_us.saturating_add(1), Ordering::Relaxed);
    }
}
