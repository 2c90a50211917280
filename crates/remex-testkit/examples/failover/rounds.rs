//! The leader dies, round after round.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use remex_testkit::http::HttpClient;

use crate::systems::{Dialect, System};
use crate::{PATIENCE, ms, summary, wait_leader};

/// How a leader is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Its process dies: whoever is connected to it is told by the system.
    Killed,
    /// It falls silent: only time tells.
    Silent,
}

impl Loss {
    fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Silent => "silent",
        }
    }
}

pub(crate) const HEADING: &str = "\
| system, leader | round | longest request ms | of clients of living nodes ms | without a write ms | writes/s before |
|---|---|---|---|---|---|";

/// Clients that prefer each node.
const CLIENTS_A_NODE: usize = 2;

/// Load before the kill, and after writes have come back.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(3);

/// Pause between two requests of a client: the load is there to feel the gap, not to fill the
/// machine.
const THINK_TIME: Duration = Duration::from_millis(5);

/// One acknowledged request.
struct Done {
    begin: Instant,
    end: Instant,
    node: usize,
}

/// Kills the leader again and again, and prints a line for each time.
pub(crate) fn measure(
    name: &str,
    system: &mut dyn System,
    rounds: usize,
    loss: Loss,
) -> anyhow::Result<()> {
    let name = format!("{name}, {}", loss.as_str());
    let (mut longest, mut living, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=rounds {
        let round = play(system, number, loss)?;
        println!(
            "| {name} | {number} | {} | {} | {} | {:.0} |",
            round.longest.map_or("-".to_owned(), ms),
            ms(round.living),
            ms(round.gap),
            round.rate
        );
        longest.extend(round.longest);
        living.push(round.living);
        gaps.push(round.gap);
    }
    let cells = [longest, living, gaps].map(|durations| match summary(durations) {
        Some((median, most)) => format!("{} (at most {})", ms(median), ms(most)),
        None => "-".to_owned(),
    });
    println!("| **{name}** | median | {} | |", cells.join(" | "));
    Ok(())
}

struct Round {
    /// Unknown if clients of the lost leader waited for it.
    longest: Option<Duration>,
    living: Duration,
    gap: Duration,
    rate: f64,
}

fn play(system: &mut dyn System, number: usize, loss: Loss) -> anyhow::Result<Round> {
    system.wait_ready()?;
    let (dialect, addresses) = (system.dialect(), system.addresses());
    let leader = wait_leader(system)?;
    let stop = AtomicBool::new(false);
    let (done, killed) = thread::scope(|scope| {
        let (addresses, stop) = (&addresses, &stop);
        let clients: Vec<_> = (0..addresses.len() * CLIENTS_A_NODE)
            .map(|id| scope.spawn(move || work(dialect, addresses, number * 10 + id, stop)))
            .collect();
        thread::sleep(BEFORE);
        let killed = Instant::now();
        let outcome = match loss {
            Loss::Killed => system.kill(leader),
            Loss::Silent => system.pause(leader),
        };
        // Writes are back when a put through any node that lives is acknowledged.
        let through = addresses[(leader + 1) % addresses.len()];
        let mut client = HttpClient::new(through, PATIENCE);
        while !matches!(dialect.put(&mut client, "AAAAAAAA"), Ok(true)) {
            thread::sleep(THINK_TIME);
        }
        thread::sleep(AFTER);
        stop.store(true, Ordering::Relaxed);
        // Those that wait for it can end.
        let outcome = match loss {
            Loss::Killed => outcome,
            Loss::Silent => outcome.and_then(|()| system.resume(leader)),
        };
        let done: Vec<Done> =
            clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        outcome.map(|()| (done, killed))
    })?;
    if loss == Loss::Killed {
        system.start(leader)?;
    }
    Ok(judge(done, killed, leader, loss))
}

/// A client that prefers one node, and asks the next when that one refuses or is gone.
fn work(dialect: Dialect, addresses: &[SocketAddr], id: usize, stop: &AtomicBool) -> Vec<Done> {
    let preferred = id % addresses.len();
    let mut clients: Vec<HttpClient> =
        addresses.iter().map(|address| HttpClient::new(*address, PATIENCE)).collect();
    let mut done = Vec::new();
    let mut node = preferred;
    while !stop.load(Ordering::Relaxed) {
        // Eight characters of base64.
        let key = format!("{:04}{:04}", id % 10_000, done.len() % 10_000);
        let begin = Instant::now();
        while !matches!(dialect.put(&mut clients[node], &key), Ok(true)) {
            node = (node + 1) % addresses.len();
            thread::sleep(Duration::from_millis(1));
        }
        done.push(Done { begin, end: Instant::now(), node: preferred });
        thread::sleep(THINK_TIME);
    }
    done
}

fn judge(mut done: Vec<Done>, killed: Instant, leader: usize, loss: Loss) -> Round {
    done.sort_unstable_by_key(|done| done.end);
    let before = done.iter().filter(|done| done.end < killed).count();
    let took = |done: &Done| done.end - done.begin;
    let longest = done.iter().map(took).max().filter(|_| loss == Loss::Killed);
    let living = done.iter().filter(|done| done.node != leader).map(took).max();
    let gap = done.windows(2).map(|pair| pair[1].end - pair[0].end).max().unwrap_or_default();
    let rate = before as f64 / BEFORE.as_secs_f64();
    Round { longest, living: living.unwrap_or_default(), gap, rate }
}
