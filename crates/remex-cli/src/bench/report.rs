//! What a measurement came to.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::Refusal;
use super::plan::{Operation, Plan};
use super::recorder::Recorder;
use crate::output;

/// The result of a run; its JSON form is the output of `remex bench -o json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    operation: &'static str,
    endpoints: Vec<String>,
    clients: usize,
    /// Requests per second that were to be sent; `null` for a closed loop.
    rate: Option<f64>,
    seconds: f64,
    keys: u64,
    value_bytes: usize,
    consistency: &'static str,
    /// Requests that were carried out in the measured time.
    pub(crate) ops: u64,
    ops_per_s: f64,
    /// Reads that found no key.
    pub(crate) not_found: u64,
    /// Failed requests by code.
    errors: BTreeMap<String, u64>,
    /// Arrivals of an open loop that no client was free to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    backlog: Option<usize>,
    latency_ms: Latency,
    #[serde(skip_serializing_if = "Option::is_none")]
    reads: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writes: Option<Part>,
    #[serde(skip)]
    pub(crate) last_error: Option<String>,
    /// Set if the run ended because the requests are wrong.
    #[serde(skip)]
    pub(crate) refused: Option<Refusal>,
}

/// Reads or writes alone, of a mixed run.
#[derive(Debug, Serialize)]
struct Part {
    ops: u64,
    latency_ms: Latency,
}

/// Percentiles, in milliseconds.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
    mean: f64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: milliseconds(histogram.max()),
            mean: (histogram.mean() / 1e3).round() / 1e3,
        }
    }

    fn cells(&self) -> Vec<String> {
        let all = [self.p50, self.p90, self.p99, self.p99_9, self.max];
        all.map(|ms| format!("{ms:.3}")).to_vec()
    }
}

/// Whole microseconds, as a number of milliseconds.
#[expect(clippy::cast_precision_loss, reason = "latencies stay below 2^53 ns")]
fn milliseconds(ns: u64) -> f64 {
    (ns as f64 / 1e3).round() / 1e3
}

impl Report {
    pub(crate) fn new(
        plan: &Plan,
        recorder: &Recorder,
        backlog: Option<usize>,
        refused: Option<Refusal>,
    ) -> Self {
        let seconds = plan.duration.as_secs_f64();
        let ops = recorder.done_count();
        let part = |histogram: &Histogram<u64>| {
            let mixed = plan.operation == Operation::Mixed;
            mixed.then(|| Part { ops: histogram.len(), latency_ms: Latency::of(histogram) })
        };
        #[expect(clippy::cast_precision_loss, reason = "a run has fewer than 2^53 requests")]
        let ops_per_s = (ops as f64 / seconds * 10.0).round() / 10.0;
        Self {
            operation: plan.operation.as_str(),
            endpoints: plan.endpoints.iter().map(ToString::to_string).collect(),
            clients: plan.clients,
            rate: plan.rate,
            seconds,
            keys: plan.keys,
            value_bytes: plan.value_bytes,
            consistency: if plan.stale { "stale" } else { "linearizable" },
            ops,
            ops_per_s,
            not_found: recorder.not_found,
            errors: recorder.errors.clone(),
            backlog,
            latency_ms: Latency::of(&recorder.all()),
            reads: part(&recorder.reads),
            writes: part(&recorder.writes),
            last_error: recorder.last_error.clone(),
            refused,
        }
    }

    /// The result for people.
    pub(crate) fn table(&self) -> String {
        let heading = ["", "OPS/S", "P50 MS", "P90 MS", "P99 MS", "P99.9 MS", "MAX MS"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        let mut row = |name: &str, ops: u64, latency: &Latency| {
            #[expect(clippy::cast_precision_loss, reason = "a run has fewer than 2^53 requests")]
            let rate = format!("{:.0}", ops as f64 / self.seconds);
            let mut cells = vec![name.to_owned(), rate];
            cells.extend(latency.cells());
            rows.push(cells);
        };
        row(self.operation, self.ops, &self.latency_ms);
        for (name, part) in [("  reads", &self.reads), ("  writes", &self.writes)] {
            if let Some(part) = part {
                row(name, part.ops, &part.latency_ms);
            }
        }
        let mut text = output::table(&rows);
        let errors: Vec<String> =
            self.errors.iter().map(|(code, count)| format!("{count} {code}")).collect();
        let errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
        text.push_str(&format!("errors: {errors}\n"));
        if self.not_found > 0 {
            text.push_str(&format!("reads without a key: {} (--fill)\n", self.not_found));
        }
        if let Some(backlog) = self.backlog.filter(|&backlog| backlog > 0) {
            text.push_str(&format!("the rate was not sustained: {backlog} requests not sent\n"));
        }
        text
    }
}
