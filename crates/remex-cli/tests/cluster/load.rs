//! Clients that work while a test hurts the nodes, and record all that they see.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use remex_testkit::cluster::{Cluster, PATIENCE, Patience, SECRET};
use remex_testkit::history::History;
use remex_testkit::linearizability::{Found, Outcome, check, check_revisions};
use remex_testkit::recorded::RecordedClient;

/// How long a client waits for one answer. Shorter than an election may take, so that some
/// answers are lost and the judges get unknown outcomes to think about.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Pause of a client between two operations: the histories stay of a size that a person can read,
/// and the nodes get the processor.
const THINK_TIME: Duration = Duration::from_millis(2);

/// Keys that all clients share, few enough to collide on.
const SHARED_KEYS: usize = 24;

/// Clients at work.
pub(crate) struct Load {
    history: Arc<History>,
    progress: Arc<Progress>,
    clients: Vec<JoinHandle<Vec<String>>>,
    addresses: Vec<SocketAddr>,
}

/// What the judges had before them.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Keys that were written once, acknowledged, and found in the end.
    pub(crate) kept: usize,
    /// Reads that found a value.
    pub(crate) found: usize,
    /// Acknowledged writes.
    pub(crate) written: usize,
    /// Conditions that did not hold.
    pub(crate) refused: usize,
    /// Writes whose answer was lost.
    pub(crate) unknown: usize,
}

#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    /// The nodes that clients talk to now.
    nodes: Mutex<Vec<usize>>,
}

impl Progress {
    fn nodes(&self) -> MutexGuard<'_, Vec<usize>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    /// Starts clients; each of them talks to all nodes in turn.
    pub(crate) fn start(cluster: &mut Cluster, clients: u64) -> Self {
        let history = Arc::new(History::new());
        cluster.keep_history(Arc::clone(&history));
        let addresses: Vec<SocketAddr> =
            cluster.nodes().iter().map(remex_testkit::cluster::Node::address).collect();
        let nodes = Mutex::new((0..addresses.len()).collect());
        let progress = Arc::new(Progress { nodes, ..Progress::default() });
        let spawn = |id| {
            let connect = |address: &SocketAddr| {
                RecordedClient::new(id, *address, ANSWER_TIMEOUT, Arc::clone(&history))
            };
            let nodes = addresses.iter().map(connect).collect();
            let progress = Arc::clone(&progress);
            let client =
                Client { id, nodes, progress, random: fastrand::Rng::with_seed(id), written: 0 };
            thread::spawn(move || client.work())
        };
        let clients = (0..clients).map(spawn).collect();
        Self { history, progress, clients, addresses }
    }

    /// Lets the clients talk to these nodes alone from now on.
    pub(crate) fn talk_to(&self, nodes: &[usize]) {
        *self.progress.nodes() = nodes.to_vec();
    }

