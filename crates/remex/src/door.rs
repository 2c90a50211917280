//! The door, through which every request enters: admission, routing, reading.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use remex_engine::LsmEngine;
use remex_model::{
    BoxFuture, Command, Consistency, Context, Effect, Error, ErrorCode, KeyRange, Limits, List,
    ListResponse, Operation, Order, Outcome, ReadOptions, Request, Response, Revision, Service,
    Write,
};
use remex_state::{ChangePage, ReadError};
use tokio::sync::{Notify, oneshot, watch};

use crate::Config;
use crate::board::Board;
use crate::cluster::Cluster;
use crate::driver::stopped;
use crate::ending::Ending;
use crate::forwarding::Forwarding;
use crate::identity::Phase;
use crate::inbox::{Inbox, Input};
use crate::meters::Meters;
use crate::parts::SharedState;
use crate::peer::form::Former;
use crate::snapshots::Outgoing;

/// What a write takes of the disk, in parts of its length: it is written to the log and, in the
/// background, to the engine.
const ROOM_FACTOR: usize = 2;

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

/// Where requests enter the node, whatever its parts go through.
#[derive(Debug)]
pub(crate) struct Door {
    limits: Limits,
    pending_bytes: AtomicUsize,
    pending_bytes_max: usize,
    draining: watch::Sender<bool>,
    running: ArcSwapOption<Running>,
    started: Notify,
    /// Who the node is, and whether it only waits to be invited.
    former: Arc<Former>,
    waits: bool,
    meters: Arc<Meters>,
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
enum Unanswered {
    /// For this reason.
    Error(Error),
    /// The parts that it was given to ended.
    Ended,
}

impl Unanswered {
    fn error(self, effect: Effect) -> Error {
        match self {
            Self::Error(error) => error,
            Self::Ended => stopped(effect),
        }
    }
}

/// Gives bytes back when the request is over, however it ends.
struct Reservation<'a> {
    pending_bytes: &'a AtomicUsize,
    bytes: usize,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.pending_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Door {
    pub(crate) fn new(config: &Config, former: Arc<Former>, meters: Arc<Meters>) -> Self {
        Self {
            limits: config.limits.clone(),
            pending_bytes: AtomicUsize::new(0),
            pending_bytes_max: config.pending_bytes_max,
            draining: watch::Sender::new(false),
            running: ArcSwapOption::empty(),
            started: Notify::new(),
            former,
            waits: config.wait,
            meters,
        }
    }

    /// The parts run: requests go through from now on.
    pub(crate) fn start(&self, running: Running) {
        self.running.store(Some(Arc::new(running)));
        self.started.notify_waiters();
    }

    /// The parts are about to be stopped: requests wait until they run again.
    pub(crate) fn stop(&self) {
        self.running.store(None);
    }

    pub(crate) fn running(&self) -> Option<Arc<Running>> {
        self.running.load_full()
    }

    /// The parts, if they can answer requests.
    pub(crate) fn serving(&self) -> Option<Arc<Running>> {
        self.running().filter(|running| running.has_state)
    }

    /// New requests are turned away from now on, and so are those that only wait.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Waits for something that may take until the deadline; not while the node stops.
    async fn wait<T>(
        &self,
        context: &Context,
        what: impl Future<Output = T>,
        late: impl FnOnce() -> Error,
    ) -> Result<T, Error> {
        let mut draining = self.draining.subscribe();
        tokio::select! {
            done = tokio::time::timeout_at(context.deadline.into(), what) => {
                done.map_err(|_elapsed| late())
            }
            _ = draining.wait_for(|&draining| draining) => Err(stopped(Effect::None)),
        }
    }

    /// Waits until the node is part of a cluster; not if it does nothing to become one.
    async fn wait_running(&self, context: &Context) -> Result<Arc<Running>, Error> {
        if let Some(running) = self.serving() {
            return Ok(running);
        }
        if self.waits && self.former.phase() == Phase::Fresh {
            let address = self.former.me().peer_address;
            let detail = "this node is not part of a cluster: it waits to be invited";
            return Err(Error::new(ErrorCode::NotReady, detail)
                .hint(format!(
                    "invite it through any node of a cluster: remex cluster add {address}"
                ))
                .retry_after(1000));
        }
        let late = || {
            Error::new(ErrorCode::NotReady, "this node does not serve at the moment: it joins a cluster, or gets its data from the other members")
                .hint("ask another node, or see: remex status")
                .retry_after(1000)
        };
        self.wait(context, self.until_running(), late).await
    }

    /// Waits until the parts run and can answer requests, for as long as it takes.
    pub(crate) async fn until_running(&self) -> Arc<Running> {
        loop {
            let started = self.started.notified();
            if let Some(running) = self.serving() {
                return running;
            }
            started.await;
        }
    }

    /// Waits until the node takes no new requests.
    pub(crate) async fn drained(&self) {
        let mut draining = self.draining.subscribe();
        // An error means that the door is gone, and it is borrowed here.
        drop(draining.wait_for(|&draining| draining).await);
    }

    async fn write(&self, context: &Context, command: Command) -> Result<Outcome, Error> {
        let needs_room = needs_room(&command);
        // A command that names itself takes effect once, however often it is proposed.
        let repeatable = command.request_key.is_some();
        let command = command.to_bytes();
        let _reservation = self.reserve(command.len())?;
        loop {
            let running = self.wait_running(context).await?;
            let board = &running.board;
            if needs_room && (board.no_space() || !board.take_room(ROOM_FACTOR * command.len())) {
                return Err(no_space(&running));
            }
            let (reply, replied) = oneshot::channel();
            let (ttl_ticks, begun) = (running.ttl_ticks(context)?, Instant::now());
            running.inbox.push(Input::Write { command: command.clone(), ttl_ticks, reply });
            let outcome = running.wait(context, replied, Effect::Unknown).await;
            match outcome {
                Err(Unanswered::Ended) if repeatable && !self.is_draining() => {}
                Ok(outcome) => {
                    self.meters.commit.note(begun.elapsed());
                    return Ok(outcome);
                }
                Err(unanswered) => {
                    self.meters.proposals_failed.add();
                    return Err(unanswered.error(Effect::Unknown));
                }
            }
        }
    }

    /// Reserves room for a write among those that wait.
    fn reserve(&self, bytes: usize) -> Result<Reservation<'_>, Error> {
        let before = self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        let reservation = Reservation { pending_bytes: &self.pending_bytes, bytes };
        let max = self.pending_bytes_max;
        if before > 0 && before.saturating_add(bytes) > max {
            let detail = format!("{before} bytes of writes wait already, the limit is {max}");
            return Err(Error::new(ErrorCode::Overloaded, detail)
                .hint("slow down, and try again after the pause that Retry-After names")
                .retry_after(100));
        }
        Ok(reservation)
    }

