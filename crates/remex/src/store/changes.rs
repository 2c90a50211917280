//! The stream of what was applied.
//!
//! A stream is a position: the last revision that its reader has seen. It reads the changes behind
//! that from the state of its node, a page at a time, and waits for the next revision when there are
//! none. So a reader that is slow or asleep costs one page of memory at most, nothing is skipped
//! whatever the node goes through (another leader, a snapshot, a repair: the state that comes out
//! has the same revisions), and one that falls behind what is kept is told so. An idle stream costs
//! nothing but its own few hundred bytes. Every stream wakes with every batch of writes, though; those
//! that follow only some keys then look at the names of what was written and sleep again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remex_model::{Error, ErrorCode, Key, KeyRange, Revision, Value};
use remex_state::ChangePage;

use super::{Entry, Store};
use crate::house::House;
use crate::running::NoPage;

/// Changes that are looked at before the state is let go: others write meanwhile.
const PAGE_CHANGES: usize = 64;

/// Pause before a node whose parts are just being replaced is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// One key that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was set to this.
    Put(Entry),
    /// It was removed.
    Delete {
        /// The key.
        key: Key,
    },
}

impl Change {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key } => key,
        }
    }

    /// Its new value; `None` if it was removed.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Put(entry) => Some(&entry.value),
            Self::Delete { .. } => None,
        }
    }
}

/// Everything that one revision changed, among the keys that are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The revision.
    pub revision: Revision,
    /// What changed, each key once, in the order of the writes.
    pub changes: Vec<Change>,
}

/// What was applied, revision by revision, in order, none skipped. See [`Store::changes`].
pub struct Changes {
    house: Arc<House>,
    range: KeyRange,
    /// Everything up to here was handed out.
    position: Revision,
    /// What comes next, up to `through`.
    page: VecDeque<Changed>,
    through: Revision,
    ended: bool,
}

impl Store {
    /// Follows everything that is written to the store, from a revision on (that one included): every
    /// revision's changes together, in order, none skipped. `Revision(0)` is the beginning;
    /// `store.changes(listing.revision.next())` goes on where a [`Store::list`] ends; keeping the
    /// last revision that was dealt with makes a reader that goes on after a restart, on this node or
    /// on another one.
    ///
    /// Works on every node, as far as that node is; without a leader, too.
    #[must_use]
    pub fn changes(&self, from: Revision) -> Changes {
        let house = Arc::clone(&self.shared.house);
        // Nothing was ever changed at revision 1, which a fresh store is at.
        let position = Revision(from.get().saturating_sub(1).max(1));
        Changes {
            house,
            range: KeyRange::all(),
            position,
            page: VecDeque::new(),
            through: position,
            ended: false,
        }
    }

    /// Follows one key from now on: every write that is acknowledged after the call returns comes.
    ///
    /// # Errors
    /// As [`Store::ready`].
    pub async fn watch(&self, key: impl Into<Key>) -> Result<Changes, Error> {
        let changes = self.changes_from_now().await?;
        Ok(changes.of_key(key))
    }

    /// Follows the keys that begin with a prefix from now on.
    ///
    /// # Errors
    /// As [`Store::ready`].
    pub async fn watch_prefix(&self, prefix: impl Into<Key>) -> Result<Changes, Error> {
        let changes = self.changes_from_now().await?;
        Ok(changes.of_prefix(prefix))
    }

    async fn changes_from_now(&self) -> Result<Changes, Error> {
        self.ready().await?;
        Ok(self.changes(self.revision().next()))
    }
}

impl Changes {
    /// Only those of one key.
    #[must_use]
    pub fn of_key(self, key: impl Into<Key>) -> Self {
        let key = key.into();
        let end = [key.as_bytes(), &[0]].concat();
        self.within(KeyRange { start: key.bytes().clone(), end: Some(Bytes::from(end)) })
    }

    /// Only those of the keys that begin with a prefix.
    #[must_use]
    pub fn of_prefix(self, prefix: impl Into<Key>) -> Self {
        self.within(KeyRange::prefix(prefix.into().bytes().clone()))
    }

