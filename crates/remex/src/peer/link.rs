//! The sending side: one connection to one peer, kept up by a task of its own.
//!
//! The driver thread writes to the socket itself when it can ([`Link::send`]): on an idle
//! cluster that saves a wake-up in every hop. What the socket does not take at once waits in a
//! bounded queue that the task empties.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use remex_consensus::Event;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::frame;
use super::hello::{Answer, check};
use crate::cluster::{Cluster, Peer};
use crate::inbox::{Inbox, Input};

/// Bytes that may wait for one peer; frames beyond are dropped, as a broken connection would
/// drop them, and consensus sends again what matters.
const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest time for connecting and greeting.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two signs of life: followers have nothing else to say to each other.
const ALIVE_PAUSE: Duration = Duration::from_secs(1);

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
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            out: Mutex::new(Out { stream: None, queue: BytesMut::new() }),
            queued: Notify::new(),
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
        if !frames.is_empty() && (begun || out.queue.len() + frames.len() <= QUEUE_BYTES_MAX) {
            out.queue.extend_from_slice(frames);
            drop(out);
            self.queued.notify_one();
        }
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

/// Keeps the connection to a peer up, for ever.
pub(crate) async fn run(cluster: Arc<Cluster>, peer: Arc<Peer>, inbox: Arc<Inbox>) {
    let mut pause = PAUSE_MIN;
    let mut complaint = String::new();
    loop {
        match tokio::time::timeout(HELLO_TIMEOUT, dial(&cluster, &peer)).await {
            Ok(Ok(stream)) => {
                let stream = Arc::new(stream);
                peer.link.connect(Arc::clone(&stream));
                tracing::info!(peer = %cluster.name(peer.id), "connected to peer");
                let ended = serve(&peer.link, &stream).await;
                peer.link.disconnect();
                inbox.push(Input::Core(Event::Unreachable { peer: peer.id }));
                tracing::info!(peer = %cluster.name(peer.id), reason = %ended, "peer disconnected");
                (pause, complaint) = (PAUSE_MIN, String::new());
            }
            Ok(Err(error)) => {
                // The same complaint is not repeated while it lasts.
                let text = error.to_string();
                if text != complaint {
                    let address = peer.known().member.peer_address;
                    let name = cluster.name(peer.id);
                    tracing::warn!(peer = %name, %address, reason = %text, "cannot reach peer");
                    complaint = text;
                }
            }
            Err(_elapsed) => {
                tracing::warn!(peer = %cluster.name(peer.id), "peer does not answer");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
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
async fn dial(cluster: &Cluster, peer: &Peer) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(peer.known().member.peer_address).await?;
    stream.set_nodelay(true)?;
    give_up_early(&stream);
    let me = cluster.hello();
    frame::write(&mut stream, |out| me.encode(out)).await?;
    let mut buffer = BytesMut::new();
    let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
    match Answer::decode(payload).map_err(io::Error::other)? {
        Answer::Refused(reason) => Err(io::Error::other(format!("it refused: {reason}"))),
        Answer::Welcome(them) => {
            let known = peer.known().member;
            check(&me, &them, Some(&known)).map_err(io::Error::other)?;
            if them.node.id != peer.id {
                let text = format!("{them} answers at the address of node {}", peer.id);
                return Err(io::Error::other(text));
            }
            cluster.check_single(peer, &them).map_err(io::Error::other)?;
            peer.learn(&them);
            Ok(stream)
        }
    }
}

/// Writes what the driver could not, and notices when the peer goes away: it never sends
/// anything on this connection. Returns why it ended.
async fn serve(link: &Link, stream: &TcpStream) -> String {
    let mut nothing = [0; 64];
    let mut alive = tokio::time::interval(ALIVE_PAUSE);
    loop {
        tokio::select! {
            _ = alive.tick() => link.send(&frame::ALIVE),
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
