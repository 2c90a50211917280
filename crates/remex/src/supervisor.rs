//! The life of a node: into a cluster, one generation after another, repairs between them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::board::Stage;
use crate::ending::{Damage, Ending};
use crate::generation::{Ended, Generation};
use crate::house::House;
use crate::parts::{self, Unopened};
use crate::peer::form::Founded;
use crate::recollection::Recollection;
use crate::repair::repair;
use crate::{Fatal, OpenError};

/// Pause before a disk without room is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// What is said of a node that finds in its own state that it was removed.
const REMOVED: &str = "this node was removed from the cluster";

/// Where the running generation is, for whoever has to stop it.
#[derive(Debug, Default)]
pub(crate) struct Room {
    slot: Mutex<Slot>,
    /// Held by a thread that opens or stops a generation: it goes on when the supervisor has ended.
    moving: Arc<tokio::sync::Mutex<()>>,
}

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
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while a generation is opened or stopped.
    pub(crate) async fn begin_moving(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.moving).lock_owned().await
    }

    /// Waits until no generation is being opened or stopped; false if that takes longer than
    /// `limit`. Once the room is closed and the supervisor has ended, none ever will be.
    pub(crate) async fn is_still(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.moving.lock()).await.is_ok()
    }

    /// Whether no generation is being opened or stopped at this moment.
    pub(crate) fn is_still_now(&self) -> bool {
        self.moving.try_lock().is_ok()
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
    /// The node belongs to no cluster yet, or waits for room on its disk.
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
        let moving = room.begin_moving().await;
        let left = { room.leave() };
        if let Some(generation) = left {
            // Blocks until the threads have ended.
            let stopping = tokio::task::spawn_blocking(move || {
                generation.stop_wholly();
                drop(moving);
            });
            drop(stopping.await);
        } else {
            drop(moving);
        }
        let prepared = match next {
            Ending::Stopped => return,
            Ending::Failed(fatal) => Err(fatal),
            Ending::Removed(reason) => Err(removed(&house, &reason)),
            Ending::Install | Ending::Invited => Ok(()),
            Ending::Damaged(damage) => repair(&house, &damage).await,
        };
        let opened = match prepared {
            Ok(()) => open(&house, &room).await,
            Err(fatal) => Err(fatal),
        };
        next = match opened {
            Ok(Opened::Running(ended)) => {
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
    Running(Ended),
    Damaged(Damage),
    Removed,
}

/// Becomes part of a cluster if the node is not, and opens its parts; waits while the disk has no
/// room for them.
async fn open(house: &Arc<House>, room: &Arc<Room>) -> Result<Opened, Fatal> {
    let config = &house.config;
    let failed = |error: OpenError| Fatal::Failed(error.to_string());
    let entering = house.former.enter_cluster(&config.join, config.expect, config.wait);
    let founded = entering.await.map_err(failed)?;
    let mut said = false;
    loop {
        let moving = room.begin_moving().await;
        let (house, room, founded) = (Arc::clone(house), Arc::clone(room), founded.clone());
        let opening = tokio::task::spawn_blocking(move || {
            let (generation, ended) = Generation::open(&house, &founded)?;
            room.enter(generation);
            drop(moving);
            Ok(ended)
        });
        match opening.await {
            Ok(Ok(ended)) => return Ok(Opened::Running(ended)),
            Ok(Err(Unopened::Damaged(damage))) => return Ok(Opened::Damaged(damage)),
            Ok(Err(Unopened::Removed)) => return Ok(Opened::Removed),
            Ok(Err(Unopened::Error(OpenError::Full(reason)))) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(%reason, "the node waits for room on its disk");
                }
                tokio::time::sleep(FULL_PAUSE).await;
            }
            Ok(Err(Unopened::Error(error))) => return Err(failed(error)),
            Err(error) => {
                return Err(Fatal::Failed(format!("opening the data failed: {error}")));
            }
        }
    }
}

/// Takes note, for ever, that the node is no member any more.
pub(crate) fn removed(house: &House, reason: &str) -> Fatal {
    match house.former.remove() {
        Ok(()) => Fatal::Removed(format!(
            "{reason}. To let it join again, start it with an empty --data-dir and --join"
        )),
        Err(error) => Fatal::Failed(error.to_string()),
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
        // The supervisor waits for room.
        Err(Unopened::Error(OpenError::Full(_))) => Ok(Begin::Apart),
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
