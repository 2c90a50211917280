//! One generation of a node's parts: opened together, running together, ended together.
//!
//! A node that only ever starts and stops has one. One that installs a snapshot, joins another
//! cluster or repairs its disk ends the generation, does that, and opens the next, in the same
//! process: whatever can be repaired is repaired on the way that every start takes.

use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::background::{Background, Work};
use crate::checkpoints::Checkpoints;
use crate::cluster::Cluster;
use crate::driver::{Driver, Outboxes, Replies};
use crate::ending::Ending;
use crate::flush::Flush;
use crate::forwarding::Forwarding;
use crate::house::House;
use crate::inbox::{Inbox, Input};
use crate::log_writer::LogWriter;
use crate::parts::{self, Parts, Unopened, Whose};
use crate::peer::form::Founded;
use crate::peer::links;
use crate::recollection::Recollection;
use crate::running::Running;
use crate::snapshots::{Fetcher, Outgoing};
use crate::{Fatal, OpenError, random};

/// Pause between two looks whether what is known of the others is to be written down.
const REMEMBER_PAUSE: Duration = Duration::from_secs(1);

/// Marks rise with every write: how often that is written down.
const REMEMBER_MARKS: Duration = Duration::from_secs(10);

/// The running parts.
#[derive(Debug)]
pub(crate) struct Generation {
    house: Arc<House>,
    inbox: Arc<Inbox>,
    flush: Arc<Flush>,
    outgoing: Arc<Outgoing>,
    driver: Option<JoinHandle<()>>,
    background: Option<Background>,
    /// Links to the peers and the like; they end with the generation.
    _tasks: JoinSet<()>,
}

/// Comes when a generation ends by itself, or is stopped.
pub(crate) type Ended = oneshot::Receiver<Ending>;

impl Generation {
    /// Recovers the parts and starts them. Blocks; must be called within a tokio runtime.
    pub(crate) fn open(house: &Arc<House>, founded: &Founded) -> Result<(Self, Ended), Unopened> {
        let session = random::identity()?;
        let House { config, directory, former, board, meters, .. } = &**house;
        let me = former.me();
        let whose = Whose {
            config,
            directory,
            cluster: founded.cluster,
            me: me.id,
            founders: &founded.members,
            has_log: former.has_log(),
            session,
        };
        if !whose.has_log {
            let path = directory.path().to_owned();
            Recollection::forget(directory)
                .map_err(|source| OpenError::DataDir { path, source })?;
        }
        let parts = parts::open(&whose, &house.shelf)?;
        former.note_log()?;
        if parts.installed {
            meters.snapshots_installed.add();
        }
        let Recollection { marks, .. } = Recollection::read(directory);
        let cluster = Arc::new(Cluster::new(founded.cluster, me, session, parts.position, marks));
        let membership = {
            let state = parts.state.read().unwrap_or_else(PoisonError::into_inner);
            board.set_revision(state.revision());
            state.membership()
        };
        if membership.was_removed(cluster.me.id) {
            return Err(Unopened::Removed);
        }
        cluster.update(&membership);
        board.set_membership(membership);
        Ok(Self::start(house, parts, cluster)?)
    }

    /// Starts threads and tasks.
    fn start(
        house: &Arc<House>,
        parts: Parts,
        cluster: Arc<Cluster>,
    ) -> Result<(Self, Ended), OpenError> {
        let House { config, directory, former, door, board, desk, meters, .. } = &**house;
        let inbox = Arc::new(Inbox::default());
        let tick = Duration::from_millis(parts::tick_ms(config));
        let flush = Flush::new(Arc::clone(&parts.state));
        let outgoing = Arc::new(Outgoing::new(
            house.shelf.clone(),
            cluster.id,
            Arc::clone(&flush),
            Arc::clone(&parts.engine),
            Arc::clone(&inbox),
            Arc::clone(meters),
        ));
        let work = Work {
            disks: directory.disks(),
            engine: Arc::clone(&parts.engine),
            state: Arc::clone(&parts.state),
            log: Arc::clone(&parts.log),
            flush: Arc::clone(&flush),
            outgoing: Arc::clone(&outgoing),
            board: Arc::clone(board),
            sizes: parts.sizes,
        };
        let background = Background::start(work, &inbox).map_err(no_thread)?;
        let fetcher = Arc::new(Fetcher::new());
        let driver = Driver {
            core: parts.core,
            session: cluster.session,
            tick,
            inbox: Arc::clone(&inbox),
            cluster: Arc::clone(&cluster),
            state: Arc::clone(&parts.state),
            board: Arc::clone(board),
            log: LogWriter::new(parts.log, Arc::clone(&inbox), Arc::clone(meters)),
            outboxes: Outboxes::default(),
            replies: Replies::default(),
            checkpoints: Checkpoints::default(),
            fetcher: Arc::clone(&fetcher),
            shelf: house.shelf.clone(),
            meters: Arc::clone(meters),
            last_leader: None,
            removed_ticks: None,
            watch_ticks: 0,
            buffer_bytes_max: parts.sizes.buffer_bytes.saturating_mul(3),
            idle_ticks: 0,
            follow_up: Vec::new(),
        };
        let (driver, ended) = spawn_driver(driver).map_err(no_thread)?;
        former.set_running(Arc::clone(&cluster), Arc::clone(&inbox), Arc::clone(board));
        desk.set(Some(Arc::clone(&outgoing)));
        let tasks = tasks(house, &cluster, &inbox, fetcher);
        door.start(Running {
            inbox: Arc::clone(&inbox),
            state: parts.state,
            engine: parts.engine,
            board: Arc::clone(board),
            cluster,
            outgoing: Arc::clone(&outgoing),
            tick,
            has_state: !board.membership().is_empty(),
            forwarding: Forwarding::new(config.forward_timeout_ms),
        });
        let (driver, background) = (Some(driver), Some(background));
        let house = Arc::clone(house);
        Ok((Self { house, inbox, flush, outgoing, driver, background, _tasks: tasks }, ended))
    }

