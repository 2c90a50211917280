//! Fetching a snapshot from another member.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use remex_model::{Index, NodeId};
use sha2::{Digest, Sha256 as Hasher};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::install::verify_file;
use super::wire::{CHUNK_BYTES, Offer, Request, Sha256};
use super::{Shelf, remove};
use crate::cluster::Cluster;
use crate::inbox::{Inbox, Input};
use crate::peer::frame;
use crate::peer::hello::{Answer, Hello, Purpose, Refusal};

/// Longest silence of the giving side: it gives a sign of life every second.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// Fetches snapshots when the leader says that this node needs one.
#[derive(Debug)]
pub(crate) struct Fetcher {
    wanted: watch::Sender<Option<(NodeId, Index)>>,
}

impl Fetcher {
    pub(crate) fn new() -> Self {
        Self { wanted: watch::Sender::new(None) }
    }

    /// This node needs a snapshot that holds the effect of `index`; `from` has one. The leader says
    /// so again and again while it goes on, each time with a later index: what was asked for first
    /// is as good, and only that can go on where it stopped.
    pub(crate) fn want(&self, from: NodeId, index: Index) {
        self.wanted.send_if_modified(|wanted| {
            let changed = wanted.is_none_or(|(before, _)| before != from);
            if changed {
                *wanted = Some((from, index));
            }
            changed
        });
    }

