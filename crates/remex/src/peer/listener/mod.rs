//! The receiving side: accepts peers, checks who they are, and hands their messages to the
//! driver; answers questions, and lets members read snapshots.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use remex_consensus::{Event, Message};
use remex_model::{Error, ErrorCode};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, Peer, Side};
use crate::inbox::{Inbox, Input};
use crate::members::Steward;
use crate::peer::form::Serving;
use crate::peer::frame;
use crate::peer::hello::{Answer, Hello, Purpose, Refusal, RefusalCode};
use crate::peer::patience::Patience;
use crate::peer::question::{Question, Reply};
use crate::peer::vitals::{self, Vitals};
use crate::snapshots::Desk;

/// Connections that may be greeting at a time; strangers cannot take more than these.
const GREETING_MAX: usize = 64;

/// Questions that may be thought about at a time: some wait for the cluster to agree.
const ASKING_MAX: usize = 64;

/// How long the same reason for a refusal is not said again.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// Reasons that are remembered; strangers cannot fill the log with more in that time.
const SAID_MAX: usize = 64;

/// Bytes taken from a socket at once.
const READ_BYTES: usize = 256 * 1024;

/// What connections need.
#[derive(Debug)]
struct Reception {
    steward: Arc<Steward>,
    desk: Arc<Desk>,
    asking: Semaphore,
    /// Why connections were refused lately, and when that was said.
    said: Mutex<BTreeMap<String, Instant>>,
}

impl Reception {
    fn patience(&self) -> Patience {
        self.steward.former().patience
    }

    /// Says that a connection was refused; not again for a while if the same has been said: whoever
    /// is refused tries again every second.
    fn refused(&self, address: SocketAddr, reason: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, at| at.elapsed() < SAID_AGAIN);
        if said.contains_key(&reason) || said.len() >= SAID_MAX {
            tracing::debug!(%address, %reason, "refused a connection");
            return;
        }
        tracing::warn!(%address, %reason, "refused a connection");
        said.insert(reason, Instant::now());
    }
}

/// Takes peers in, for ever: from a listener, if the node has one, and those that are handed over.
pub(crate) async fn run(
    listener: Option<TcpListener>,
    mut handed: mpsc::Receiver<TcpStream>,
    steward: Arc<Steward>,
    desk: Arc<Desk>,
) {
    let (asking, said) = (Semaphore::new(ASKING_MAX), Mutex::default());
    let reception = Arc::new(Reception { steward, desk, asking, said });
    let greeting = Arc::new(Semaphore::new(GREETING_MAX));
    // The connections end with this.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&greeting).acquire_owned().await else { return };
        let come = tokio::select! {
            accepted = accept(listener.as_ref()) => accepted,
            Some(stream) = handed.recv() => match stream.peer_addr() {
                Ok(address) => Ok((stream, address)),
                // It has ended while it waited.
                Err(_) => continue,
            },
        };
        match come {
            Ok((stream, address)) => {
                connections.spawn(connection(stream, address, Arc::clone(&reception), permit));
            }
            Err(error) => {
                // Out of file descriptors, mostly: wait for some to come back.
                tracing::warn!(reason = %error, "cannot accept peers for the moment");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The next connection to the listener; without one, none ever comes.
async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// What a connection turned out to be for.
enum Greeted {
    /// A peer that proved who it is sends messages.
    Peer(Incoming),
    /// A member reads a snapshot.
    Fetch { stream: TcpStream, buffer: BytesMut },
    /// A node asks a question.
    Question { stream: TcpStream, from: Box<Hello>, question: Question },
}

/// One connection, from the greeting to its end.
async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    reception: Arc<Reception>,
    permit: OwnedSemaphorePermit,
) {
    let greeted =
        tokio::time::timeout(reception.patience().greeting, greet(stream, &reception)).await;
    drop(permit);
    match greeted {
        Ok(Ok(Greeted::Peer(incoming))) => {
            let peer = incoming.cluster.name(incoming.peer.id);
            let ended = receive(incoming, reception.patience().silence).await;
            tracing::debug!(%peer, reason = %ended, "peer's connection ended");
        }
        Ok(Ok(Greeted::Fetch { stream, buffer })) => reception.desk.serve(stream, buffer).await,
        Ok(Ok(Greeted::Question { stream, from, question })) => {
            if let Err(error) = answer(stream, &reception, &from, question).await {
                tracing::debug!(%address, reason = %error, "nobody took the answer to a question");
            }
        }
        // Whoever asks goes away when another node answers than the one that it looked for.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(%address, "a connection was given up");
        }
        Ok(Err(error)) => reception.refused(address, error.to_string()),
        Err(_elapsed) => {
            reception.refused(address, "the connection did not say who it is".to_owned());
        }
    }
}

/// A connection of a peer that proved who it is.
struct Incoming {
    stream: TcpStream,
    buffer: BytesMut,
    cluster: Arc<Cluster>,
    peer: Arc<Peer>,
    cut: Arc<Notify>,
    inbox: Arc<Inbox>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.peer.disconnect(Side::Inbound, &self.cut);
        self.cluster.vitals_due.notify_one();
    }
}

