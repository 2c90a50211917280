//! What a node measures about itself, in the terms of Prometheus, for surfaces to show.

/// All series of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Name, with the unit and, for counters, `_total` at the end.
    pub name: &'static str,
    /// What it measures, in one sentence.
    pub help: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Its series.
    pub series: Vec<Series>,
}

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

/// One series: its labels and its value now. Labels come from a small fixed set (a member, a
/// kind of operation); never from a key or a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Names and values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: MetricValue,
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricValue {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// Upper bound of each bucket, and how many observations were at most that; cumulative,
        /// ascending, without the last bucket, which has no bound.
        buckets: Vec<(f64, u64)>,
        /// Number of observations.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

impl Metric {
    /// A gauge without labels.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::single(name, help, MetricKind::Gauge, value)
    }

    /// A counter without labels.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::single(name, help, MetricKind::Counter, value)
    }

    fn single(name: &'static str, help: &'static str, kind: MetricKind, value: f64) -> Self {
        let series = Series { labels: Vec::new(), value: MetricValue::Number(value) };
        Self { name, help, kind, series: vec![series] }
    }
}
