//! The life of a node: into a cluster, one generation after another, repairs between them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remex_log::{FileDisk, Log};
use remex_model::{ClusterId, Index};

use crate::board::Stage;
use crate::ending::{Damage, Damaged, Ending};
use crate::generation::{Ended, Generation};
use crate::house::House;
use crate::parts::{self, Sizes, Unopened};
use crate::peer::form::Founded;
use crate::peer::hello::{Hello, Position, Purpose};
use crate::recollection::Recollection;
use crate::{Fatal, OpenError, random, snapshots};

/// Pause between two rounds of asking the other members for a snapshot.
const REPAIR_PAUSE: Duration = Duration::from_secs(1);

/// What is said of a node that finds in its own state that it was removed.
const REMOVED: &str = "this node was removed from the cluster";

/// Where the running generation is, for whoever has to stop it.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Slot>);

#[derive(Debug, Default)]
enum Slot {
    /// None at the moment.
    #[default]
    Empty,
    Running(Generation),
    /// The node is being stopped: none is wanted any more.
    Closed,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves a generation in; it is stopped at once if the node is.
    pub(crate) fn enter(&self, generation: Generation) {
        let mut slot = self.lock();
        if matches!(*slot, Slot::Closed) {
            drop(slot);
            generation.stop();
            return;
        }
        *slot = Slot::Running(generation);
    }

    /// Takes the generation out, if there is one; another may come.
    pub(crate) fn leave(&self) -> Option<Generation> {
        let mut slot = self.lock();
        match std::mem::take(&mut *slot) {
            Slot::Running(generation) => Some(generation),
            Slot::Empty => None,
            Slot::Closed => {
                *slot = Slot::Closed;
                None
            }
        }
    }

    /// Takes the generation out for good.
    pub(crate) fn close(&self) -> Option<Generation> {
        match std::mem::replace(&mut *self.lock(), Slot::Closed) {
            Slot::Running(generation) => Some(generation),
            Slot::Empty | Slot::Closed => None,
        }
    }
}

/// What the supervisor begins with.
#[derive(Debug)]
pub(crate) enum Begin {
    /// A generation runs.
    Running(Ended),
    /// The parts could not be opened, but can be repaired.
    Damaged(Damage),
    /// The node belongs to no cluster yet.
    Apart,
}

/// Looks after a node until it cannot go on.
pub(crate) async fn run(house: Arc<House>, room: Arc<Room>, begin: Begin) {
    let mut next = match begin {
        Begin::Running(ended) => ended.await.unwrap_or(died()),
        Begin::Damaged(damage) => Ending::Damaged(damage),
        Begin::Apart => Ending::Invited,
    };
    loop {
        let left = { room.leave() };
        if let Some(generation) = left {
            // Blocks until the threads have ended.
            drop(tokio::task::spawn_blocking(move || generation.stop_wholly()).await);
        }
        let prepared = match next {
            Ending::Stopped => return,
            Ending::Failed(fatal) => Err(fatal),
            Ending::Removed(reason) => Err(removed(&house, &reason)),
            Ending::Install | Ending::Invited => Ok(()),
            Ending::Damaged(damage) => repair(&house, &damage).await,
        };
        let opened = match prepared {
            Ok(()) => open(&house).await,
            Err(fatal) => Err(fatal),
        };
        next = match opened {
            Ok(Opened::Running(generation, ended)) => {
                room.enter(generation);
                house.board.set_stage(Stage::Running);
                ended.await.unwrap_or(died())
            }
            Ok(Opened::Damaged(damage)) => Ending::Damaged(damage),
            Ok(Opened::Removed) => Ending::Removed(REMOVED.to_owned()),
            Err(fatal) => {
                if let Fatal::Failed(reason) = &fatal {
                    tracing::error!(%reason, "the node cannot go on");
                }
                house.board.fail(fatal);
                return;
            }
        };
    }
}

/// The end of a driver that does not say why it ended.
fn died() -> Ending {
    Ending::Failed(Fatal::Failed("the driver panicked: a defect of Remex".to_owned()))
}

enum Opened {
    Running(Generation, Ended),
    Damaged(Damage),
    Removed,
}

/// Becomes part of a cluster if the node is not, and opens its parts.
async fn open(house: &Arc<House>) -> Result<Opened, Fatal> {
    let config = &house.config;
    let failed = |error: OpenError| Fatal::Failed(error.to_string());
    let entering = house.former.enter_cluster(&config.join, config.expect, config.wait);
    let founded = entering.await.map_err(failed)?;
    let house = Arc::clone(house);
    let opening = tokio::task::spawn_blocking(move || Generation::open(&house, &founded));
    match opening.await {
        Ok(Ok((generation, ended))) => Ok(Opened::Running(generation, ended)),
        Ok(Err(Unopened::Damaged(damage))) => Ok(Opened::Damaged(damage)),
        Ok(Err(Unopened::Removed)) => Ok(Opened::Removed),
        Ok(Err(Unopened::Error(error))) => Err(failed(error)),
        Err(error) => Err(Fatal::Failed(format!("opening the data failed: {error}"))),
    }
}

