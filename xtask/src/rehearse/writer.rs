//! A client in a pod of its own, which writes through the service while things happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::cluster::{CLIENT, NAMESPACE};
use super::pod::Image;

/// Pause between two writes.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of the writes.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Keys whose writes were acknowledged.
    pub(super) acknowledged: Vec<String>,
    /// What the failed ones said.
    pub(super) failed: Vec<String>,
    /// Longest time for one write, repetitions by the client included.
    pub(super) longest: Duration,
}

/// Writes one key after the other, until it is stopped.
#[derive(Debug)]
pub(super) struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Written>>,
}

impl Writer {
    /// Starts; the keys begin with this.
    pub(super) fn start(image: Arc<Image>, service: &str, prefix: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, prefix) = (Arc::clone(&stop), prefix.to_owned());
        let url = format!("http://{service}.{NAMESPACE}:7480");
        let thread = thread::spawn(move || {
            let mut written = Written::default();
            while !stopped.load(Ordering::Relaxed) {
                let key = format!("{prefix}/{}", written.acknowledged.len() + written.failed.len());
                let begun = Instant::now();
                let output =
                    image.ask(CLIENT, None, &["put", &key, "x", "-e", &url, "--timeout", "20s"])?;
                written.longest = written.longest.max(begun.elapsed());
                if output.status.success() {
                    written.acknowledged.push(key);
                } else {
                    let said = String::from_utf8_lossy(&output.stderr);
                    written.failed.push(format!("{:?}: {}", output.status.code(), said.trim()));
                }
                thread::sleep(PAUSE);
            }
            Ok(written)
        });
        Self { stop, thread }
    }

    /// Stops; what became of the writes.
    pub(super) fn stop(self) -> anyhow::Result<Written> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(written) => written.context("writing"),
            Err(_) => bail!("the writer panicked"),
        }
    }
}
