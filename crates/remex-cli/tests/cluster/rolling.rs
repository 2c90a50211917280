//! Nodes restarted one after the other under load: no request fails, through the client library or
//! through the command line, both of which repeat what is safe to repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use remex_client::{Client, Put};
use remex_testkit::cluster::{Cluster, Patience, SECRET};
use tokio::runtime::Builder;

use crate::{run, start};

/// What the product promises.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// Clients of the library.
const CLIENTS: usize = 6;

/// What has been answered so far.
#[derive(Default)]
struct Count {
    stop: AtomicBool,
    library: AtomicU64,
    commands: AtomicU64,
}

impl Count {
    /// Waits until both kinds of clients have got so many more answers.
    fn wait(&self, library: u64, commands: u64) {
        let now = || (self.library.load(Ordering::Relaxed), self.commands.load(Ordering::Relaxed));
        let begin = now();
        let mut patience = Patience::default();
        while now().0 < begin.0 + library || now().1 < begin.1 + commands {
            assert!(patience.pause(), "clients are stuck: {begin:?} → {:?}", now());
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// One client: it writes a key of its own and reads it back. Returns what failed.
async fn work(endpoints: String, id: usize, count: Arc<Count>) -> Vec<String> {
    let client = Client::connect(&endpoints).unwrap();
    let (mut failed, mut number) = (Vec::new(), 0_u64);
    let key = format!("client/{id}");
    while count.goes_on() {
        number += 1;
        let value = format!("{SECRET}-{number}");
        if let Err(error) = client.put(&key, value.clone(), &Put::new()).await {
            failed.push(format!("put {number}: {error:?}"));
            continue;
        }
        match client.get(&key).await {
            Ok(Some(entry)) if entry.value == value.as_bytes() => {}
            other => failed.push(format!("get {number}: {other:?}")),
        }
        count.library.fetch_add(2, Ordering::Relaxed);
    }
    failed
}

/// As [`work`], a process for each request.
fn command(endpoints: &str, count: &Count) -> Vec<String> {
    let (mut failed, mut number) = (Vec::new(), 0_u64);
    while count.goes_on() {
        number += 1;
        let value = format!("{SECRET}-{number}");
        let put = run(&["put", "command", &value, "-e", endpoints]);
        if put.code != Some(0) {
            failed.push(format!("put {number}: {put:?}"));
            continue;
        }
        let got = run(&["get", "command", "-e", endpoints]);
        if got.code != Some(0) || got.stdout != value {
            failed.push(format!("get {number}: {got:?}"));
        }
        count.commands.fetch_add(2, Ordering::Relaxed);
    }
    failed
}

/// Restarts every node, as an operator would: stop it, start it, wait until it is ready.
fn restart_all(cluster: &mut Cluster, count: &Count) {
    for node in 0..cluster.nodes().len() {
        count.wait(100, 2);
        cluster.nodes()[node].terminate().unwrap();
        let status = cluster.node(node).wait_exit(EXIT_LIMIT).unwrap();
        assert!(status.success(), "{status}\n{}", cluster.nodes()[node].logs().tail());
        count.wait(100, 2);
        cluster.node(node).start().unwrap();
        cluster.node(node).wait_ready().unwrap();
    }
}

#[test]
fn a_rolling_restart_fails_no_request() {
    let mut cluster = start(3);
    let endpoints: Vec<String> =
        cluster.nodes().iter().map(|node| format!("http://{}", node.address())).collect();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let count = Arc::new(Count::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|id| {
            // Each prefers another node.
            let mut endpoints = endpoints.clone();
            endpoints.rotate_left(id % 3);
            runtime.spawn(work(endpoints.join(","), id, Arc::clone(&count)))
        })
        .collect();
    let commands = {
        let (endpoints, count) = (endpoints.join(","), Arc::clone(&count));
        thread::spawn(move || command(&endpoints, &count))
    };
    for _ in 0..2 {
        restart_all(&mut cluster, &count);
    }
    count.wait(100, 2);
    count.stop.store(true, Ordering::Relaxed);
    let mut failed = commands.join().unwrap();
    for client in clients {
        failed.extend(runtime.block_on(client).unwrap());
    }
    assert!(failed.is_empty(), "{} requests failed: {failed:#?}", failed.len());
}
