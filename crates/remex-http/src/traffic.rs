//! Counts of what the surface answers, for `/metrics`.
//!
//! Counting is on the road of every request, so it must cost next to nothing: the counters are
//! arrays of relaxed atomics, one set for each of a few threads, and a request touches three of
//! them, in lines that no other thread writes. They are added up when somebody asks. Labels come
//! from the small enums below; nothing that a client sends can become one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use remex_model::{Metric, MetricKind, MetricValue, Series};

/// Sets of counters. Threads beyond this number share.
const SHARDS: usize = 8;
const METHODS: [&str; 8] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "other"];
const STATUSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Upper bounds of the buckets, in nanoseconds; one more bucket has no bound.
const BOUNDS_NS: [u64; 16] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// What a request is about, as far as measuring goes. Every dialect sorts its paths into these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// One key.
    Key,
    /// A range of keys.
    Keys,
    /// Several writes at once.
    Batch,
    /// The cluster and its members.
    Cluster,
    /// A snapshot; measured until its first byte is ready.
    Snapshot,
    /// What the node says about itself, its metrics and log level included.
    Node,
    /// Health checks.
    Health,
    /// Anything else.
    Other,
}

impl Route {
    const ALL: [Self; 8] = [
        Self::Key,
        Self::Keys,
        Self::Batch,
        Self::Cluster,
        Self::Snapshot,
        Self::Node,
        Self::Health,
        Self::Other,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Keys => "keys",
            Self::Batch => "batch",
            Self::Cluster => "cluster",
            Self::Snapshot => "snapshot",
            Self::Node => "node",
            Self::Health => "health",
            Self::Other => "other",
        }
    }
}

/// When a request began, and what it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) route: Route,
    /// Position in [`METHODS`].
    method: u8,
    pub(crate) began: Instant,
}

impl Arrival {
    /// A request that begins now.
    pub(crate) fn now(route: Route, method: &Method) -> Self {
        Self { route, method: method_class(method), began: Instant::now() }
    }
}

/// The counters of one surface.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    shards: [Shard; SHARDS],
    connections: AtomicU64,
}

/// The counters of the threads that share one set; on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    requests: [[[AtomicU64; STATUSES.len()]; METHODS.len()]; Route::ALL.len()],
    durations: [Durations; Route::ALL.len()],
}

#[derive(Debug, Default)]
struct Durations {
    /// Observations by bucket, each in one bucket only.
    buckets: [AtomicU64; BOUNDS_NS.len() + 1],
    sum_ns: AtomicU64,
}

impl Traffic {
    /// Counts one answer, which is ready now.
    pub(crate) fn count(&self, arrival: Arrival, status: StatusCode) {
        self.count_taken(arrival, status, arrival.began.elapsed());
    }

