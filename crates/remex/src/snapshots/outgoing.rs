//! Making snapshots and giving them to others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::BytesMut;
use remex_engine::LsmEngine;
use remex_model::{ClusterId, Index, Revision};
use remex_state::snapshot;
use sha2::{Digest, Sha256 as Hasher};
use tokio::net::TcpStream;

use super::wire::{CHUNK_BYTES, Offer, Request, Sha256};
use super::{Shelf, remove};
use crate::ending::Ending;
use crate::flush::{Flush, Flushed};
use crate::inbox::{Inbox, Input};
use crate::meters::Meters;
use crate::peer::frame;

/// Longest time for a fetching node to say what it wants, or to take a frame.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause between two signs of life while a snapshot is made.
const ALIVE_PAUSE: Duration = Duration::from_secs(1);

/// How long the log is kept for a node after it has got its snapshot: it has to install it.
const HOLD: Duration = Duration::from_secs(120);

/// How long a snapshot that nobody fetches is kept.
const UNUSED: Duration = Duration::from_secs(300);

/// A snapshot in a file. The file goes when nobody uses it any more.
#[derive(Debug)]
pub(crate) struct Built {
    path: PathBuf,
    pub(crate) summary: snapshot::Summary,
    pub(crate) bytes: u64,
    pub(crate) sha256: Sha256,
}

impl Drop for Built {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(reason = %error, "a snapshot's file stays behind until the next start");
        }
    }
}

impl Built {
    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    pub(crate) fn index(&self) -> Index {
        self.summary.header.index
    }

    pub(crate) fn revision(&self) -> Revision {
        self.summary.header.revision
    }
}

/// Writes through to a file, counting and hashing, until it is given up.
struct Hashing<'a, W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
    given_up: &'a AtomicBool,
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.given_up.load(Ordering::Acquire) {
            return Err(io::Error::other(STOPPING));
        }
        let written = self.inner.write(data)?;
        self.hasher.update(&data[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Why a snapshot is not made.
const STOPPING: &str = "this node stops its parts";

/// Writes a snapshot of what the engine holds to a new file; its length and digest. Fails soon once
/// it is `given_up`.
pub(crate) fn export_to(
    path: &Path,
    engine: &LsmEngine,
    cluster: ClusterId,
    given_up: &AtomicBool,
) -> Result<(snapshot::Summary, u64, Sha256), snapshot::SnapshotError> {
    let file = File::create(path)?;
    let hashing = Hashing { inner: file, hasher: Hasher::new(), bytes: 0, given_up };
    let mut out = BufWriter::with_capacity(CHUNK_BYTES, hashing);
    let summary = snapshot::export(engine, cluster, &mut out)?;
    let Hashing { hasher, bytes, .. } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok((summary, bytes, hasher.finalize().into()))
}

/// Why there is no snapshot to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("the disk has no room for a snapshot")]
    NoSpace,
    #[error("this node has not applied that much itself")]
    Behind,
    #[error("{0}")]
    Failed(String),
}

/// Members that fetch, and where each will need the log from.
#[derive(Debug, Default)]
struct Holds {
    next: u64,
    /// Index, and until when it is held; `None` while the member fetches.
    held: BTreeMap<u64, (Index, Option<Instant>)>,
}

/// Makes and gives the snapshots of one generation.
#[derive(Debug)]
pub(crate) struct Outgoing {
    shelf: Shelf,
    cluster: ClusterId,
    flush: Arc<Flush>,
    engine: Arc<LsmEngine>,
    inbox: Arc<Inbox>,
    meters: Arc<Meters>,
    /// Held while one is made: whoever comes meanwhile shares it.
    newest: tokio::sync::Mutex<Option<(Arc<Built>, Instant)>>,
    holds: Mutex<Holds>,
    /// Whether the generation has ended: its engine may be replaced at any moment.
    closed: AtomicBool,
    /// Held while a snapshot is made of the engine.
    making: Mutex<()>,
}

/// Keeps the log from being trimmed for one member.
struct Hold<'a> {
    holds: &'a Mutex<Holds>,
    number: u64,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, until)) = holds.held.get_mut(&self.number) {
            *until = Some(Instant::now() + HOLD);
        }
    }
}

impl Outgoing {
    pub(crate) fn new(
        shelf: Shelf,
        cluster: ClusterId,
        flush: Arc<Flush>,
        engine: Arc<LsmEngine>,
        inbox: Arc<Inbox>,
        meters: Arc<Meters>,
    ) -> Self {
        let (newest, holds) = (tokio::sync::Mutex::default(), Mutex::default());
        let (closed, making) = (AtomicBool::new(false), Mutex::default());
        Self { shelf, cluster, flush, engine, inbox, meters, newest, holds, closed, making }
    }

    /// The generation ends. When this returns nothing is made of the engine any more; files that are
    /// there can still be read.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(self.making.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether the generation has ended. Whoever reads its state and finds this false afterwards has
    /// read what belonged to it.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The log must keep the entries behind this one, for members that fetch.
    pub(crate) fn trim_floor(&self) -> Option<Index> {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        holds.held.retain(|_, (_, until)| until.is_none_or(|until| until > now));
        holds.held.values().map(|&(index, _)| index).min()
    }

