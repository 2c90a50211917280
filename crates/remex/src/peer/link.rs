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
use crate::cluster::{Cluster, Peer, Side};
use crate::inbox::{Expulsion, Inbox, Input};

/// Bytes that may wait for one peer; frames beyond are dropped, as a broken connection would
/// drop them, and consensus sends again what matters.
const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest time for connecting and greeting.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Shortest and longest pause between two attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

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

/// Keeps the connection to a peer up, for ever.
pub(crate) async fn run(cluster: Arc<Cluster>, peer: Arc<Peer>, inbox: Arc<Inbox>) {
    let mut pause = PAUSE_MIN;
    let mut complaint = String::new();
    let mut said_gone = false;
    loop {
        let dialed = tokio::time::timeout(HELLO_TIMEOUT, dial(&cluster, &peer)).await;
        match dialed.unwrap_or(Err(NoLink::Silent)) {
            Ok(connected) => {
                (complaint, said_gone) = (String::new(), false);
                let name = cluster.name(peer.id);
                tracing::info!(peer = %name, "connected to peer");
                let begun = Instant::now();
                cluster.vitals_due.notify_one();
                let ended = serve(&connected).await;
                drop(connected);
                peer.link.note_failure();
                inbox.push(Input::Core(Event::Unreachable { peer: peer.id }));
                tracing::info!(peer = %name, reason = %ended, "peer disconnected");
                // The first attempt comes at once, unless connections never hold.
                if begun.elapsed() >= PAUSE_MAX {
                    pause = PAUSE_MIN;
                    continue;
                }
            }
            Err(error) => {
                if let NoLink::Broken(error) = &error
                    && error.kind() == io::ErrorKind::ConnectionRefused
                    && !std::mem::replace(&mut said_gone, true)
                {
                    inbox.push(Input::Core(Event::PeerGone { peer: peer.id }));
                }
                // The same complaint is not repeated while it lasts.
                let text = error.to_string();
                if text != complaint {
                    let address = peer.known().member.peer_address;
                    let name = cluster.name(peer.id);
                    tracing::warn!(peer = %name, %address, reason = %text, "cannot reach peer");
                    complaint = text;
                }
                if let NoLink::Refused(refusal) = error {
                    take_refusal(&cluster, &peer, &inbox, refusal).await;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Does what a peer's refusal asks for.
async fn take_refusal(cluster: &Cluster, peer: &Peer, inbox: &Inbox, refusal: Refusal) {
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
            match ask::invite(&cluster.hello(), cluster.id, &member).await {
                Ok(()) => tracing::info!(member = %member.name, "invited a member again"),
                Err(error) => {
                    tracing::debug!(member = %member.name, reason = %error, "it does not come");
                }
            }
        }
        RefusalCode::Other | RefusalCode::NotAMember | RefusalCode::Clone => {}
    }
}

/// Longest time that sent bytes may stay unacknowledged before the connection counts as broken.
/// Without it a connection to a machine that lost its power, or was cut off, hangs for minutes,
/// and with it the messages to the peer after it is back.
const UNACKNOWLEDGED_MS_MAX: u32 = 5000;

fn give_up_early(stream: &TcpStream) {
    if cfg!(target_os = "linux")
        && let Err(error) =
            rustix::net::sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED_MS_MAX)
    {
        tracing::debug!(reason = %error, "broken connections will be noticed late");
    }
}

/// Connects and greets.
async fn dial<'a>(cluster: &Cluster, peer: &'a Peer) -> Result<Connected<'a>, NoLink> {
    let mut stream = TcpStream::connect(peer.known().member.peer_address).await?;
    stream.set_nodelay(true)?;
    give_up_early(&stream);
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
