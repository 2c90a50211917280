//! Makes the load: clients that send one request after the other.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::arrivals::Arrivals;
use super::connection::Connection;
use super::plan::{Plan, RequestWriter};
use super::recorder::Recorder;
use super::report::Report;
use super::response::Head;

/// Pause of a client whose connection broke.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
/// Pause between two looks at the progress.
const PROGRESS_PAUSE: Duration = Duration::from_millis(250);

/// What the clients of a run share.
#[derive(Debug)]
struct Run {
    plan: Plan,
    /// When measuring begins and ends.
    measured: std::ops::Range<Instant>,
    arrivals: Option<Arc<Arrivals>>,
    recorder: Mutex<Recorder>,
    /// The first answer that says that the requests themselves are wrong; it ends the run.
    refused: OnceLock<Refusal>,
}

/// Why a server refuses the requests of a run, all of which are alike.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) detail: String,
    pub(crate) hint: String,
}

/// Carries out a plan. Shows a progress line if asked to.
pub(crate) async fn run(plan: Plan, show_progress: bool) -> Report {
    let start = Instant::now();
    let from = start + plan.warmup;
    let until = from + plan.duration;
    let clock = plan.rate.map(|rate| Arrivals::begin(rate, start, until));
    let run = Arc::new(Run {
        measured: from..until,
        arrivals: clock.as_ref().map(|(arrivals, _)| Arc::clone(arrivals)),
        recorder: Mutex::new(Recorder::new()),
        refused: OnceLock::new(),
        plan,
    });
    let mut clients = JoinSet::new();
    for number in 0..run.plan.clients {
        clients.spawn(client(Arc::clone(&run), number));
    }
    let bar = if show_progress { progress_bar(&run.plan) } else { ProgressBar::hidden() };
    let progress = tokio::spawn(progress(Arc::clone(&run), bar.clone()));
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client counts its failures and does not panic");
    }
    progress.abort();
    bar.finish_and_clear();
    let backlog = clock.map(|(arrivals, thread)| {
        // After a refusal the clock still runs; there is nothing to wait for then.
        if run.refused.get().is_none() {
            thread.join().expect("the clock does not panic");
        }
        arrivals.backlog()
    });
    let refused = run.refused.get().cloned();
    Report::new(&run.plan, &run.recorder(), backlog, refused)
}

impl Run {
    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().expect("nobody panics while holding the lock")
    }

    /// Waits until the next request is to be sent; `None` when the run is over.
    async fn next(&self) -> Option<Instant> {
        if self.refused.get().is_some() {
            return None;
        }
        match &self.arrivals {
            Some(arrivals) => arrivals.next().await,
            None => Some(Instant::now()).filter(|now| *now < self.measured.end),
        }
    }

    /// Whether a request counts: in a closed loop by its end, so that the rate is right; in an
    /// open loop by its arrival, so that a late answer is not left out.
    fn counts(&self, begun: Instant, ended: Instant) -> bool {
        let decisive = if self.arrivals.is_some() { begun } else { ended };
        self.measured.contains(&decisive)
    }
}

async fn client(run: Arc<Run>, number: usize) {
    let plan = &run.plan;
    let mut random = fastrand::Rng::new();
    let mut at = number % plan.endpoints.len();
    let mut writer = RequestWriter::new(plan, &plan.endpoints[at], &mut random);
    let mut connection: Option<Connection> = None;
    while let Some(begun) = run.next().await {
        let is_read = plan.draw_read(&mut random);
        let request = writer.request(is_read, random.u64(0..plan.keys));
        let exchange = exchange(&mut connection, plan, at, request);
        let result = match timeout(plan.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Failed::new("timeout", format!("no answer in {:?}", plan.timeout))),
        };
        let ended = Instant::now();
        let counts = run.counts(begun, ended);
        match result {
            Ok(found) if counts => run.recorder().done(is_read, found, ended - begun),
            Ok(_) => {}
            Err(failed) => {
                if let Some(refusal) = failed.refusal {
                    // Another client may have been faster; one is enough.
                    run.refused.set(refusal).ok();
                    if let Some(arrivals) = &run.arrivals {
                        arrivals.stop();
                    }
                    return;
                }
                if counts {
                    run.recorder().failed(&failed.code, failed.detail);
                }
                if failed.loses_connection {
                    // What is left of an exchange that was given up must not be taken for the
                    // answer to the next one. Another endpoint may do better.
                    connection = None;
                    at = (at + 1) % plan.endpoints.len();
                    writer = RequestWriter::new(plan, &plan.endpoints[at], &mut random);
                    sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }
}

/// A request that failed.
#[derive(Debug)]
struct Failed {
    code: String,
    detail: String,
    loses_connection: bool,
    refusal: Option<Refusal>,
}

impl Failed {
    fn new(code: &str, detail: String) -> Self {
        Self { code: code.to_owned(), detail, loses_connection: true, refusal: None }
    }
}

/// Sends a request, over a new connection if there is none. Returns whether the key was found.
async fn exchange(
    slot: &mut Option<Connection>,
    plan: &Plan,
    at: usize,
    request: &[u8],
) -> Result<bool, Failed> {
    let endpoint = &plan.endpoints[at];
    let mut connection = match slot.take() {
        Some(connection) => connection,
        None => Connection::open(endpoint).await.map_err(|error| {
            Failed::new("unreachable", format!("cannot reach {endpoint}: {error}"))
        })?,
    };
    let head = connection
        .exchange(request)
        .await
        .map_err(|trouble| Failed::new("connection_lost", format!("{endpoint}: {trouble}")))?;
    let result = judge(&head, connection.body(&head));
    if !head.closes {
        *slot = Some(connection);
    }
    result
}

fn judge(head: &Head, body: &[u8]) -> Result<bool, Failed> {
    if (200..300).contains(&head.status) {
        return Ok(true);
    }
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| problem.get(name).and_then(serde_json::Value::as_str);
    let code = field("code").map_or_else(|| format!("http_{}", head.status), str::to_owned);
    if code == "key_not_found" {
        return Ok(false);
    }
    let detail = field("detail").unwrap_or("no detail").to_owned();
    // Not so if it is the server that has too much, or waited in vain.
    let is_refused = (400..500).contains(&head.status) && !matches!(head.status, 408 | 429);
    let hint = field("hint").unwrap_or("look at the options: remex bench --help").to_owned();
    let refusal = is_refused.then(|| Refusal { detail: detail.clone(), hint });
    Err(Failed { code, detail, loses_connection: false, refusal })
}

/// A line of progress on standard error.
fn progress_bar(plan: &Plan) -> ProgressBar {
    let total = plan.warmup + plan.duration;
    let bar = ProgressBar::new(u64::try_from(total.as_millis()).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:30} {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar
}

async fn progress(run: Arc<Run>, bar: ProgressBar) {
    let start = Instant::now();
    loop {
        sleep(PROGRESS_PAUSE).await;
        let (done, failed) = {
            let recorder = run.recorder();
            (recorder.done_count(), recorder.failed_count())
        };
        let measured = Instant::now().saturating_duration_since(run.measured.start).as_secs_f64();
        let message = if measured > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let rate = done as f64 / measured;
            format!("{rate:.0}/s, {failed} errors")
        } else {
            "warming up".to_owned()
        };
        bar.set_message(message);
        bar.set_position(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    }
}