    fn hold(&self, index: Index) -> Hold<'_> {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.next += 1;
        let number = holds.next;
        holds.held.insert(number, (index, None));
        Hold { holds: &self.holds, number }
    }

    /// Lets go of a snapshot that nobody has fetched for a while.
    pub(crate) fn tidy(&self) {
        if let Ok(mut newest) = self.newest.try_lock() {
            newest
                .take_if(|(built, used)| Arc::strong_count(built) == 1 && used.elapsed() > UNUSED);
        }
    }

    /// A snapshot that holds at least the effect of `at_least`: one that is there and that `fits`,
    /// or a new one.
    pub(crate) async fn obtain(
        self: &Arc<Self>,
        at_least: Index,
        fits: impl Fn(&Built) -> bool,
    ) -> Result<Arc<Built>, Unavailable> {
        let mut newest = self.newest.lock().await;
        if let Some((built, used)) = newest.as_mut()
            && built.index() >= at_least
            && fits(built)
        {
            *used = Instant::now();
            return Ok(Arc::clone(built));
        }
        *newest = None;
        let me = Arc::clone(self);
        let building = tokio::task::spawn_blocking(move || me.build(at_least));
        let failed = |error: tokio::task::JoinError| Unavailable::Failed(error.to_string());
        let built = building.await.map_err(failed)??;
        let built = Arc::new(built);
        *newest = Some((Arc::clone(&built), Instant::now()));
        Ok(built)
    }

    fn build(&self, at_least: Index) -> Result<Built, Unavailable> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_closed() {
            return Err(Unavailable::Failed(STOPPING.to_owned()));
        }
        match self.flush.until_durable(at_least, &self.closed) {
            Ok(Flushed::Done) => {}
            Ok(Flushed::Full) => return Err(Unavailable::NoSpace),
            Ok(Flushed::Ahead) => return Err(Unavailable::Behind),
            Err(ending) => return Err(self.end(ending)),
        }
        let path = self.shelf.outgoing();
        let begun = Instant::now();
        let exported = export_to(&path, &self.engine, self.cluster, &self.closed);
        let (summary, bytes, sha256) = exported.map_err(|error| {
            // The half of a file goes now or at the next start.
            remove(&path).ok();
            self.cannot_make(&error)
        })?;
        let built = Built { path, summary, bytes, sha256 };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(index = %built.index(), bytes, took_ms, "made a snapshot");
        Ok(built)
    }

    /// What an error of a snapshot's making means: a damaged state ends the parts.
    fn cannot_make(&self, error: &snapshot::SnapshotError) -> Unavailable {
        match error {
            error if error.is_full() => Unavailable::NoSpace,
            snapshot::SnapshotError::State(fatal) => {
                self.end(Ending::of_state("cannot read the state", fatal))
            }
            other => Unavailable::Failed(other.to_string()),
        }
    }

    fn end(&self, ending: Ending) -> Unavailable {
        let reason = format!("this node cannot read its state: {ending:?}");
        self.inbox.push(Input::Ended(ending));
        Unavailable::Failed(reason)
    }

    /// Gives a snapshot to a member that asked for one.
    async fn serve(
        self: &Arc<Self>,
        stream: &mut TcpStream,
        buffer: &mut BytesMut,
    ) -> io::Result<()> {
        let asked = frame::read(stream, buffer, frame::HELLO_BYTES_MAX);
        let payload = within(PEER_TIMEOUT, asked).await?;
        let request = Request::decode(payload).map_err(io::Error::other)?;
        // From now on, so that what is trimmed while the snapshot is made leaves no gap behind it.
        let hold = self.hold(request.at_least);
        let (known, have) = request.partial;
        let obtaining = self.obtain(request.at_least, |built| built.sha256 == known || have == 0);
        tokio::pin!(obtaining);
        let built = loop {
            tokio::select! {
                built = &mut obtaining => break built,
                () = tokio::time::sleep(ALIVE_PAUSE) => {
                    within(PEER_TIMEOUT, frame::write(stream, |_| ())).await?;
                }
            }
        };
        let built = match built {
            Ok(built) => built,
            Err(unavailable) => {
                let offer = Offer::None(unavailable.to_string());
                return within(PEER_TIMEOUT, frame::write(stream, |out| offer.encode(out))).await;
            }
        };
        let same = built.sha256 == known && have <= built.bytes;
        let offset = if same { have } else { 0 };
        let offer = Offer::File {
            index: built.index(),
            term: built.summary.header.term,
            bytes: built.bytes,
            sha256: built.sha256,
            offset,
        };
        within(PEER_TIMEOUT, frame::write(stream, |out| offer.encode(out))).await?;
        send_file(stream, &built, offset).await?;
        self.meters.snapshots_sent.add();
        drop(hold);
        Ok(())
    }
}

/// Sends a file from an offset on.
async fn send_file(stream: &mut TcpStream, built: &Built, mut offset: u64) -> io::Result<()> {
    let file = Arc::new(built.open()?);
    while offset < built.bytes {
        let file = Arc::clone(&file);
        let reading = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = file.read_at(&mut chunk, offset)?;
            chunk.truncate(read);
            io::Result::Ok(chunk)
        });
        let chunk = reading.await.map_err(io::Error::other)??;
        if chunk.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += chunk.len() as u64;
        let sending = frame::write(stream, |out| out.extend_from_slice(&chunk));
        within(PEER_TIMEOUT, sending).await?;
    }
    Ok(())
}

async fn within<T>(limit: Duration, what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, what)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

/// Where members ask for snapshots, for as long as the node lives.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    outgoing: ArcSwapOption<Outgoing>,
}

impl Desk {
    /// A generation begins or ends.
    pub(crate) fn set(&self, outgoing: Option<Arc<Outgoing>>) {
        self.outgoing.store(outgoing);
    }

    /// Serves a member whose hello was answered.
    pub(crate) async fn serve(&self, mut stream: TcpStream, mut buffer: BytesMut) {
        let Some(outgoing) = self.outgoing.load_full() else { return };
        if let Err(error) = outgoing.serve(&mut stream, &mut buffer).await {
            tracing::info!(reason = %error, "a member's fetching of a snapshot ended early");
        }
    }
}