    /// Waits until this node's state sees every write that was acknowledged before the call. If the
    /// parts end meanwhile, it asks the next ones.
    async fn wait_linearizable(&self, context: &Context) -> Result<Arc<Running>, Error> {
        loop {
            let running = self.wait_running(context).await?;
            let (reply, replied) = oneshot::channel();
            let ttl_ticks = running.ttl_ticks(context)?;
            running.inbox.push(Input::Read { ttl_ticks, reply });
            match running.wait(context, replied, Effect::None).await {
                Err(Unanswered::Ended) if !self.is_draining() => {}
                Ok(()) => return Ok(running),
                Err(unanswered) => return Err(unanswered.error(Effect::None)),
            }
        }
    }

    /// Waits until this node may answer a read with these demands.
    async fn wait_readable(
        &self,
        context: &Context,
        options: &ReadOptions,
    ) -> Result<Arc<Running>, Error> {
        let running = match options.consistency {
            Consistency::Linearizable => self.wait_linearizable(context).await?,
            Consistency::Stale => self.wait_running(context).await?,
        };
        if let Some(revision) = options.min_revision {
            let reached = running.board.revision_reached(revision);
            let late = || {
                let now = running.board_revision();
                let detail = format!("this node has revision {now}, not yet {revision}");
                Error::new(ErrorCode::Timeout, detail)
                    .hint("ask again, or ask another node")
                    .retry_after(100)
            };
            self.wait(context, reached, late).await?;
        }
        Ok(running)
    }

    /// Waits until this node's state sees every write that was acknowledged before the call.
    pub(crate) async fn readable(&self, deadline: Instant) -> Result<Arc<Running>, Error> {
        if self.is_draining() {
            return Err(stopped(Effect::None));
        }
        self.wait_linearizable(&Context { deadline }).await
    }

    async fn carry_out(&self, request: Request) -> Result<Response, Error> {
        if self.is_draining() {
            return Err(stopped(Effect::None));
        }
        self.limits.admit(&request.operation)?;
        let context = &request.context;
        match request.operation {
            Operation::Write(command) => self.write(context, command).await.map(Response::Write),
            Operation::Get(get) => {
                let running = self.wait_readable(context, &get.options).await?;
                let state = running.state.read().unwrap_or_else(PoisonError::into_inner);
                let found = state.get(&get.key, get.options.at);
                running.still(found).map(Response::Get)
            }
            Operation::List(list) => {
                let running = self.wait_readable(context, &list.options).await?;
                running.list(list).await.map(Response::List)
            }
        }
    }
}

/// Whether a command takes room for good: one that only deletes does not.
fn needs_room(command: &Command) -> bool {
    command.writes.iter().any(|write| matches!(write, Write::Put { .. }))
}

fn no_space(running: &Running) -> Error {
    let disk = running.board.snapshot().disk;
    let detail = if disk.full {
        format!("only {} bytes are free on this node's disk: puts are refused", disk.free_bytes)
    } else {
        "the leader's disk is full: puts are refused".to_owned()
    };
    Error::new(ErrorCode::NoSpace, detail)
        .hint("make room on the disk, for example by deleting keys; it is noticed within a second. See: remex status")
        .retry_after(1000)
}

impl Service for Door {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(self.carry_out(request))
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl Running {
    fn page(&self, list: &List) -> Result<ListResponse, Error> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        self.still(state.list(list))
    }

    /// What was just read, if the parts that it was read from had not ended by then: the files of
    /// an engine that was stopped may be replaced under it.
    fn still<T>(&self, read: Result<T, ReadError>) -> Result<T, Error> {
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
    async fn list(&self, mut list: List) -> Result<ListResponse, Error> {
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
    fn ttl_ticks(&self, context: &Context) -> Result<u64, Error> {
        let left = context.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let detail = "the deadline passed before the request was begun";
            return Err(Error::new(ErrorCode::Timeout, detail).retry_after(100));
        }
        let ticks = left.as_nanos().div_ceil(self.tick.as_nanos());
        Ok(u64::try_from(ticks).unwrap_or(u64::MAX / 2))
    }

    /// Waits for the driver's answer.
    async fn wait<T>(
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

    fn board_revision(&self) -> Revision {
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
