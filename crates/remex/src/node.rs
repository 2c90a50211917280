//! A running node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remex_consensus::Event;
use remex_model::{Admin, Service};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::board::Board;
use crate::directory::Directory;
use crate::door::Door;
use crate::folders::holds_anything;
use crate::generation::Generation;
use crate::house::House;
use crate::identity::{Identity, Phase};
use crate::inbox::Input;
use crate::members::Steward;
use crate::meters::Meters;
use crate::overview::Overview;
use crate::peer::form::Former;
use crate::peer::listener;
use crate::peer::patience::Patience;
use crate::peer::port::PeerPort;
use crate::snapshots::{Desk, Shelf};
use crate::supervisor::{self, Begin, Room};
use crate::{Config, Fatal, OpenError, places, random};

/// Longest time that a stopping leader waits for another to take over.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest time that a stopping node waits for the requests that are under way.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest time that a stopping node waits for parts that are just being opened or stopped.
const MOVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A node: part of a cluster, or waiting to be. Dropping it stops it at once, like a crash,
/// without losing anything that was acknowledged; [`Node::shutdown`] stops it in good order.
///
/// Its parts (log, engine, consensus) may be stopped and opened anew while it lives, when it
/// installs a snapshot, joins a cluster or repairs its disk; requests meanwhile wait within their
/// deadlines.
#[derive(Debug)]
pub struct Node {
    house: Arc<House>,
    room: Arc<Room>,
    overview: Arc<Overview>,
    peers: PeerPort,
    peer_address: SocketAddr,
    /// Supervisor and listener; they end with the node.
    tasks: JoinSet<()>,
    /// Whether it was shut down.
    closed: bool,
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
        config.check()?;
        let directory = Arc::new(Directory::open_with(&config.data_dir, &places::wanted(&config))?);
        let (socket, peer_address) = listen(&config).await?;
        let identity = identity(&config, &directory)?;
        let alone = identity.phase == Phase::Fresh && config.join.is_empty() && !config.wait;
        let advertised = config.peer_advertise.clone().unwrap_or_else(|| peer_address.to_string());
        let client_url = config.client_url.clone();
        let patience = Patience::of(&config);
        let former =
            Former::new(Arc::clone(&directory), identity, advertised, client_url, patience);
        let former = Arc::new(former);
        let meters = Arc::new(Meters::default());
        let house = Arc::new(House {
            shelf: Shelf::open(directory.snapshots())?,
            directory,
            door: Arc::new(Door::new(&config, Arc::clone(&former), Arc::clone(&meters))),
            former,
            board: Arc::new(Board::default()),
            desk: Arc::new(Desk::default()),
            meters,
            started: Instant::now(),
            config,
        });
        let room = Arc::new(Room::default());
        let begin = if alone {
            let founded = house.former.found_alone()?;
            tracing::info!(cluster = %founded.cluster, "founded a cluster of one node");
            supervisor::open_first(&house, &room, &founded)?
        } else if let Some(founded) = house.former.founded() {
            supervisor::open_first(&house, &room, &founded)?
        } else {
            Begin::Apart
        };
        let steward = Arc::new(Steward::new(Arc::clone(&house.former)));
        let overview =
            Arc::new(Overview { house: Arc::clone(&house), steward: Arc::clone(&steward) });
        let mut tasks = JoinSet::new();
        tasks.spawn(supervisor::run(Arc::clone(&house), Arc::clone(&room), begin));
        tasks.spawn(Arc::clone(&steward).tend());
        let (peers, handed) = PeerPort::new();
        tasks.spawn(listener::run(socket, handed, steward, Arc::clone(&house.desk)));
        Ok(Self { house, room, overview, peers, peer_address, tasks, closed: false })
    }

    pub(crate) fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// The store, for surfaces.
    #[must_use]
    pub fn service(&self) -> Arc<dyn Service> {
        Arc::clone(&self.house.door) as Arc<dyn Service>
    }

    /// What the node says about itself, and what it can be asked to do, for surfaces.
    #[must_use]
    pub fn admin(&self) -> Arc<dyn Admin> {
        Arc::clone(&self.overview) as Arc<dyn Admin>
    }

    /// Where the node takes connections of its peers that come to another port than its own; the
    /// only way in with `Config::single_port`.
    #[must_use]
    pub fn peers(&self) -> PeerPort {
        self.peers.clone()
    }

    /// Where the node listens to its peers; with `Config::single_port`, where it was told that they
    /// come in.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// Waits until the node cannot go on: a disk that fails, data that is damaged and cannot be had
    /// from elsewhere, removal from the cluster. The process should end then; what was acknowledged
    /// is safe.
    pub async fn failed(&self) -> Fatal {
        self.house.board.failed().await
    }

    /// Turns new requests away from now on, and ends those that only wait (for a revision, or for a
    /// cluster to form). The first step of [`Node::shutdown`], for callers that close their
    /// connections before they go on with it.
    pub fn drain(&self) {
        self.house.door.drain();
    }

    /// Stops in good order: takes no new requests, hands leadership over, finishes what is under
    /// way, and writes everything to disk. Takes some seconds at most.
    ///
    /// # Errors
    /// If the node failed before or while it stopped.
    pub async fn shutdown(mut self) -> Result<(), Fatal> {
        let house = Arc::clone(&self.house);
        house.door.drain();
        let board = &house.board;
        if let Some(running) = house.door.running() {
            if board.membership().voters().nth(1).is_some() {
                running.inbox.push(Input::Core(Event::Transfer { to: None }));
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
        let closed = match self.room.close() {
            Some(generation) => {
                // If the runtime ends meanwhile, the directory stays locked until this has.
                let moving = self.room.begin_moving().await;
                let closing = tokio::task::spawn_blocking(move || {
                    let closed = generation.close();
                    drop(moving);
                    closed
                });
                Some(closing.await.map_err(|error| Fatal::Failed(error.to_string()))?)
            }
            None => None,
        };
        self.tasks.shutdown().await;
        self.closed = true;
        let (stopped, flushed) = closed.unwrap_or((true, Ok(())));
        let still = self.room.is_still(MOVE_TIMEOUT).await;
        unlock(&house, stopped && still);
        if let Some(fatal) = board.failure() {
            return Err(fatal);
        }
        flushed
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        // Whoever still waits for the node is told at once.
        self.house.door.drain();
        // Nothing may be written to the directory after its lock is given back.
        let stopped = self.room.close().is_none_or(Generation::stop) && self.room.is_still_now();
        unlock(&self.house, stopped);
    }
}

/// Listens to the peers, unless they come in by another port.
async fn listen(config: &Config) -> Result<(Option<TcpListener>, SocketAddr), OpenError> {
    let address = config.peer_listen;
    if config.single_port {
        return Ok((None, address));
    }
    let failed = |source| OpenError::Listen { address, source };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok((Some(socket), address))
}

/// Gives the directory's lock back. Whatever goes on keeps it until it has ended.
fn unlock(house: &House, stopped: bool) {
    if stopped {
        house.directory.unlock();
    } else {
        tracing::warn!("work on the disk goes on for a moment; the data directory stays locked");
    }
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
        if let Phase::Removed { cluster } = identity.phase {
            return Err(OpenError::Removed(format!(
                "this node ({}, {}) was removed from cluster {cluster}; to let it join again, start \
                 it with an empty --data-dir and --join",
                identity.name, identity.id
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
pub(crate) fn default_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "node".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use super::*;

    /// A runtime that does not wait for what it has begun ends while a node is being closed.
    #[test]
    fn a_directory_stays_locked_until_a_close_that_was_cut_short_has_ended() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let config = Config::new(folder.path());
        let open = || Directory::open(folder.path());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let node = runtime.block_on(Node::open(config)).expect("the node opens");
        let house = Arc::clone(node.house());
        let running = house.door.running().expect("it runs");
        let reading = running.state.read().unwrap_or_else(PoisonError::into_inner);
        drop(runtime.spawn(node.shutdown()));
        // The driver ends at once; what is to be flushed waits for the reader.
        while !running.outgoing.is_closed() {
            std::thread::yield_now();
        }
        runtime.shutdown_background();
        drop(house);
        assert!(matches!(open(), Err(OpenError::Locked { .. })), "somebody still writes there");
        drop(reading);
        drop(running);
        while let Err(error) = open() {
            assert!(matches!(error, OpenError::Locked { .. }), "{error}");
            std::thread::yield_now();
        }
    }
}