    /// Fetches what is wanted, for as long as the parts run.
    pub(crate) async fn run(
        self: Arc<Self>,
        cluster: Arc<Cluster>,
        shelf: Shelf,
        inbox: Arc<Inbox>,
    ) {
        let mut wanted = self.wanted.subscribe();
        let mut complaint = String::new();
        loop {
            let now = *wanted.borrow_and_update();
            let source = now.and_then(|(from, index)| {
                let peer = cluster.peers().get(&from).cloned()?;
                Some((from, index, peer.known().member.peer_address))
            });
            let Some((from, index, address)) = source else {
                if wanted.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let (hello, name) =
                (Hello { purpose: Purpose::Fetch, ..cluster.hello() }, cluster.name(from));
            if complaint.is_empty() {
                tracing::info!(from = %name, %index, "this node needs a snapshot");
            }
            match fetch(&address, &hello, index, &shelf).await {
                Ok(index) => {
                    tracing::info!(from = %name, %index, "fetched a snapshot");
                    complaint.clear();
                    self.wanted.send_replace(None);
                    inbox.push(Input::Fetched { index });
                }
                Err(error) => {
                    // The same complaint is not repeated while it lasts.
                    let text = format!("{name}: {error}");
                    if text != complaint {
                        tracing::warn!(reason = %text, "fetching a snapshot was cut off; it goes on");
                        complaint = text;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Fetches a snapshot that holds at least the effect of `at_least`, from where an earlier attempt
/// stopped, checks it, and leaves it to be installed. Answers with its index. If the other side
/// refuses this node, the error holds its [`Refusal`].
pub(crate) async fn fetch(
    address: &str,
    hello: &Hello,
    at_least: Index,
    shelf: &Shelf,
) -> io::Result<Index> {
    let mut stream = timed(TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    timed(frame::write(&mut stream, |out| hello.encode(out))).await?;
    let mut buffer = BytesMut::new();
    let payload = timed(frame::read(&mut stream, &mut buffer, frame::HELLO_BYTES_MAX)).await?;
    match Answer::decode(payload).map_err(io::Error::other)? {
        Answer::Welcome(_) => {}
        Answer::Refused { code, reason } => {
            return Err(io::Error::other(Refusal { code, reason }));
        }
    }
    let part = blocking(shelf, Part::open).await?;
    let request = Request { at_least, partial: (part.sha256, part.bytes) };
    timed(frame::write(&mut stream, |out| request.encode(out))).await?;
    let payload = next(&mut stream, &mut buffer).await?;
    let offer = Offer::decode(payload).map_err(io::Error::other)?;
    let (index, bytes, sha256, offset) = match offer {
        Offer::File { index, bytes, sha256, offset, .. } => (index, bytes, sha256, offset),
        Offer::None(reason) => return Err(io::Error::other(reason)),
    };
    if index < at_least
        || offset > bytes
        || (offset > 0 && (offset, sha256) != (part.bytes, part.sha256))
    {
        return Err(io::Error::other("it offers something else than was asked for"));
    }
    let mut part = if offset == 0 {
        blocking(shelf, move |shelf| Part::begin(shelf, sha256)).await?
    } else {
        tracing::info!(offset, bytes, "the snapshot goes on where it stopped");
        part
    };
    while part.bytes < bytes {
        let chunk = next(&mut stream, &mut buffer).await?;
        if part.bytes + chunk.len() as u64 > bytes {
            return Err(io::Error::other("it sent more than it offered"));
        }
        let (file, place) = (Arc::clone(&part.file), part.bytes);
        part.bytes += chunk.len() as u64;
        let writing = tokio::task::spawn_blocking(move || file.write_all_at(&chunk, place));
        writing.await.map_err(io::Error::other)??;
    }
    drop(part);
    blocking(shelf, move |shelf| finish(shelf, sha256)).await?;
    Ok(index)
}

/// The next frame with something in it.
async fn next(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<bytes::Bytes> {
    loop {
        let payload = timed(frame::read(stream, buffer, CHUNK_BYTES)).await?;
        if !payload.is_empty() {
            return Ok(payload);
        }
    }
}

async fn timed<T>(what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(SILENCE_MAX, what)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

async fn blocking<T: Send + 'static>(
    shelf: &Shelf,
    work: impl FnOnce(&Shelf) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let shelf = shelf.clone();
    tokio::task::spawn_blocking(move || work(&shelf)).await.map_err(io::Error::other)?
}

/// What has come so far of a snapshot. The digest of the whole is in the file's name.
struct Part {
    file: Arc<File>,
    sha256: Sha256,
    bytes: u64,
}

impl Part {
    /// What an earlier attempt left, or nothing. The last bytes may not have reached the disk in a
    /// crash: the whole is checked at the end, so wrong ones cost only a second attempt.
    fn open(shelf: &Shelf) -> io::Result<Self> {
        let Some((path, sha256)) = shelf.parts()?.into_iter().next() else {
            return Self::begin(shelf, [0; 32]);
        };
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), sha256, bytes })
    }

    /// Begins anew.
    fn begin(shelf: &Shelf, sha256: Sha256) -> io::Result<Self> {
        for (path, _) in shelf.parts()? {
            remove(&path)?;
        }
        let path = shelf.part(&sha256);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Self { file: Arc::new(file), sha256, bytes: 0 })
    }
}

/// Checks what has come, and leaves it to be installed. If it is damaged it is thrown away.
fn finish(shelf: &Shelf, sha256: Sha256) -> io::Result<()> {
    let path = shelf.part(&sha256);
    let checked = digest(&path).and_then(|found| match found == sha256 {
        true => verify_file(&path).map(|_summary| ()).map_err(io::Error::other),
        false => Err(io::Error::other("what was received is damaged: its digest is wrong")),
    });
    match checked {
        Ok(()) => shelf.promise(&path),
        Err(error) => {
            // What is damaged is fetched again, from its beginning.
            remove(&path)?;
            Err(error)
        }
    }
}

fn digest(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    let (mut hasher, mut chunk) = (Hasher::new(), vec![0; CHUNK_BYTES]);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&chunk[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_first_stands_until_it_has_come_or_another_leads() {
        let fetcher = Fetcher::new();
        fetcher.want(NodeId(1), Index(10));
        fetcher.want(NodeId(1), Index(11));
        assert_eq!(*fetcher.wanted.borrow(), Some((NodeId(1), Index(10))));
        fetcher.want(NodeId(2), Index(12));
        assert_eq!(*fetcher.wanted.borrow(), Some((NodeId(2), Index(12))));
    }
}
