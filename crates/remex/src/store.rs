//! The store as surfaces see it: admission, routing, reading.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use remex_engine::LsmEngine;
use remex_model::{
    BoxFuture, Command, Consistency, Context, Effect, Error, ErrorCode, Limits, List, ListResponse,
    Operation, Order, Outcome, ReadOptions, Request, Response, Service,
};
use remex_state::ReadError;
use tokio::sync::{Notify, oneshot, watch};

use crate::board::Board;
use crate::driver::stopped;
use crate::inbox::{Inbox, Input};
use crate::parts::SharedState;

/// Keys that are counted at a time.
const COUNT_KEYS: usize = 2048;

/// How long after its deadline a request is still waited for: the driver answers every request
/// at its deadline, unless it is held up by a disk that does not answer.
const GRACE: Duration = Duration::from_secs(1);

/// What a node has once it is part of a cluster.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) state: SharedState,
    pub(crate) engine: Arc<LsmEngine>,
    pub(crate) board: Arc<Board>,
    pub(crate) tick: Duration,
}

/// The store.
#[derive(Debug)]
pub(crate) struct Store {
    limits: Limits,
    pending_bytes: AtomicUsize,
    pending_bytes_max: usize,
    draining: watch::Sender<bool>,
    running: OnceLock<Running>,
    started: Notify,
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

impl Store {
    pub(crate) fn new(limits: Limits, pending_bytes_max: usize) -> Self {
        Self {
            limits,
            pending_bytes: AtomicUsize::new(0),
            pending_bytes_max,
            draining: watch::Sender::new(false),
            running: OnceLock::new(),
            started: Notify::new(),
        }
    }

    /// The node is part of a cluster: requests go through from now on.
    pub(crate) fn start(&self, running: Running) {
        let first = self.running.set(running).is_ok();
        debug_assert!(first, "a node starts once");
        self.started.notify_waiters();
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        self.running.get()
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

    /// Waits until the node is part of a cluster.
    async fn wait_running(&self, context: &Context) -> Result<&Running, Error> {
        if let Some(running) = self.running.get() {
            return Ok(running);
        }
        let waiting = async {
            loop {
                let started = self.started.notified();
                if let Some(running) = self.running.get() {
                    return running;
                }
                started.await;
            }
        };
        let late = || {
            Error::new(ErrorCode::NotReady, "this node is not part of a cluster yet")
                .hint("start the other nodes of the --join list, or see: remex status")
                .retry_after(1000)
        };
        self.wait(context, waiting, late).await
    }

    async fn write(&self, context: &Context, command: Command) -> Result<Outcome, Error> {
        let running = self.wait_running(context).await?;
        let command = command.to_bytes();
        let _reservation = self.reserve(command.len())?;
        let (reply, replied) = oneshot::channel();
        let ttl_ticks = running.ttl_ticks(context)?;
        running.inbox.push(Input::Write { command, ttl_ticks, reply });
        running.wait(context, replied, Effect::Unknown).await
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

    /// Waits until this node may answer a read with these demands.
    async fn wait_readable(
        &self,
        context: &Context,
        options: &ReadOptions,
    ) -> Result<&Running, Error> {
        let running = self.wait_running(context).await?;
        if options.consistency == Consistency::Linearizable {
            let (reply, replied) = oneshot::channel();
            let ttl_ticks = running.ttl_ticks(context)?;
            running.inbox.push(Input::Read { ttl_ticks, reply });
            running.wait(context, replied, Effect::None).await?;
        }
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
                found.map(Response::Get).map_err(|error| running.cannot_read(&error))
            }
            Operation::List(list) => {
                let running = self.wait_readable(context, &list.options).await?;
                running.list(list).await.map(Response::List)
            }
        }
    }
}

impl Service for Store {
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
        state.list(list).map_err(|error| self.cannot_read(&error))
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
    ) -> Result<T, Error> {
        match tokio::time::timeout_at((context.deadline + GRACE).into(), replied).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_closed)) => Err(stopped(effect)),
            Err(_elapsed) => {
                let detail = "this node is held up; its disk may not be answering";
                let mut error = Error::new(ErrorCode::Timeout, detail).retry_after(1000);
                error.effect = effect;
                Err(error)
            }
        }
    }

    fn board_revision(&self) -> remex_model::Revision {
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
                let reason = format!("cannot read the state: {fatal}");
                self.inbox.push(Input::Failed(crate::Fatal(reason.clone())));
                Error::new(ErrorCode::Internal, reason).hint("ask another node of the cluster")
            }
        }
    }
}