/// Takes note, for ever, that the node is no member any more.
fn removed(house: &House, reason: &str) -> Fatal {
    match house.former.remove() {
        Ok(()) => Fatal::Removed(format!(
            "{reason}. To let it join again, start it with an empty --data-dir and --join"
        )),
        Err(error) => Fatal::Failed(error.to_string()),
    }
}

/// Fetches what the disk has lost from the other members. For a node without others there is nobody
/// to ask: it stops.
async fn repair(house: &Arc<House>, damage: &Damage) -> Result<(), Fatal> {
    let Some(cluster) = house.former.cluster() else {
        return Err(Fatal::Failed(damage.to_string()));
    };
    let mut addresses = Recollection::read(&house.directory).addresses(house.former.me().id);
    for address in &house.config.join {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    if addresses.is_empty() {
        let text = parts::unrecovered(&damage.to_string()).to_string();
        return Err(Fatal::Failed(text));
    }
    house.board.set_stage(Stage::Repairing);
    house.meters.repairs(damage.part).add();
    tracing::error!(
        cause = damage.part.as_str(), damage = %damage,
        "this node's data is damaged; it fetches what it needs from the other members"
    );
    match damage.part {
        Damaged::Engine => fetch_engine(house, cluster, &addresses).await,
        Damaged::Log | Damaged::RolledBack => {
            let lost = house.former.lose(cluster, addresses);
            lost.map_err(|error| Fatal::Failed(error.to_string()))
        }
    }
}

/// Fetches a snapshot that the log of this node goes on from.
async fn fetch_engine(
    house: &Arc<House>,
    cluster: ClusterId,
    addresses: &[String],
) -> Result<(), Fatal> {
    let failed = |error: OpenError| Fatal::Failed(error.to_string());
    let position = log_span(house, cluster).map_err(failed)?;
    let Some((at_least, position)) = position else {
        // The log is damaged as well: opening finds that, and starts anew under another id.
        return Ok(());
    };
    let session = random::identity().map_err(failed)?;
    let hello = Hello { purpose: Purpose::Fetch, session, position, ..house.former.hello() };
    let mut complaint = String::new();
    loop {
        for address in addresses {
            match snapshots::fetch(address, &hello, at_least, &house.shelf).await {
                Ok(index) => {
                    tracing::info!(%address, %index, "fetched the state from another member");
                    // What is damaged may look whole, and newer than the snapshot.
                    return house.directory.remove_engine().map_err(failed);
                }
                Err(error) => {
                    let text = format!("{address}: {error}");
                    if text != complaint {
                        tracing::warn!(reason = %text, "cannot fetch the state from this member");
                        complaint = text;
                    }
                }
            }
        }
        tokio::time::sleep(REPAIR_PAUSE).await;
    }
}

/// The entry that a state must hold at least for the log to go on from, and where the log ends.
/// `None` if the log cannot be read.
fn log_span(house: &House, cluster: ClusterId) -> Result<Option<(Index, Position)>, OpenError> {
    let (directory, path) = (&house.directory, house.directory.log());
    let sizes = Sizes::of(&house.config, directory)?;
    let disk = FileDisk::open(&path)
        .map_err(|source| OpenError::DataDir { path: path.clone(), source })?;
    let (me, seed) = (house.former.me().id, random::identity()?);
    let options = parts::log_options(cluster, me, sizes.segment_bytes, seed);
    match Log::open(disk, options) {
        Ok((log, _)) => {
            let term = remex_model::Term(log.hard_state().term);
            let position = Position { term, last_index: Index(log.last_index()) };
            Ok(Some((Index(log.first_index().saturating_sub(1)), position)))
        }
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(parts::unrecovered(&format!("the log in {}: {error}", path.display()))),
    }
}

/// Opens the parts of a node that belongs to a cluster, at its start: what cannot be repaired is an
/// error of the start.
pub(crate) fn open_first(
    house: &Arc<House>,
    room: &Room,
    founded: &Founded,
) -> Result<Begin, OpenError> {
    match Generation::open(house, founded) {
        Ok((generation, ended)) => {
            room.enter(generation);
            house.board.set_stage(Stage::Running);
            Ok(Begin::Running(ended))
        }
        Err(Unopened::Error(error)) => Err(error),
        Err(Unopened::Removed) => Err(OpenError::Removed(removed(house, REMOVED).to_string())),
        Err(Unopened::Damaged(damage)) => {
            let others = Recollection::read(&house.directory).addresses(house.former.me().id);
            if others.is_empty() && house.config.join.is_empty() {
                return Err(parts::unrecovered(&damage.to_string()));
            }
            Ok(Begin::Damaged(damage))
        }
    }
}