    fn count_taken(&self, arrival: Arrival, status: StatusCode, taken: Duration) {
        let shard = &self.shards[shard()];
        let Some(status) = status_class(status) else { return };
        let (route, method) = (arrival.route as usize, usize::from(arrival.method));
        shard.requests[route][method][status].fetch_add(1, Ordering::Relaxed);
        let durations = &shard.durations[route];
        // In 64 bits: nobody waits for 500 years.
        let ns = taken
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(taken.subsec_nanos().into());
        let bucket = BOUNDS_NS.iter().position(|bound| ns <= *bound).unwrap_or(BOUNDS_NS.len());
        durations.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        durations.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Counts a connection as open for as long as the guard lives.
    pub(crate) fn connection(&self) -> OpenConnection<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self)
    }

    /// Everything counted so far. Series that never counted anything are left out.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let connections = self.connections.load(Ordering::Relaxed);
        vec![
            Metric {
                name: "remex_http_requests_total",
                help: "Requests answered, by method, by what they are about, and by class of status.",
                kind: MetricKind::Counter,
                series: self.requests(),
            },
            Metric {
                name: "remex_http_request_seconds",
                help: "Time from the head of a request to the head of its answer.",
                kind: MetricKind::Histogram,
                series: self.durations(),
            },
            Metric::gauge("remex_http_connections", "Open client connections.", float(connections)),
        ]
    }

    fn requests(&self) -> Vec<Series> {
        let mut series = Vec::new();
        for route in Route::ALL {
            for (method, method_name) in METHODS.into_iter().enumerate() {
                for (status, status_name) in STATUSES.into_iter().enumerate() {
                    let count = self.sum(|shard| &shard.requests[route as usize][method][status]);
                    if count == 0 {
                        continue;
                    }
                    let labels = vec![
                        ("method", method_name.to_owned()),
                        ("route", route.as_str().to_owned()),
                        ("status", status_name.to_owned()),
                    ];
                    series.push(Series { labels, value: MetricValue::Number(float(count)) });
                }
            }
        }
        series
    }

    fn durations(&self) -> Vec<Series> {
        let mut series = Vec::new();
        for route in Route::ALL {
            let in_bucket =
                |bucket: usize| self.sum(|shard| &shard.durations[route as usize].buckets[bucket]);
            let mut count = 0;
            let mut buckets = Vec::with_capacity(BOUNDS_NS.len());
            for (bucket, bound_ns) in BOUNDS_NS.into_iter().enumerate() {
                count += in_bucket(bucket);
                buckets.push((float(bound_ns) / 1e9, count));
            }
            count += in_bucket(BOUNDS_NS.len());
            if count == 0 {
                continue;
            }
            let sum = float(self.sum(|shard| &shard.durations[route as usize].sum_ns)) / 1e9;
            let value = MetricValue::Histogram { buckets, count, sum };
            series.push(Series { labels: vec![("route", route.as_str().to_owned())], value });
        }
        series
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| counter(shard).load(Ordering::Relaxed)).sum()
    }
}

/// A connection that counts as open.
#[derive(Debug)]
pub(crate) struct OpenConnection<'a>(&'a Traffic);

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The set of counters of this thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}

/// Position in [`METHODS`].
fn method_class(method: &Method) -> u8 {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::PUT => 2,
        Method::POST => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        _ => 7,
    }
}

/// Position in [`STATUSES`]. A final answer is never informational.
fn status_class(status: StatusCode) -> Option<usize> {
    usize::from(status.as_u16() / 100).checked_sub(2).filter(|class| *class < STATUSES.len())
}

#[expect(clippy::cast_precision_loss, reason = "counts of 2^53 are not reached")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_threads_are_added_up() {
        let traffic = Traffic::default();
        let put = Arrival::now(Route::Key, &Method::PUT);
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    let taken = Duration::from_micros(300);
                    traffic.count_taken(put, StatusCode::CREATED, taken);
                });
            }
        });
        let taken = Duration::from_secs(60);
        let trace = Arrival::now(Route::Other, &Method::TRACE);
        traffic.count_taken(trace, StatusCode::NOT_FOUND, taken);
        let metrics = traffic.metrics();
        let labels = |series: &Series| {
            series.labels.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>().join(" ")
        };
        let numbers: Vec<_> =
            metrics[0].series.iter().map(|one| (labels(one), one.value.clone())).collect();
        let puts = (2 * SHARDS) as f64;
        assert_eq!(
            numbers,
            [
                ("PUT key 2xx".to_owned(), MetricValue::Number(puts)),
                ("other other 4xx".to_owned(), MetricValue::Number(1.0)),
            ]
        );
        let MetricValue::Histogram { buckets, count, sum } = &metrics[1].series[0].value else {
            panic!("{metrics:?}")
        };
        assert_eq!(*count, 2 * SHARDS as u64);
        assert_eq!((buckets[1], buckets[2]), ((0.000_25, 0), (0.000_5, *count)));
        assert!((sum - puts * 300e-6).abs() < 1e-9, "{sum}");
        let MetricValue::Histogram { buckets, count, .. } = &metrics[1].series[1].value else {
            panic!("{metrics:?}")
        };
        assert_eq!((buckets[BOUNDS_NS.len() - 1], *count), ((10.0, 0), 1));
    }

    #[test]
    fn a_connection_is_open_while_its_guard_lives() {
        let traffic = Traffic::default();
        let open = |traffic: &Traffic| traffic.metrics()[2].series[0].value.clone();
        let (one, other) = (traffic.connection(), traffic.connection());
        assert_eq!(open(&traffic), MetricValue::Number(2.0));
        drop((one, other));
        assert_eq!(open(&traffic), MetricValue::Number(0.0));
    }
}