    /// Stops in haste; false if a compaction goes on by itself.
    pub(crate) fn stop(mut self) -> bool {
        self.halt(true)
    }

    /// Stops, and waits until nothing touches the data any more.
    pub(crate) fn stop_wholly(mut self) {
        self.halt(false);
    }

    /// Stops in haste, and writes everything to the engine.
    pub(crate) fn close(mut self) -> (bool, Result<(), Fatal>) {
        let stopped = self.halt(true);
        let flushed = match self.flush.run() {
            Ok(_done_or_full) => Ok(()),
            Err(Ending::Failed(fatal)) => Err(fatal),
            Err(ending) => Err(Fatal::Failed(format!("{ending:?}"))),
        };
        (stopped, flushed)
    }

    fn halt(&mut self, hasty: bool) -> bool {
        let House { former, door, board, desk, .. } = &*self.house;
        door.stop();
        desk.set(None);
        former.clear_running();
        self.inbox.push(Input::Stop);
        if let Some(driver) = self.driver.take()
            && driver.join().is_err()
        {
            tracing::error!("the driver panicked");
        }
        self.inbox.close();
        board.clear();
        self.outgoing.close();
        self.background.take().is_none_or(|background| background.stop(hasty))
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if self.driver.is_some() {
            self.halt(true);
        }
    }
}

/// What goes on beside the threads.
fn tasks(
    house: &Arc<House>,
    cluster: &Arc<Cluster>,
    inbox: &Arc<Inbox>,
    fetcher: Arc<Fetcher>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let patience = house.former.patience;
    tasks.spawn(links::run(Arc::clone(cluster), Arc::clone(inbox), patience));
    tasks.spawn(fetcher.run(Arc::clone(cluster), house.shelf.clone(), Arc::clone(inbox)));
    tasks.spawn(remember(Arc::clone(house), Arc::clone(cluster)));
    tasks
}

fn no_thread(error: std::io::Error) -> OpenError {
    OpenError::Config(format!("cannot start a thread: {error}"))
}

/// Runs the driver on a thread of its own. A panic is an end, too: where it does not end the
/// process, the node must not look alive.
fn spawn_driver(driver: Driver) -> std::io::Result<(JoinHandle<()>, Ended)> {
    let (sender, ended) = oneshot::channel();
    let thread = thread::Builder::new().name("remex-driver".to_owned()).spawn(move || {
        let ending = driver.run();
        // Nobody waits for the end of a node that was dropped.
        drop(sender.send(ending));
    })?;
    Ok((thread, ended))
}

/// Writes down what is known of the others when it has changed.
async fn remember(house: Arc<House>, cluster: Arc<Cluster>) {
    let mut written = Recollection::read(&house.directory);
    let mut last = Instant::now();
    loop {
        let (membership, marks) = (house.board.membership(), cluster.marks());
        let known = Recollection { membership, marks };
        let due = known.membership != written.membership || last.elapsed() >= REMEMBER_MARKS;
        if due && known != written && !known.membership.is_empty() {
            let (house, copy) = (Arc::clone(&house), known.clone());
            let writing = tokio::task::spawn_blocking(move || copy.write(&house.directory));
            if let Ok(Err(error)) = writing.await {
                tracing::warn!(reason = %error, "cannot write down who the other members are");
            }
            (written, last) = (known, Instant::now());
        }
        tokio::time::sleep(REMEMBER_PAUSE).await;
    }
}
