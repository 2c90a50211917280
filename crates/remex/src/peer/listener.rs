//! The receiving side: accepts peers, checks who they are, and hands their messages to the
//! driver.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use remex_consensus::{Event, Message};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::form::{Former, Question};
use super::frame;
use super::hello::{Answer, Hello, Purpose, check};
use crate::cluster::{Cluster, Peer};
use crate::inbox::{Inbox, Input};

/// Longest time for a connection to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest silence on a peer's connection: it gives a sign of life every second.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Connections that may be greeting at a time; strangers cannot take more than these.
const GREETING_MAX: usize = 64;

/// Bytes taken from a socket at once.
const READ_BYTES: usize = 256 * 1024;

/// Accepts peers, for ever.
pub(crate) async fn run(listener: TcpListener, former: Arc<Former>) {
    let greeting = Arc::new(Semaphore::new(GREETING_MAX));
    // The connections end with the listener.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&greeting).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, address)) => {
                connections.spawn(connection(stream, address, Arc::clone(&former), permit));
            }
            Err(error) => {
                // Out of file descriptors, mostly: wait for some to come back.
                tracing::warn!(reason = %error, "cannot accept peers for the moment");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One connection, from the greeting to its end.
async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    former: Arc<Former>,
    permit: OwnedSemaphorePermit,
) {
    let greeted = tokio::time::timeout(HELLO_TIMEOUT, greet(stream, &former)).await;
    drop(permit);
    match greeted {
        Ok(Ok(Some(incoming))) => {
            let peer = incoming.cluster.name(incoming.peer.id);
            let ended = receive(incoming).await;
            tracing::debug!(%peer, reason = %ended, "peer's connection ended");
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::warn!(%address, reason = %error, "refused a connection"),
        Err(_elapsed) => tracing::warn!(%address, "a connection did not say who it is"),
    }
}

/// A connection of a peer that proved who it is.
struct Incoming {
    stream: TcpStream,
    buffer: BytesMut,
    cluster: Arc<Cluster>,
    peer: Arc<Peer>,
    session: u64,
    inbox: Arc<Inbox>,
}

/// Hears who is calling. A question about founding is answered here and is the end of it.
async fn greet(mut stream: TcpStream, former: &Former) -> io::Result<Option<Incoming>> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
    let them = match Hello::decode(payload) {
        Ok(them) => them,
        Err(error) => {
            let reason = format!("this is the peer port of a Remex node; {error}");
            return refuse(&mut stream, reason).await;
        }
    };
    match them.purpose {
        Purpose::Form => {
            let hello = former.hello();
            frame::write(&mut stream, |out| Answer::Welcome(hello).encode(out)).await?;
            let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
            let question = Question::decode(payload).map_err(io::Error::other)?;
            let reply = former.answer(&them.node, question);
            frame::write(&mut stream, |out| reply.encode(out)).await?;
            Ok(None)
        }
        Purpose::Replicate => {
            let Some((cluster, inbox)) = former.running() else {
                let reason = format!("{} is not running yet", former.hello());
                return refuse(&mut stream, reason).await;
            };
            let me = cluster.hello();
            let peer = cluster.peers.get(&them.node.id);
            let known = peer.map(|peer| peer.known().member);
            match (check(&me, &them, known.as_ref()), peer) {
                (Ok(()), Some(peer)) => {
                    if let Err(reason) = cluster.check_single(peer, &them) {
                        return refuse(&mut stream, reason).await;
                    }
                    peer.learn(&them);
                    peer.connect(them.session);
                    cluster.note_contact(peer);
                    frame::write(&mut stream, |out| Answer::Welcome(me).encode(out)).await?;
                    let peer = Arc::clone(peer);
                    let session = them.session;
                    Ok(Some(Incoming { stream, buffer, cluster, peer, session, inbox }))
                }
                (Err(reason), _) => refuse(&mut stream, reason).await,
                (Ok(()), None) => refuse(&mut stream, format!("{them} is not a member")).await,
            }
        }
    }
}

async fn refuse(stream: &mut TcpStream, reason: String) -> io::Result<Option<Incoming>> {
    let answer = Answer::Refused(reason.clone());
    frame::write(stream, |out| answer.encode(out)).await?;
    Err(io::Error::other(reason))
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.peer.disconnect(self.session);
    }
}

/// Hands a peer's messages to the driver until the connection ends. Returns why it ended.
async fn receive(mut incoming: Incoming) -> String {
    loop {
        let (cluster, peer) = (&incoming.cluster, &incoming.peer);
        let mut inputs = Vec::new();
        let mut heard = false;
        loop {
            let payload = match frame::take(&mut incoming.buffer, frame::PAYLOAD_BYTES_MAX) {
                Ok(Some(payload)) => payload,
                Ok(None) => break,
                Err(error) => return error.to_string(),
            };
            heard = true;
            if payload.is_empty() {
                continue;
            }
            match Message::decode(payload) {
                Ok(message) => {
                    inputs.push(Input::Core(Event::Message { from: peer.id, message }));
                }
                Err(error) => return format!("a message cannot be read: {error}"),
            }
        }
        if heard {
            cluster.note_contact(peer);
        }
        if !inputs.is_empty() {
            incoming.inbox.push_from_peer(inputs).await;
        }
        if incoming.buffer.capacity() - incoming.buffer.len() < READ_BYTES / 4 {
            incoming.buffer.reserve(READ_BYTES);
        }
        let read = incoming.stream.read_buf(&mut incoming.buffer);
        let Ok(read) = tokio::time::timeout(SILENCE_MAX, read).await else {
            return "nothing was heard of it for too long".to_owned();
        };
        match read {
            Ok(0) => return "it closed the connection".to_owned(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}