    fn within(mut self, range: KeyRange) -> Self {
        self.range = range;
        self.page.clear();
        self.through = self.position;
        self
    }

    /// The last revision that was handed out, or that was found to hold nothing for this reader.
    /// `store.changes(position.next())` goes on from here.
    #[must_use]
    pub fn position(&self) -> Revision {
        self.position
    }

    /// The next revision that changed something: waits for it if need be, for as long as it takes.
    /// `None` once the store is closed, and after an error. Nothing is lost if the caller stops
    /// waiting and asks again.
    ///
    /// # Errors
    /// [`ErrorCode::Compacted`] if the next changes are not kept any more, with the oldest revision
    /// that can be followed from ([`Error::revision`]): read the keys anew, and go on behind that.
    /// [`ErrorCode::NotReady`] if the node cannot go on.
    pub async fn next(&mut self) -> Option<Result<Changed, Error>> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(changed) = self.page.pop_front() {
                self.position = changed.revision;
                return Some(Ok(changed));
            }
            self.position = self.through;
            let turned = tokio::select! {
                biased;
                ended = ended(&self.house) => ended.map(|()| None),
                page = next_page(&self.house, &self.range, &mut self.through) => page.map(Some),
            };
            match turned {
                Ok(Some(page)) => self.page = page,
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Changes")
            .field("range", &self.range)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Waits until the store is closed, or cannot go on.
async fn ended(house: &House) -> Result<(), Error> {
    tokio::select! {
        biased;
        () = house.door.drained() => Ok(()),
        fatal = house.board.failed() => Err(Error::new(ErrorCode::NotReady, fatal.to_string())),
    }
}

/// The next page behind `through` that holds anything, as soon as there is one. What was looked at is
/// noted in `through` at once: it counts even if the caller stops waiting.
async fn next_page(
    house: &House,
    range: &KeyRange,
    through: &mut Revision,
) -> Result<VecDeque<Changed>, Error> {
    let mut newest = house.board.watch_revision();
    loop {
        // An error means that the board is gone, and it is borrowed here.
        drop(newest.wait_for(|&newest| newest > *through).await);
        let running = house.door.until_running().await;
        match running.changes(range, *through, PAGE_CHANGES) {
            Ok(page) if page.through > *through => {
                *through = page.through;
                if !page.changes.is_empty() {
                    return Ok(revisions(page));
                }
                if *through < house.board.revision() {
                    tokio::task::yield_now().await;
                }
            }
            Err(NoPage::Compacted { oldest }) => return Err(compacted(*through, oldest)),
            // The parts end, and the next ones will know. They may be behind for a moment.
            Ok(_) | Err(NoPage::Ended) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn compacted(after: Revision, oldest: Revision) -> Error {
    let (wanted, first) = (after.next(), oldest.next());
    let detail = format!(
        "the changes from revision {wanted} on are not kept any more, only those from {first} on"
    );
    Error::new(ErrorCode::Compacted, detail)
        .hint("read the keys anew with list, and follow the changes behind its revision")
        .at_revision(first)
}

/// Puts a page together by revisions. Everything is copied: the state's own share memory with the
/// whole entries of the log that carried them, and a slow reader would hold on to all of that.
fn revisions(page: ChangePage) -> VecDeque<Changed> {
    let mut revisions: VecDeque<Changed> = VecDeque::new();
    for change in page.changes {
        let key = Key::new(Bytes::copy_from_slice(change.key.as_bytes()));
        let revision = change.revision;
        let change = match change.record {
            Some(mut record) => {
                record.value.bytes = Bytes::copy_from_slice(&record.value.bytes);
                Change::Put(Entry::new(key, record))
            }
            None => Change::Delete { key },
        };
        match revisions.back_mut().filter(|last| last.revision == revision) {
            Some(last) => last.changes.push(change),
            None => revisions.push_back(Changed { revision, changes: vec![change] }),
        }
    }
    revisions
}
