//! A running node.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use remex_consensus::Event;
use remex_model::{Admin, Service};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::background::{self, Background};
use crate::board::Board;
use crate::cluster::Cluster;
use crate::directory::{Directory, holds_anything};
use crate::driver::{Driver, Outboxes, Replies};
use crate::identity::{Identity, Member, Phase};
use crate::inbox::{Inbox, Input};
use crate::log_writer::LogWriter;
use crate::overview::Overview;
use crate::peer::form::{Former, Founded};
use crate::peer::{link, listener};
use crate::store::{Running, Store};
use crate::{Config, Fatal, OpenError, parts, random};

/// Longest time that a stopping leader waits for another to take over.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest time that a stopping node waits for the requests that are under way.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// A node: part of a cluster, or waiting to be. Dropping it stops it at once, like a crash,
/// without losing anything that was acknowledged; [`Node::shutdown`] stops it in good order.
#[derive(Debug)]
pub struct Node {
    store: Arc<Store>,
    overview: Arc<Overview>,
    peer_address: SocketAddr,
    board: Arc<Board>,
    inbox: Arc<Inbox>,
    threads: Arc<Threads>,
    directory: Arc<Directory>,
    /// Tasks of the peer transport; they end with the node.
    tasks: JoinSet<()>,
}

/// The threads of a node, once it runs.
#[derive(Debug, Default)]
struct Threads {
    driver: Mutex<Option<JoinHandle<()>>>,
    background: Mutex<Option<Background>>,
    /// Set if a background thread was still busy when it was to stop.
    busy: AtomicBool,
}

/// What starting the threads needs.
struct Launch {
    config: Config,
    directory: Arc<Directory>,
    former: Arc<Former>,
    me: Member,
    store: Arc<Store>,
    board: Arc<Board>,
    inbox: Arc<Inbox>,
    threads: Arc<Threads>,
}

impl Node {
    /// Opens the data directory and starts the node. Returns as soon as the node listens to its
    /// peers: it may not be part of a cluster yet, nor know a leader.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the settings contradict each other, the directory cannot be used or recovered, or the
    /// peer port is taken. The message is one line that ends in a remedy.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        check(&config)?;
        let directory = Arc::new(Directory::open(&config.data_dir)?);
        let address = config.peer_listen;
        let listen = |source| OpenError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(listen)?;
        let peer_address = socket.local_addr().map_err(listen)?;

