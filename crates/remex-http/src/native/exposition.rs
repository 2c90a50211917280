//! Metrics as text: the exposition format of Prometheus, version 0.0.4.

use std::fmt::{self, Write};

use remex_model::{Metric, MetricKind, MetricValue, Series};

/// The media type of the text.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics as one text.
pub(crate) fn text<'a>(metrics: impl IntoIterator<Item = &'a Metric>) -> String {
    let mut out = String::with_capacity(16 * 1024);
    for metric in metrics {
        write_metric(metric, &mut out).expect("writing to memory does not fail");
    }
    out
}

fn write_metric(metric: &Metric, out: &mut String) -> fmt::Result {
    let Metric { name, help, kind, series } = metric;
    let kind = match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    };
    writeln!(out, "# HELP {name} {}", Escaped { text: help, quotes: false })?;
    writeln!(out, "# TYPE {name} {kind}")?;
    for Series { labels, value } in series {
        match value {
            MetricValue::Number(number) => {
                writeln!(out, "{name}{} {}", Labels(labels, None), Number(*number))?;
            }
            MetricValue::Histogram { buckets, count, sum } => {
                for (bound, count) in buckets {
                    writeln!(out, "{name}_bucket{} {count}", Labels(labels, Some(*bound)))?;
                }
                writeln!(out, "{name}_bucket{} {count}", Labels(labels, Some(f64::INFINITY)))?;
                writeln!(out, "{name}_sum{} {}", Labels(labels, None), Number(*sum))?;
                writeln!(out, "{name}_count{} {count}", Labels(labels, None))?;
            }
        }
    }
    Ok(())
}

/// The labels of a series, with the bound of a bucket if it is one.
struct Labels<'a>(&'a [(&'static str, String)], Option<f64>);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(labels, bound) = self;
        let mut separator = '{';
        for (name, value) in *labels {
            write!(formatter, "{separator}{name}=\"{}\"", Escaped { text: value, quotes: true })?;
            separator = ',';
        }
        if let Some(bound) = bound {
            write!(formatter, "{separator}le=\"{}\"", Number(*bound))?;
            separator = ',';
        }
        if separator == ',' { formatter.write_char('}') } else { Ok(()) }
    }
}

/// A text in which nothing can be taken for the end of its line, or of its quotes.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.text.chars() {
            match character {
                '\\' => formatter.write_str("\\\\")?,
                '\n' => formatter.write_str("\\n")?,
                '"' if self.quotes => formatter.write_str("\\\"")?,
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A number; what is not finite has names of its own in this format.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            number if number == f64::INFINITY => formatter.write_str("+Inf"),
            number if number == f64::NEG_INFINITY => formatter.write_str("-Inf"),
            number if number.is_nan() => formatter.write_str("NaN"),
            number => number.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_labels_and_help_are_escaped() {
        let mut metric = Metric::gauge("remex_a", "One \\ line\nor \"two\".", 1.0);
        metric.series[0].labels = vec![("peer", "a\"b\\c\nd".to_owned()), ("kind", String::new())];
        for number in [1e21, 0.25, f64::INFINITY, f64::NAN] {
            metric.series.push(Series { labels: Vec::new(), value: MetricValue::Number(number) });
        }
        assert_eq!(
            text([&metric]),
            "# HELP remex_a One \\\\ line\\nor \"two\".\n# TYPE remex_a gauge\n\
             remex_a{peer=\"a\\\"b\\\\c\\nd\",kind=\"\"} 1\nremex_a 1000000000000000000000\n\
             remex_a 0.25\nremex_a +Inf\nremex_a NaN\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_a_bucket_without_bound() {
        let value =
            MetricValue::Histogram { buckets: vec![(0.001, 1), (0.5, 3)], count: 4, sum: 2.5 };
        let labels = vec![("route", "key".to_owned())];
        let metric = Metric {
            name: "remex_t_seconds",
            help: "Time.",
            kind: MetricKind::Histogram,
            series: vec![Series { labels, value }],
        };
        let expected = "# HELP remex_t_seconds Time.\n# TYPE remex_t_seconds histogram\n\
            remex_t_seconds_bucket{route=\"key\",le=\"0.001\"} 1\n\
            remex_t_seconds_bucket{route=\"key\",le=\"0.5\"} 3\n\
            remex_t_seconds_bucket{route=\"key\",le=\"+Inf\"} 4\n\
            remex_t_seconds_sum{route=\"key\"} 2.5\nremex_t_seconds_count{route=\"key\"} 4\n";
        assert_eq!(text([&metric]), expected);
    }
}