    /// Waits until this many more writes have been acknowledged.
    pub(crate) fn wait_progress(&self, writes: u64) {
        let goal = self.progress.acknowledged.load(Ordering::Relaxed) + writes;
        let mut patience = Patience::default();
        while self.progress.acknowledged.load(Ordering::Relaxed) < goal {
            let dead = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!dead, "a client met an answer that breaks the API");
            assert!(patience.pause(), "{writes} writes took longer than {PATIENCE:?}");
        }
    }

    /// Stops the clients, lets one more read all that was ever written, through every node, and
    /// judges the whole history. All nodes must take requests. Returns what was judged: a run in
    /// which nothing happened proves nothing.
    pub(crate) fn judge(self) -> Judged {
        let all: Vec<usize> = (0..self.addresses.len()).collect();
        self.judge_through(&all)
    }

    /// As [`Load::judge`], where only these nodes must take requests.
    pub(crate) fn judge_through(mut self, nodes: &[usize]) -> Judged {
        self.addresses = nodes.iter().map(|node| self.addresses[*node]).collect();
        self.progress.stop.store(true, Ordering::Relaxed);
        let reader = u64::try_from(self.clients.len()).unwrap();
        let mut kept = Vec::new();
        for client in self.clients {
            kept.extend(client.join().expect("a client met an answer that breaks the API"));
        }
        for address in &self.addresses {
            let mut node =
                RecordedClient::new(reader, *address, PATIENCE, Arc::clone(&self.history));
            for key in (0..SHARED_KEYS).map(shared_key) {
                let outcome = node.get(&key).unwrap();
                assert!(matches!(outcome, Outcome::Read(_)), "{key} on {address}: {outcome}");
            }
        }
        let mut nodes: Vec<RecordedClient> = self
            .addresses
            .iter()
            .map(|at| RecordedClient::new(reader, *at, PATIENCE, Arc::clone(&self.history)))
            .collect();
        for (position, key) in kept.iter().enumerate() {
            let node = position % nodes.len();
            let outcome = nodes[node].get(key).unwrap();
            let value = kept_value(key);
            let is_there = matches!(&outcome, Outcome::Read(Some(found)) if found.value == value);
            assert!(is_there, "{key} was acknowledged, but node {} says: {outcome}", node + 1);
        }
        let events = self.history.events();
        if let Err(violation) = check(&events) {
            panic!("{violation}");
        }
        if let Err(violation) = check_revisions(&events) {
            panic!("{violation}");
        }
        let count = |wanted: fn(&Outcome) -> bool| {
            events.iter().filter(|event| wanted(&event.result)).count()
        };
        Judged {
            kept: kept.len(),
            found: count(|outcome| matches!(outcome, Outcome::Read(Some(_)))),
            written: count(|outcome| matches!(outcome, Outcome::Written { .. })),
            refused: count(|outcome| matches!(outcome, Outcome::Refused)),
            unknown: count(|outcome| matches!(outcome, Outcome::Unknown)),
        }
    }
}

fn shared_key(number: usize) -> String {
    format!("shared/{number}")
}

/// The value of a key that is written once and kept: every acknowledged one must be there in the
/// end.
fn kept_value(key: &str) -> String {
    format!("{SECRET} of {key}")
}

/// One client.
struct Client {
    id: u64,
    nodes: Vec<RecordedClient>,
    progress: Arc<Progress>,
    random: fastrand::Rng,
    written: u64,
}

impl Client {
    /// Works until told to stop; returns the keys that it was told are kept.
    fn work(mut self) -> Vec<String> {
        let mut kept = Vec::new();
        let mut seen: Vec<Option<Found>> = vec![None; SHARED_KEYS];
        while !self.progress.stop.load(Ordering::Relaxed) {
            let node = self.random.choice(self.progress.nodes().iter().copied());
            let node = node.expect("clients always have somebody to talk to");
            let number = self.random.usize(..SHARED_KEYS);
            let (key, value) = (shared_key(number), self.fresh_value());
            let known = seen[number].clone();
            let outcome = match (self.random.u8(0..20), known) {
                (0, _) => {
                    let key = format!("kept/{}-{}", self.id, self.written);
                    let outcome = self.nodes[node].put_if(&key, None, &kept_value(&key)).unwrap();
                    if matches!(outcome, Outcome::Written { .. }) {
                        kept.push(key);
                    }
                    outcome
                }
                (1..=7, _) => {
                    let outcome = self.nodes[node].get(&key).unwrap();
                    if let Outcome::Read(found) = &outcome {
                        seen[number].clone_from(found);
                    }
                    outcome
                }
                (8..=11, _) => self.nodes[node].put(&key, &value).unwrap(),
                (12..=13, _) => self.nodes[node].delete(&key).unwrap(),
                (14, Some(found)) => self.nodes[node].delete_if(&key, &found).unwrap(),
                (_, known) => self.nodes[node].put_if(&key, known.as_ref(), &value).unwrap(),
            };
            match outcome {
                Outcome::Written { .. } => {
                    self.progress.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                // Whoever is refused looks again before the next attempt.
                Outcome::Refused => {
                    if let Outcome::Read(found) = self.nodes[node].get(&key).unwrap() {
                        seen[number] = found;
                    }
                }
                Outcome::Read(_) | Outcome::Unknown | Outcome::Failed => {}
            }
            thread::sleep(THINK_TIME);
        }
        kept
    }

    fn fresh_value(&mut self) -> String {
        self.written += 1;
        format!("{SECRET}-{}-{}", self.id, self.written)
    }
}