        let identity = identity(&config, &directory)?;
        let me = Member {
            id: identity.id,
            incarnation: identity.incarnation,
            name: identity.name.clone(),
            peer_address: config.peer_advertise.clone().unwrap_or_else(|| peer_address.to_string()),
            client_url: config.client_url.clone(),
        };
        let former = Arc::new(Former::new(Arc::clone(&directory), identity, me.clone()));
        let store = Arc::new(Store::new(config.limits.clone(), config.pending_bytes_max));
        let overview = Arc::new(Overview {
            store: Arc::clone(&store),
            former: Arc::clone(&former),
            started: Instant::now(),
        });
        let launch = Launch {
            config,
            directory: Arc::clone(&directory),
            former: Arc::clone(&former),
            me,
            store: Arc::clone(&store),
            board: Arc::new(Board::default()),
            inbox: Arc::new(Inbox::default()),
            threads: Arc::new(Threads::default()),
        };
        let (board, inbox) = (Arc::clone(&launch.board), Arc::clone(&launch.inbox));
        let threads = Arc::clone(&launch.threads);
        let mut tasks = JoinSet::new();
        launch.begin(&mut tasks)?;
        tasks.spawn(listener::run(socket, former));
        Ok(Self { store, overview, peer_address, board, inbox, threads, directory, tasks })
    }

    /// The store, for surfaces.
    #[must_use]
    pub fn service(&self) -> Arc<dyn Service> {
        Arc::clone(&self.store) as Arc<dyn Service>
    }

    /// What the node says about itself, for surfaces.
    #[must_use]
    pub fn admin(&self) -> Arc<dyn Admin> {
        Arc::clone(&self.overview) as Arc<dyn Admin>
    }

    /// Where the node listens to its peers.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// Waits until the node cannot go on: a disk that fails, data that is damaged. The process
    /// should end then; what was acknowledged is safe.
    pub async fn failed(&self) -> Fatal {
        self.board.failed().await
    }

    /// Turns new requests away from now on, and ends those that only wait (for a revision, or for a
    /// cluster to form). The first step of [`Node::shutdown`], for callers that close their
    /// connections before they go on with it.
    pub fn drain(&self) {
        self.store.drain();
    }

    /// Stops in good order: takes no new requests, hands leadership over, finishes what is under
    /// way, and writes everything to disk. Takes some seconds at most.
    ///
    /// # Errors
    /// If the node failed before or while it stopped.
    pub async fn shutdown(mut self) -> Result<(), Fatal> {
        self.store.drain();
        if let Some(running) = self.store.running() {
            let board = &running.board;
            if self.overview.cluster().members.len() > 1 {
                self.inbox.push(Input::Core(Event::HandOver));
                let handed = tokio::time::timeout(HAND_OVER_TIMEOUT, board.led_no_more()).await;
                if handed.is_err() {
                    tracing::warn!("no other node took over leadership in time");
                }
            }
            let finished = tokio::time::timeout(FINISH_TIMEOUT, board.nothing_pending()).await;
            if finished.is_err() {
                tracing::warn!("some requests were still under way");
            }
        }
        let threads = Arc::clone(&self.threads);
        let inbox = Arc::clone(&self.inbox);
        let stopping = tokio::task::spawn_blocking(move || threads.stop(&inbox));
        stopping.await.map_err(|error| Fatal(format!("stopping failed: {error}")))?;
        self.tasks.shutdown().await;
        if let Some(fatal) = self.board.failure() {
            return Err(fatal);
        }
        match self.store.running() {
            Some(running) => background::flush(&running.state),
            None => Ok(()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing may be written to the directory after its lock is given back. A compaction that
        // goes on keeps it until the process ends.
        if self.threads.stop(&self.inbox) {
            self.directory.unlock();
        } else {
            tracing::warn!("compaction goes on for a moment; the data directory stays locked");
        }
    }
}

impl Threads {
    /// Stops the threads and waits for them; false if one goes on.
    fn stop(&self, inbox: &Inbox) -> bool {
        inbox.push(Input::Stop);
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(driver) = driver
            && driver.join().is_err()
        {
            tracing::error!("the driver panicked");
        }
        let background = self.background.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !background.is_none_or(Background::stop) {
            self.busy.store(true, Ordering::Release);
        }
        !self.busy.load(Ordering::Acquire)
    }
}

impl Launch {
    /// Starts the node if it knows its cluster; otherwise founds one, or looks for others to
    /// found one with in a task of its own.
    fn begin(self, tasks: &mut JoinSet<()>) -> Result<(), OpenError> {
        if let Some(founded) = self.former.founded() {
            return self.start(&founded, tasks);
        }
        if self.config.join.is_empty() {
            let founded = self.former.found_alone()?;
            tracing::info!(cluster = %founded.cluster, "founded a cluster of one node");
            return self.start(&founded, tasks);
        }
        tasks.spawn(async move {
            let expect = self.config.expect.unwrap_or(1);
            let formed = self.former.form(&self.config.join, expect).await;
            let mut links = JoinSet::new();
            let started = formed.and_then(|founded| self.start(&founded, &mut links));
            if let Err(error) = started {
                self.board.fail(Fatal(error.to_string()));
            }
            // The links live as long as this task does.
            while links.join_next().await.is_some() {}
        });
        Ok(())
    }

    /// Recovers the parts and starts driver, background thread and links.
    fn start(&self, founded: &Founded, tasks: &mut JoinSet<()>) -> Result<(), OpenError> {
        let session = random::identity()?;
        let (id, me) = (founded.cluster, self.me.clone());
        let cluster = Arc::new(Cluster::new(id, me, &founded.members, session));
        let parts = parts::open(&self.config, &self.directory, &cluster, self.former.has_log())?;
        self.former.note_log()?;
        let tick = Duration::from_millis(parts::tick_ms(&self.config));
        let revision = parts.state.read().unwrap_or_else(PoisonError::into_inner).revision();
        self.board.set_revision(revision);
        let driver = Driver {
            core: parts.core,
            session,
            tick,
            inbox: Arc::clone(&self.inbox),
            cluster: Arc::clone(&cluster),
            state: Arc::clone(&parts.state),
            board: Arc::clone(&self.board),
            log: LogWriter::new(Arc::clone(&parts.log), Arc::clone(&self.inbox)),
            outboxes: Outboxes::default(),
            replies: Replies::default(),
            buffer_bytes_max: self.config.buffer_bytes.saturating_mul(3),
            idle_ticks: 0,
            follow_up: Vec::new(),
        };
        let no_thread =
            |error: std::io::Error| OpenError::Config(format!("cannot start a thread: {error}"));
        let board = Arc::clone(&self.board);
        let background = Background::start(
            Arc::clone(&parts.engine),
            Arc::clone(&parts.state),
            Arc::clone(&parts.log),
            &self.inbox,
        )
        .map_err(no_thread)?;
        let driver = thread::Builder::new()
            .name("remex-driver".to_owned())
            .spawn(move || {
                let _watch = PanicWatch(board);
                driver.run();
            })
            .map_err(no_thread)?;
        *self.threads.background.lock().unwrap_or_else(PoisonError::into_inner) = Some(background);
        *self.threads.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver);
        self.former.set_running(Arc::clone(&cluster), Arc::clone(&self.inbox));
        for peer in cluster.peers.values() {
            let inbox = Arc::clone(&self.inbox);
            tasks.spawn(link::run(Arc::clone(&cluster), Arc::clone(peer), inbox));
        }
        self.store.start(Running {
            inbox: Arc::clone(&self.inbox),
            state: parts.state,
            engine: parts.engine,
            board: Arc::clone(&self.board),
            tick,
        });
        Ok(())
    }
}

