//! What answers requests while the node's parts run: reading the state, and waiting for the driver.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use remex_engine::LsmEngine;
use remex_model::{
    Context, Effect, Error, ErrorCode, KeyRange, List, ListResponse, Order, Revision,
};
use remex_state::{ChangePage, ReadError};
use tokio::sync::oneshot;

use crate::board::Board;
use crate::cluster::Cluster;
use crate::driver::stopped;
use crate::ending::Ending;
use crate::forwarding::Forwarding;
use crate::inbox::{Inbox, Input};
use crate::parts::SharedState;
use crate::snapshots::Outgoing;

/// Keys that are counted at a time.
const COUNT_KEYS: usize = 2048;

/// How long after its deadline a request is still waited for: the driver answers every request
/// at its deadline, unless it is held up by a disk that does not answer.
const GRACE: Duration = Duration::from_secs(1);

/// What a node has while it is part of a cluster and its parts run.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) state: SharedState,
    pub(crate) engine: Arc<LsmEngine>,
    pub(crate) board: Arc<Board>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) outgoing: Arc<Outgoing>,
    pub(crate) tick: Duration,
    /// Whether the node has the state of its cluster. One that has just joined has not: its parts
    /// run to fetch it, and end once they have.
    pub(crate) has_state: bool,
    pub(crate) forwarding: Forwarding,
}

/// Why there is no page of changes.
#[derive(Debug)]
pub(crate) enum NoPage {
    /// The changes are not kept any more: the oldest that are lie behind this revision.
    Compacted { oldest: Revision },
    /// The parts that were asked have ended, or are about to.
    Ended,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// For this reason.
    Error(Error),
    /// The parts that it was given to ended.
    Ended,
}

impl Unanswered {
    pub(crate) fn error(self, effect: Effect) -> Error {
        match self {
            Self::Error(error) => error,
            Self::Ended => stopped(effect),
        }
    }
}

impl Running {
    fn page(&self, list: &List) -> Result<ListResponse, Error> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        self.still(state.list(list))
    }

    /// What was just read, if the parts that it was read from had not ended by then: the files of
    /// an engine that was stopped may be replaced under it.
    pub(crate) fn still<T>(&self, read: Result<T, ReadError>) -> Result<T, Error> {
        if self.outgoing.is_closed() {
            return Err(stopped(Effect::None));
        }
        read.map_err(|error| self.cannot_read(&error))
    }

    /// Reads a page of changes: see [`remex_state::State::changes_within`].
    pub(crate) fn changes(
        &self,
        range: &KeyRange,
        after: Revision,
        changes_max: usize,
    ) -> Result<ChangePage, NoPage> {
        let read = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            state.changes_within(range, after, changes_max)
        };
        if self.outgoing.is_closed() {
            return Err(NoPage::Ended);
        }
        read.map_err(|error| match error {
            ReadError::Compacted { oldest } => NoPage::Compacted { oldest },
            error @ (ReadError::Future { .. } | ReadError::Fatal(_)) => {
                drop(self.cannot_read(&error));
                NoPage::Ended
            }
        })
    }

    /// Lists a page, and counts the range if that is asked for: in slices at the page's revision,
    /// so that neither the driver nor other requests wait for a long count.
    pub(crate) async fn list(&self, mut list: List) -> Result<ListResponse, Error> {
        let wants_count = std::mem::take(&mut list.count);
        let mut page = self.page(&list)?;
        if !wants_count {
            return Ok(page);
        }
        if !page.more && list.after.is_none() {
            page.count = Some(page.items.len() as u64);
            return Ok(page);
        }
        list.options.at = Some(page.revision);
        (list.after, list.order) = (None, Order::Ascending);
        (list.limit, list.keys_only) = (COUNT_KEYS, true);
        let mut count = 0;
        loop {
            tokio::task::yield_now().await;
            let slice = self.page(&list)?;
            count += slice.items.len() as u64;
            list.after = slice.items.into_iter().next_back().map(|item| item.key);
            if !slice.more {
                page.count = Some(count);
                return Ok(page);
            }
        }
    }

    /// The time that is left, in ticks of the driver.
    pub(crate) fn ttl_ticks(&self, context: &Context) -> Result<u64, Error> {
        let left = context.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let detail = "the deadline passed before the request was begun";
            return Err(Error::new(ErrorCode::Timeout, detail).retry_after(100));
        }
        let ticks = left.as_nanos().div_ceil(self.tick.as_nanos());
        Ok(u64::try_from(ticks).unwrap_or(u64::MAX / 2))
    }

    /// Waits for the driver's answer.
    pub(crate) async fn wait<T>(
        &self,
        context: &Context,
        replied: oneshot::Receiver<Result<T, Error>>,
        effect: Effect,
    ) -> Result<T, Unanswered> {
        let answering = tokio::time::timeout_at((context.deadline + GRACE).into(), replied);
        let answered = if self.forwarding.has_limit() {
            tokio::select! {
                biased;
                answered = answering => answered,
                leader = self.forwarding.given_up(&self.board, self.cluster.me.id) => {
                    let late = self.forwarding.late(&self.cluster.name(leader), effect);
                    return Err(Unanswered::Error(late));
                }
            }
        } else {
            answering.await
        };
        match answered {
            Ok(Ok(answer)) => answer.map_err(Unanswered::Error),
            Ok(Err(_closed)) => Err(Unanswered::Ended),
            Err(_elapsed) => {
                let detail = "this node is held up; its disk may not be answering";
                let mut error = Error::new(ErrorCode::Timeout, detail).retry_after(1000);
                error.effect = effect;
                Err(Unanswered::Error(error))
            }
        }
    }

    pub(crate) fn board_revision(&self) -> Revision {
        self.state.read().unwrap_or_else(PoisonError::into_inner).revision()
    }

    /// What a surface is told when the state cannot answer. A state that cannot be read stops
    /// the node.
    fn cannot_read(&self, error: &ReadError) -> Error {
        match error {
            ReadError::Compacted { oldest } => Error::new(ErrorCode::Compacted, error.to_string())
                .hint(format!("read at revision {oldest} or later, or without a revision"))
                .at_revision(*oldest),
            ReadError::Future { current } => {
                Error::new(ErrorCode::FutureRevision, error.to_string())
                    .hint("wait for it with min_revision")
                    .at_revision(*current)
            }
            ReadError::Fatal(fatal) => {
                self.inbox.push(Input::Ended(Ending::of_state("cannot read the state", fatal)));
                let detail = format!("this node cannot read its state: {fatal}");
                Error::new(ErrorCode::NotReady, detail)
                    .hint("ask another node of the cluster")
                    .retry_after(1000)
            }
        }
    }
}
