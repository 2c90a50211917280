//! What lives as long as the node, whatever its parts go through.

use std::sync::Arc;
use std::time::Instant;

use crate::Config;
use crate::board::Board;
use crate::directory::Directory;
use crate::door::Door;
use crate::meters::Meters;
use crate::peer::form::Former;
use crate::snapshots::{Desk, Shelf};

/// See the module.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    pub(crate) shelf: Shelf,
    pub(crate) former: Arc<Former>,
    pub(crate) door: Arc<Door>,
    pub(crate) board: Arc<Board>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) started: Instant,
}