/// Posts a panic of the driver on the board: where a panic does not end the process, the node
/// must not look alive.
struct PanicWatch(Arc<Board>);

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(Fatal("the driver panicked: a defect of Remex".to_owned()));
        }
    }
}

/// Checks that the settings fit together.
fn check(config: &Config) -> Result<(), OpenError> {
    let refuse = |text: String| Err(OpenError::Config(text));
    if let Some(expect) = config.expect.filter(|expect| 2 * expect <= config.join.len()) {
        return refuse(format!(
            "--expect {expect} is at most half of the {} addresses in --join: two halves could found \
             two clusters; expect more than half of them",
            config.join.len()
        ));
    }
    match (config.join.is_empty(), config.expect) {
        (true, Some(_)) => {
            return refuse("--expect needs --join with the peer addresses of all nodes".to_owned());
        }
        (false, None) => {
            return refuse(
                "--join needs --expect with the number of nodes that found the cluster, for \
                 example --expect 3"
                    .to_owned(),
            );
        }
        (false, Some(0)) => return refuse("--expect must be at least 1".to_owned()),
        (false, Some(_)) | (true, None) => {}
    }
    if let Err(text) = config.limits.check() {
        return refuse(text);
    }
    let entry_bytes_max = parts::entry_bytes_max(config);
    let room = remex_log::Options::new(remex_log::Owner::default(), 0);
    let room = remex_log::Options { segment_bytes: config.segment_bytes, ..room }.entry_bytes_max();
    if entry_bytes_max > room {
        return refuse(format!(
            "a request can take {entry_bytes_max} bytes of the log, but a segment of {} bytes \
             holds entries of {room}; lower max-request-bytes or take larger segments",
            config.segment_bytes
        ));
    }
    if config.heartbeat_ms == 0 || config.election_timeout_ms < 3 * config.heartbeat_ms {
        return refuse(format!(
            "the election timeout ({} ms) must be at least three heartbeats (of {} ms), or every \
             late heartbeat starts an election",
            config.election_timeout_ms, config.heartbeat_ms
        ));
    }
    Ok(())
}

/// Reads who the node is, or makes it up in a fresh directory.
fn identity(config: &Config, directory: &Directory) -> Result<Identity, OpenError> {
    if let Some(identity) = directory.read_identity()? {
        if let Some(name) = config.name.as_ref().filter(|name| **name != identity.name) {
            return Err(OpenError::Identity(format!(
                "the data directory {} belongs to node {} ({}), not to {name}; start it with \
                 --name {}, or choose another --data-dir",
                config.data_dir.display(),
                identity.name,
                identity.id,
                identity.name
            )));
        }
        return Ok(identity);
    }
    if [directory.log(), directory.engine()].iter().any(|folder| holds_anything(folder)) {
        return Err(OpenError::Identity(format!(
            "the data directory {} holds data, but the file `identity`, which says whose, is gone; \
             restore it from a copy, or choose another --data-dir",
            config.data_dir.display()
        )));
    }
    let identity = Identity {
        id: remex_model::NodeId(random::identity()?),
        incarnation: remex_model::Incarnation(random::identity()?),
        name: config.name.clone().unwrap_or_else(default_name),
        has_log: false,
        phase: Phase::Fresh,
    };
    directory.write_identity(&identity)?;
    Ok(identity)
}

/// The host's name, or `node`.
fn default_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "node".to_owned(),
        name => name.to_owned(),
    }
}
