//! The lines that a server logs, and the hand on what is logged while it runs.

use std::io;
use std::sync::{Mutex, PoisonError};

use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry};

use crate::settings::{LogFilter, LogFormat};

/// What is logged now, and how to change it.
#[derive(Debug)]
pub(crate) struct Logs {
    handle: Handle<Targets, Registry>,
    filter: Mutex<String>,
}

impl Logs {
    /// Begins to log to standard error.
    pub(crate) fn start(filter: &LogFilter, format: LogFormat, ansi: bool) -> Self {
        let (lines, logs) = layer(filter, format, ansi, io::stderr);
        registry().with(lines).init();
        logs
    }
}

/// The layer that writes lines, filtered.
fn layer<W>(
    filter: &LogFilter,
    format: LogFormat,
    ansi: bool,
    writer: W,
) -> (impl Layer<Registry>, Logs)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (targets, handle) = reload::Layer::new(filter.targets.clone());
    let logs = Logs { handle, filter: Mutex::new(filter.text.clone()) };
    (lines(format, ansi, writer).with_filter(targets), logs)
}

fn lines<S, W>(format: LogFormat, ansi: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_ansi(ansi && format == LogFormat::Text);
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

impl remex_http::Logs for Logs {
    fn filter(&self) -> String {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_filter(&self, filter: &str) -> Result<(), String> {
        let filter: LogFilter = filter.parse()?;
        // Held while the layer changes, so that what is said is what is in force.
        let mut said = self.filter.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle
            .modify(|targets| *targets = filter.targets)
            .map_err(|error| format!("cannot be set any more: {error}"))?;
        *said = filter.text;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remex_http::Logs as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What is written while `work` runs.
    fn logged(filter: &str, format: LogFormat, work: impl FnOnce(&Logs)) -> String {
        let kept = Kept::default();
        let (layer, logs) = layer(&filter.parse().unwrap(), format, true, kept.clone());
        tracing::subscriber::with_default(registry().with(layer), || work(&logs));
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_line_of_json_is_one_object() {
        let text = logged("debug", LogFormat::Json, |_| {
            tracing::info!(name = "a\n\"b\"\u{1b}[0m", count = 3, "two\nlines");
            let span = tracing::info_span!("span", part = "x");
            let _inside = span.enter();
            tracing::warn!(error = %io::Error::other("a\nb"), "in a span");
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["message"], "two\nlines");
        assert_eq!((&lines[0]["count"], &lines[0]["level"]), (&3.into(), &"INFO".into()));
        assert_eq!(lines[1]["error"], "a\nb");
    }

    #[test]
    fn what_is_logged_changes_at_once() {
        let text = logged("info", LogFormat::Text, |logs| {
            tracing::debug!("too early");
            logs.set_filter("warn,remex=debug").unwrap();
            assert_eq!(logs.filter(), "warn,remex=debug");
            tracing::debug!("heard");
            let refused = logs.set_filter("loud").unwrap_err();
            assert!(refused.starts_with("must be error"), "{refused}");
            assert_eq!(logs.filter(), "warn,remex=debug");
            logs.set_filter("off").unwrap();
            tracing::error!("too late");
        });
        assert!(text.contains("heard") && !text.contains("too"), "{text}");
    }
}
