//! A served surface for one test.

use std::sync::Arc;

use remex_http::Surface;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fake::Fake;
use crate::wire::Wire;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) fake: Arc<Fake>,
    pub(crate) port: u16,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts with other options.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Surface)) -> Self {
        let fake = Arc::new(Fake::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (shutdown, stopped) = oneshot::channel();
        let mut surface = fake.surface();
        change(&mut surface);
        let stopped = async move { drop(stopped.await) };
        let task = tokio::spawn(remex_http::serve([listener.into()], surface, stopped));
        Self { fake, port, shutdown: Some(shutdown), task }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::connect(self.port).await
    }

    /// Begins the shutdown.
    pub(crate) fn begin_shutdown(&mut self) {
        drop(self.shutdown.take());
    }

    /// Waits until `serve` has returned.
    pub(crate) async fn ended(self) {
        self.task.await.expect("the server does not panic").expect("the server ends well");
    }
}
