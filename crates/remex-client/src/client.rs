//! The client: sends calls to one of its endpoints, and again where that helps and is safe.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer::judge;
use crate::call::Call;
use crate::pool::{Failure, Pool};
use crate::{Answer, Code, Endpoint, Error, Outcome, retry};

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Time for a call, all attempts and pauses included. No attempt begins after it; an answer
    /// that is on its way then is awaited a tenth longer, because a server with the same limit
    /// answers at the limit, and its answer tells whether a write was applied.
    pub timeout: Duration,
    /// Time for opening one connection. If it passes, the next endpoint is tried.
    pub connect_timeout: Duration,
    /// How many more rounds over all endpoints are made after the first has failed.
    pub retries: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            retries: 8,
        }
    }
}

/// The time for one call.
#[derive(Clone, Copy, Debug)]
struct Time {
    deadline: Instant,
    timeout: Duration,
}

impl Time {
    /// When to give up an attempt that begins now. One that leaves something to others gets a
    /// good half of what is left: a node that hangs must not use up the time of the rest.
    fn limit(self, share: bool) -> Instant {
        let now = Instant::now();
        if share {
            return now + self.deadline.saturating_duration_since(now).mul_f64(0.6);
        }
        self.deadline + self.timeout / 10
    }
}

/// A client of one cluster. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pools: Vec<Pool>,
    /// Position of the endpoint that worked last.
    preferred: AtomicUsize,
    options: Options,
}

impl Client {
    /// A client with default options. Connects when the first call is made.
    ///
    /// # Errors
    /// If `endpoints` (URLs or `host:port`, separated by commas) holds something else.
    pub fn connect(endpoints: &str) -> Result<Self, Error> {
        let list = Endpoint::parse_list(endpoints)
            .map_err(|error| Error::bad_request(error.to_string()).caused_by(error))?;
        Self::new(list, Options::default())
    }

    /// A client of these endpoints. Connects when the first call is made.
    ///
    /// # Errors
    /// If there is no endpoint.
    pub fn new(endpoints: Vec<Endpoint>, options: Options) -> Result<Self, Error> {
        if endpoints.is_empty() {
            return Err(Error::bad_request("a client needs at least one endpoint"));
        }
        let pools = endpoints.into_iter().map(Pool::new).collect();
        Ok(Self { shared: Arc::new(Shared { pools, preferred: AtomicUsize::new(0), options }) })
    }