/// Hears who is calling, and what for.
async fn greet(mut stream: TcpStream, reception: &Reception) -> io::Result<Greeted> {
    stream.set_nodelay(true)?;
    let former = reception.steward.former();
    let mut buffer = BytesMut::new();
    let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
    let them = match Hello::decode(payload) {
        Ok(them) => them,
        Err(error) => {
            let reason = format!("this is the peer port of a Remex node; {error}");
            return refuse(&mut stream, Refusal::new(RefusalCode::Other, reason)).await;
        }
    };
    if them.purpose == Purpose::Ask {
        let hello = former.hello();
        frame::write(&mut stream, |out| Answer::Welcome(hello).encode(out)).await?;
        let payload = frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX).await?;
        let question = Question::decode(payload).map_err(io::Error::other)?;
        return Ok(Greeted::Question { stream, from: Box::new(them), question });
    }
    let Some(serving) = former.serving() else {
        let hello = former.hello();
        let (code, reason) = match hello.cluster {
            Some(_) => (RefusalCode::Other, format!("{hello} is not running yet")),
            None => (RefusalCode::Waiting, format!("{hello} is not part of a cluster")),
        };
        return refuse(&mut stream, Refusal::new(code, reason)).await;
    };
    let peer = match serving.cluster.admit(&them) {
        Ok(peer) => peer,
        Err(refusal) => return refuse(&mut stream, refusal).await,
    };
    let me = serving.cluster.hello();
    if them.purpose == Purpose::Fetch {
        if peer.is_provisional() {
            let reason = format!("{them} is not a member of the cluster of {me}");
            return refuse(&mut stream, Refusal::new(RefusalCode::NotAMember, reason)).await;
        }
        frame::write(&mut stream, |out| Answer::Welcome(me).encode(out)).await?;
        return Ok(Greeted::Fetch { stream, buffer });
    }
    let mut incoming = Incoming::new(stream, buffer, &serving, peer, &them);
    frame::write(&mut incoming.stream, |out| Answer::Welcome(me).encode(out)).await?;
    Ok(Greeted::Peer(incoming))
}

impl Incoming {
    /// Takes note of a peer's connection.
    fn new(
        stream: TcpStream,
        buffer: BytesMut,
        serving: &Serving,
        peer: Arc<Peer>,
        them: &Hello,
    ) -> Self {
        let (cluster, inbox) = (Arc::clone(&serving.cluster), Arc::clone(&serving.inbox));
        peer.learn(them);
        let cut = peer.connect(Side::Inbound, them.session);
        cluster.note_contact(&peer);
        cluster.vitals_due.notify_one();
        Self { stream, buffer, cluster, peer, cut, inbox }
    }
}

async fn refuse<T>(stream: &mut TcpStream, refusal: Refusal) -> io::Result<T> {
    let Refusal { code, reason } = refusal;
    let answer = Answer::Refused { code, reason: reason.clone() };
    frame::write(stream, |out| answer.encode(out)).await?;
    Err(io::Error::other(reason))
}

/// Answers a question.
async fn answer(
    mut stream: TcpStream,
    reception: &Reception,
    from: &Hello,
    question: Question,
) -> io::Result<()> {
    let reply = match reception.asking.try_acquire() {
        Ok(_permit) => reception.steward.answer(from, question).await,
        Err(_) => {
            let error = Error::new(ErrorCode::NotReady, "too many questions at a time");
            Reply::Denied(error.retry_after(1000))
        }
    };
    let taking = frame::write(&mut stream, |out| reply.encode(out));
    tokio::time::timeout(reception.patience().greeting, taking)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

/// Hands a peer's messages to the driver until the connection ends. Returns why it ended.
async fn receive(mut incoming: Incoming, silence_max: Duration) -> String {
    let cut = Arc::clone(&incoming.cut);
    let cut = cut.notified();
    tokio::pin!(cut);
    loop {
        let inputs = match take_frames(&mut incoming) {
            Ok(inputs) => inputs,
            Err(reason) => return reason,
        };
        if !inputs.is_empty() {
            tokio::select! {
                () = &mut cut => return CUT.to_owned(),
                () = incoming.inbox.push_from_peer(inputs) => {}
            }
        }
        if incoming.buffer.capacity() - incoming.buffer.len() < READ_BYTES / 4 {
            incoming.buffer.reserve(READ_BYTES);
        }
        let read = incoming.stream.read_buf(&mut incoming.buffer);
        let read = tokio::select! {
            () = &mut cut => return CUT.to_owned(),
            read = tokio::time::timeout(silence_max, read) => read,
        };
        match read {
            Err(_elapsed) => return "nothing was heard of it for too long".to_owned(),
            Ok(Ok(0)) => return "it closed the connection".to_owned(),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.to_string(),
        }
    }
}

const CUT: &str = "this node ended it";

/// Takes what has come whole: vitals at once, messages for the driver as inputs.
fn take_frames(incoming: &mut Incoming) -> Result<Vec<Input>, String> {
    let (cluster, peer) = (&incoming.cluster, &incoming.peer);
    let mut inputs = Vec::new();
    let mut heard = false;
    while let Some(payload) =
        frame::take(&mut incoming.buffer, frame::PAYLOAD_BYTES_MAX).map_err(|e| e.to_string())?
    {
        heard = true;
        if payload.first() == Some(&vitals::TAG) {
            let vitals = Vitals::decode(payload)
                .map_err(|error| format!("its vitals cannot be read: {error}"))?;
            cluster.receive_vitals(peer, vitals);
            continue;
        }
        let message = Message::decode(payload)
            .map_err(|error| format!("a message cannot be read: {error}"))?;
        inputs.push(Input::Core(Event::Message { from: peer.id, message }));
    }
    if heard {
        cluster.note_contact(peer);
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests;
