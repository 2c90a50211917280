//! The client: sends calls to one of its endpoints, and again where that helps and is safe.

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

    /// Sends a call and reads its answer.
    ///
    /// # Errors
    /// Any answer but a success, or that none came in time. Tried again before, where it is safe
    /// and the options allow it.
    pub async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let options = &self.shared.options;
        let deadline = Instant::now() + options.timeout;
        let mut perhaps_applied = false;
        let mut round = 0;
        loop {
            let mut error = match self.send_round(call, deadline, &mut perhaps_applied).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            round += 1;
            let pause = retry::pause(round, error.problem.retry_after_s, fastrand::f64());
            let again = retry::is_transient(&error)
                && call.may_repeat(error.outcome)
                && round <= options.retries
                && Instant::now() + pause < deadline;
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
    async fn send_round(
        &self,
        call: &Call,
        deadline: Instant,
        perhaps_applied: &mut bool,
    ) -> Result<Answer, Error> {
        let mut telling: Option<Error> = None;
        for (position, pool) in self.round() {
            let error = match self.attempt(pool, call, deadline).await {
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
                && Instant::now() < deadline;
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

    async fn attempt(&self, pool: &Pool, call: &Call, deadline: Instant) -> Result<Answer, Error> {
        let options = &self.shared.options;
        let request = request(&pool.endpoint, call)?;
        let limit = deadline + options.timeout / 10;
        let exchange = pool.exchange(request, options.connect_timeout.min(options.timeout));
        let mut error = match timeout_at(limit, exchange).await {
            Ok(Ok(answer)) => return judge(call, &pool.endpoint, answer),
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
                let waited = options.timeout;
                let detail = format!("no answer from {} within {waited:?}", pool.endpoint);
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

fn request(endpoint: &Endpoint, call: &Call) -> Result<Request<Full<Bytes>>, Error> {
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
