//! The door, through which every request enters: admission, and waiting until it can be answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use remex_model::{
    BoxFuture, Command, Consistency, Context, Effect, Error, ErrorCode, Limits, Operation, Outcome,
    ReadOptions, Request, Response, Service, Write,
};
use tokio::sync::{Notify, oneshot, watch};

use crate::Config;
use crate::driver::stopped;
use crate::identity::Phase;
use crate::inbox::Input;
use crate::meters::Meters;
use crate::peer::form::Former;
use crate::running::{Running, Unanswered};

/// What a write takes of the disk, in parts of its length: it is written to the log and, in the
/// background, to the engine.
const ROOM_FACTOR: usize = 2;

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
        tokio::select! {
            done = tokio::time::timeout_at(context.deadline.into(), what) => {
                done.map_err(|_elapsed| late())
            }
            () = self.drained() => Err(stopped(Effect::None)),
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
        let mut is_in_doubt = false;
        let outcome = self.propose(context, command, &mut is_in_doubt).await;
        outcome.map_err(|error| if is_in_doubt { error.effect_unknown() } else { error })
    }

    /// Proposes a command until there is an outcome. `is_in_doubt` says whether parts have ended with a
    /// proposal of it: they may have applied it, whatever keeps it from being proposed again.
    async fn propose(
        &self,
        context: &Context,
        command: Command,
        is_in_doubt: &mut bool,
    ) -> Result<Outcome, Error> {
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
                Err(Unanswered::Ended) if repeatable && !self.is_draining() => *is_in_doubt = true,
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