    /// The endpoints, the one that worked last first.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.round().map(|(_, pool)| &pool.endpoint)
    }

    /// Sends a call and reads its answer. A write of data gets an idempotency key if it has none
    /// and may have to be repeated.
    ///
    /// # Errors
    /// Any answer but a success, or that none came in time. Tried again before, where it is safe
    /// and the options allow it.
    pub async fn send(&self, call: &Call) -> Result<Answer, Error> {
        self.send_within(call, self.shared.options.timeout).await
    }

    /// [`Client::send`] with another timeout than that of the options.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn send_within(&self, call: &Call, timeout: Duration) -> Result<Answer, Error> {
        let shared = &*self.shared;
        let repeats = shared.options.retries > 0 || shared.pools.len() > 1;
        let keyed = if repeats { call.with_fresh_key() } else { None };
        let call = keyed.as_ref().unwrap_or(call);
        let attempt = |pool, limit| self.attempt(pool, call, limit);
        self.everywhere(call, timeout, attempt).await
    }

    /// Makes attempts at the endpoints, round after round, until one succeeds, or another cannot
    /// help, is not safe, or comes too late.
    pub(crate) async fn everywhere<'a, T, F>(
        &'a self,
        call: &Call,
        timeout: Duration,
        attempt: impl Fn(&'a Pool, Instant) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let options = &self.shared.options;
        let time = Time { deadline: Instant::now() + timeout, timeout };
        let mut perhaps_applied = false;
        let mut round = 0;
        loop {
            let tried = self.one_round(call, time, &mut perhaps_applied, &attempt).await;
            let mut error = match tried {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            round += 1;
            let pause = retry::pause(round, error.problem.retry_after_s, fastrand::f64());
            let again = retry::is_transient(&error)
                && call.may_repeat(error.outcome)
                && round <= options.retries
                && Instant::now() + pause < time.deadline;
            if !again {
                // A condition is judged once for an idempotency key, so its answer is final. Any
                // other failure says nothing about what an earlier attempt may have done.
                if perhaps_applied && !error.is_condition_failed() {
                    error.outcome = Outcome::Unknown;
                }
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    /// Tries every endpoint once, until one succeeds or trying another cannot help.
    async fn one_round<'a, T, F>(
        &'a self,
        call: &Call,
        time: Time,
        perhaps_applied: &mut bool,
        attempt: &impl Fn(&'a Pool, Instant) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut telling: Option<Error> = None;
        let mut others = self.shared.pools.len();
        for (position, pool) in self.round() {
            others -= 1;
            let share = others > 0 && call.may_repeat(Outcome::Unknown);
            let error = match attempt(pool, time.limit(share)).await {
                Ok(answer) => {
                    self.shared.preferred.store(position, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            *perhaps_applied |= error.outcome == Outcome::Unknown;
            let next = retry::is_transient(&error)
                && retry::another_may_do(&error)
                && call.may_repeat(error.outcome)
                && Instant::now() < time.deadline;
            if !next {
                return Err(error);
            }
            // What a node said tells more than that another one could not be reached.
            if telling.as_ref().is_none_or(|kept| kept.status.is_none()) {
                telling = Some(error);
            }
        }
        Err(telling.expect("a client has at least one endpoint"))
    }

    async fn attempt(&self, pool: &Pool, call: &Call, limit: Instant) -> Result<Answer, Error> {
        judge(call, &pool.endpoint, self.exchange(pool, call, limit).await?)
    }

    /// Sends a call once, to the first endpoint, and reads its answer, whatever its status.
    pub(crate) async fn once(&self, call: &Call) -> Result<Answer, Error> {
        let pool = &self.shared.pools[0];
        self.exchange(pool, call, Instant::now() + self.shared.options.timeout).await
    }

    async fn exchange(&self, pool: &Pool, call: &Call, limit: Instant) -> Result<Answer, Error> {
        let request = request(&pool.endpoint, call)?;
        let exchange = pool.exchange(request, self.shared.options.connect_timeout);
        self.before(limit, pool, call, exchange).await
    }

    /// Waits for a part of an exchange, and names what went wrong with it.
    pub(crate) async fn before<T>(
        &self,
        limit: Instant,
        pool: &Pool,
        call: &Call,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let mut error = match timeout_at(limit, part).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(Failure::NotSent(cause))) => {
                let detail = format!("cannot reach {}: {cause}", pool.endpoint);
                Error::new(Code::UNREACHABLE, Outcome::NotApplied, detail)
                    .hint("check that the node runs and that the endpoint is right (--endpoint)")
                    .caused_by(cause)
            }
            Ok(Err(Failure::Lost(cause))) => {
                let detail = format!("the connection to {} broke: {cause}", pool.endpoint);
                Error::new(Code::CONNECTION_LOST, call.outcome_after_sending(), detail)
                    .caused_by(cause)
            }
            Err(_) => {
                let waited_ms = began.elapsed().as_millis();
                let detail = format!("no answer from {} within {waited_ms} ms", pool.endpoint);
                Error::new(Code::TIMEOUT, call.outcome_after_sending(), detail)
            }
        };
        if error.outcome == Outcome::Unknown {
            error =
                error.hint("the write may have been applied: read the key before you repeat it");
        }
        error.problem.endpoint = pool.endpoint.to_string();
        Err(error)
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.shared.options.timeout
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.shared.options.connect_timeout
    }

    /// Every endpoint with its position, beginning at the preferred one.
    fn round(&self) -> impl Iterator<Item = (usize, &Pool)> {
        let pools = &self.shared.pools;
        let first = self.shared.preferred.load(Ordering::Relaxed);
        (0..pools.len()).map(move |step| {
            let position = (first + step) % pools.len();
            (position, &pools[position])
        })
    }
}

pub(crate) fn request(endpoint: &Endpoint, call: &Call) -> Result<Request<Full<Bytes>>, Error> {
    let mut builder = Request::builder()
        .method(call.method.clone())
        .uri(&call.path)
        .header("host", endpoint.authority())
        .header("user-agent", concat!("remex-client/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &call.headers {
        builder = builder.header(*name, value);
    }
    builder.body(Full::new(call.body.clone())).map_err(|error| {
        Error::bad_request(format!("the request cannot be sent: {error}")).caused_by(error)
    })
}
