//! The sending side: one connection to one peer, kept up by a task of its own.
//!
//! The driver thread writes to the socket itself when it can ([`Link::send`]): on an idle
//! cluster that saves a wake-up in every hop. What the socket does not take at once waits in a
//! bounded queue that the task empties.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use remex_consensus::Event;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::ask;
use super::frame;
use super::hello::{Answer, Refusal, RefusalCode};
use super::patience::Patience;
use crate::cluster::{Cluster, Peer, Side};
use crate::inbox::{Expulsion, Inbox, Input};

/// Bytes that may wait for one peer; frames beyond are dropped, as a broken connection would
/// drop them, and consensus sends again what matters.
const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A connection that lasted this long has held: if it breaks, the next attempt comes at once.
const HELD: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Out {
    stream: Option<Arc<TcpStream>>,
    queue: BytesMut,
}

/// The sending side of one peer.
#[derive(Debug)]
pub(crate) struct Link {
    out: Mutex<Out>,
    queued: Notify,
    failures: AtomicU64,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            out: Mutex::new(Out { stream: None, queue: BytesMut::new() }),
            queued: Notify::new(),
            failures: AtomicU64::new(0),
        }
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends whole frames, or drops them if the peer is not connected or takes nothing.
    pub(crate) fn send(&self, mut frames: &[u8]) {
        let mut out = self.out();
        let Some(stream) = out.stream.clone() else { return };
        let whole = frames.len();
        if out.queue.is_empty() {
            while !frames.is_empty() {
                match stream.try_write(frames) {
                    Ok(written) => frames = &frames[written..],
                    // Not ready, or broken: the task finds out which.
                    Err(_) => break,
                }
            }
        }
        // What was begun must be ended, or the peer reads the next frame in the middle of this one.
        let begun = frames.len() < whole;
        if !begun && out.queue.len() + frames.len() > QUEUE_BYTES_MAX {
            self.note_failure();
            return;
        }
        if !frames.is_empty() {
            out.queue.extend_from_slice(frames);
            drop(out);
            self.queued.notify_one();
        }
    }

    fn note_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the connection broke, or the peer did not take what was sent, since the parts
    /// were started.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn connect(&self, stream: Arc<TcpStream>) {
        *self.out() = Out { stream: Some(stream), queue: BytesMut::new() };
    }

    fn disconnect(&self) {
        *self.out() = Out { stream: None, queue: BytesMut::new() };
    }

    /// Writes what waits, until nothing does.
    async fn flush(&self, stream: &TcpStream) -> io::Result<()> {
        loop {
            {
                let mut out = self.out();
                loop {
                    if out.queue.is_empty() {
                        return Ok(());
                    }
                    match stream.try_write(&out.queue) {
                        Ok(written) => out.queue.advance(written),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
            }
            stream.writable().await?;
        }
    }
}

/// Why there is no connection to a peer.
#[derive(Debug, Error)]
enum NoLink {
    #[error(transparent)]
    Broken(#[from] io::Error),
    #[error("it does not answer")]
    Silent,
    /// The peer refuses this node.
    #[error("it refused: {0}")]
    Refused(Refusal),
    /// This node refuses whoever answers at the peer's address.
    #[error("{0}")]
    Distrusted(Refusal),
}

/// A connection to a peer, for as long as this lives.
struct Connected<'a> {
    peer: &'a Peer,
    stream: Arc<TcpStream>,
    cut: Arc<Notify>,
}

impl<'a> Connected<'a> {
    fn new(peer: &'a Peer, stream: TcpStream, session: u64) -> Self {
        let stream = Arc::new(stream);
        peer.link.connect(Arc::clone(&stream));
        Self { peer, stream, cut: peer.connect(Side::Outbound, session) }
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.peer.link.disconnect();
        self.peer.disconnect(Side::Outbound, &self.cut);
    }
}

/// What is wrong with the way to a peer, since it was last connected.
#[derive(Debug, Default)]
struct Trouble {
    /// Attempts that failed, one after the other, because nobody answered.
    failures: u32,
    /// Whether the peer was said to be unreachable.
    unreachable: bool,
    /// The last complaint: the same is not repeated while it lasts.
    complaint: String,
    /// Whether consensus was told that the peer's process is gone.
    said_gone: bool,
}

/// What there is to say about a failed attempt.
#[derive(Debug, PartialEq, Eq)]
enum Saying {
    /// Nothing that was not said before, or may be over in a moment.
    Nothing,
    /// Too many attempts have failed: the peer counts as unreachable.
    Unreachable,
    /// Somebody answers, but the two do not speak with each other.
    Complaint,
}

impl Trouble {
    /// Notes a failed attempt. Nodes that are started at the same time, or one after the other, do
    /// not find each other at the first: that is no trouble yet.
    fn note(&mut self, error: &NoLink, attempts: u32) -> Saying {
        match error {
            NoLink::Broken(_) | NoLink::Silent => {
                self.failures = self.failures.saturating_add(1);
                let is_news = self.failures >= attempts && !self.unreachable;
                self.unreachable |= is_news;
                if is_news { Saying::Unreachable } else { Saying::Nothing }
            }
            NoLink::Refused(_) | NoLink::Distrusted(_) => {
                self.failures = 0;
                let text = error.to_string();
                let is_news = text != self.complaint;
                self.complaint = text;
                if is_news { Saying::Complaint } else { Saying::Nothing }
            }
        }
    }
}

/// Keeps the connection to a peer up, for ever.
pub(crate) async fn run(
    cluster: Arc<Cluster>,
    peer: Arc<Peer>,
    inbox: Arc<Inbox>,
    patience: Patience,
) {
    let mut pause = patience.pause_min;
    let mut trouble = Trouble::default();
    loop {
        let dialing = dial(&cluster, &peer, patience.greeting);
        let dialed = tokio::time::timeout(patience.greeting, dialing).await;
        match dialed.unwrap_or(Err(NoLink::Silent)) {
            Ok(connected) => {
                let name = cluster.name(peer.id);
                match std::mem::take(&mut trouble).unreachable {
                    true => tracing::info!(peer = %name, "the peer is back"),
                    false => tracing::info!(peer = %name, "connected to peer"),
                }
                let begun = Instant::now();
                cluster.vitals_due.notify_one();
                let ended = serve(&connected).await;
                drop(connected);
                peer.link.note_failure();
                inbox.push(Input::Core(Event::Unreachable { peer: peer.id }));
                tracing::info!(peer = %name, reason = %ended, "peer disconnected");
                // The first attempt comes at once, unless connections never hold.
                if begun.elapsed() >= HELD {
                    pause = patience.pause_min;
                    continue;
                }
            }
            Err(error) => {
                if let NoLink::Broken(error) = &error
                    && error.kind() == io::ErrorKind::ConnectionRefused
                    && !std::mem::replace(&mut trouble.said_gone, true)
                {
                    inbox.push(Input::Core(Event::PeerGone { peer: peer.id }));
                }
                say(&cluster, &peer, &error, trouble.note(&error, patience.attempts));
                if let NoLink::Refused(refusal) = error {
                    take_refusal(&cluster, &peer, &inbox, refusal, patience).await;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(patience.pause_max);
    }
}

/// Tells people about a failed attempt to connect.
fn say(cluster: &Cluster, peer: &Peer, error: &NoLink, saying: Saying) {
    let (name, address) = (cluster.name(peer.id), peer.known().member.peer_address);
    match saying {
        Saying::Nothing => {
            tracing::debug!(peer = %name, %address, reason = %error, "no connection")
        }
        Saying::Unreachable => tracing::warn!(
            peer = %name, %address, reason = %error,
            "the peer is unreachable; it is tried again until it answers"
        ),
        Saying::Complaint => {
            tracing::warn!(peer = %name, %address, reason = %error, "cannot reach peer");
        }
    }
}

/// Does what a peer's refusal asks for.
async fn take_refusal(
    cluster: &Cluster,
    peer: &Peer,
    inbox: &Inbox,
    refusal: Refusal,
    patience: Patience,
) {
    match refusal.code {
        RefusalCode::Removed => {
            inbox.push(Input::Expelled(Expulsion::Removed(refusal.reason)));
        }
        RefusalCode::RolledBack(mark) => {
            // The peer compared what this node had when it dialed. It may have got more since, and
            // the peer may have heard of that first.
            let mine = cluster.position();
            if mine.term < mark.term || mine.last_index < mark.last_index {
                inbox.push(Input::Expelled(Expulsion::RolledBack(refusal.reason)));
            }
        }
        RefusalCode::Waiting | RefusalCode::OtherCluster => {
            // It was made a member, and whoever did so could not tell it.
            let member = peer.known().member;
            let limit = patience.invitation;
            match ask::invite(&cluster.hello(), cluster.id, &member, limit).await {
                Ok(()) => tracing::info!(member = %member.name, "invited a member again"),
                Err(error) => {
                    tracing::debug!(member = %member.name, reason = %error, "it does not come");
                }
            }
        }
        RefusalCode::Other | RefusalCode::NotAMember | RefusalCode::Clone => {}
    }
}

/// Limits how long sent bytes may stay unacknowledged before the connection counts as broken.
/// Without that a connection to a machine that lost its power, or was cut off, hangs for minutes,
/// and with it the messages to the peer after it is back.
fn give_up_early(stream: &TcpStream, limit: Duration) {
    let limit_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, limit_ms)
    {
        tracing::debug!(reason = %error, "broken connections will be noticed late");
    }
}

/// Connects and greets.
async fn dial<'a>(
    cluster: &Cluster,
    peer: &'a Peer,
    limit: Duration,
) -> Result<Connected<'a>, NoLink> {
    let mut stream = TcpStream::connect(peer.known().member.peer_address).await?;
    stream.set_nodelay(true)?;
    give_up_early(&stream, limit);
    let me = cluster.hello();
    frame::write(&mut stream, |out| me.encode(out)).await?;
    let mut buffer = BytesMut::new();
    let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
    match Answer::decode(payload).map_err(io::Error::other)? {
        Answer::Refused { code, reason } => Err(NoLink::Refused(Refusal { code, reason })),
        Answer::Welcome(them) => {
            if them.node.id != peer.id {
                let text = format!("{them} answers at the address of node {}", peer.id);
                return Err(NoLink::Distrusted(Refusal::new(RefusalCode::Other, text)));
            }
            cluster.admit(&them).map_err(|refusal| {
                // Its own connection may have been taken before this was known: it is told why when
                // it dials again.
                if matches!(refusal.code, RefusalCode::RolledBack(_)) {
                    peer.cut_sessions(|session| session == them.session);
                }
                NoLink::Distrusted(refusal)
            })?;
            peer.learn(&them);
            Ok(Connected::new(peer, stream, them.session))
        }
    }
}

/// Writes what the driver could not, and notices when the peer goes away: it never sends
/// anything on this connection. Returns why it ended.
async fn serve(connected: &Connected<'_>) -> String {
    let (link, stream) = (&connected.peer.link, &*connected.stream);
    let mut nothing = [0; 64];
    loop {
        tokio::select! {
            () = connected.cut.notified() => {
                return "this node ended the connection".to_owned();
            }
            () = link.queued.notified() => {
                if let Err(error) = link.flush(stream).await {
                    return error.to_string();
                }
            }
            ready = stream.readable() => {
                if let Err(error) = ready {
                    return error.to_string();
                }
                match stream.try_read(&mut nothing) {
                    Ok(0) => return "it closed the connection".to_owned(),
                    Ok(_) => return "it sent data on a one-way connection".to_owned(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return error.to_string(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> NoLink {
        NoLink::Broken(io::ErrorKind::ConnectionRefused.into())
    }

    fn refused(reason: &str) -> NoLink {
        NoLink::Refused(Refusal::new(RefusalCode::Other, reason))
    }

    #[test]
    fn a_peer_is_unreachable_after_so_many_attempts_and_that_is_said_once() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.note(&broken(), 3), Saying::Nothing);
        assert_eq!(trouble.note(&NoLink::Silent, 3), Saying::Nothing);
        assert_eq!(trouble.note(&broken(), 3), Saying::Unreachable);
        for _ in 0..10 {
            assert_eq!(trouble.note(&broken(), 3), Saying::Nothing);
        }
        assert!(std::mem::take(&mut trouble).unreachable, "it is said when it is back");
        assert_eq!(trouble.note(&broken(), 1), Saying::Unreachable);
    }

    #[test]
    fn one_that_refuses_is_complained_of_at_once_and_counts_as_reached() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.note(&broken(), 2), Saying::Nothing);
        assert_eq!(trouble.note(&refused("no"), 2), Saying::Complaint);
        assert_eq!(trouble.note(&refused("no"), 2), Saying::Nothing, "said before");
        assert_eq!(trouble.note(&refused("never"), 2), Saying::Complaint);
        assert_eq!(trouble.note(&broken(), 2), Saying::Nothing, "the first in a row");
        assert_eq!(trouble.note(&broken(), 2), Saying::Unreachable);
    }
}
