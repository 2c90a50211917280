//! The series of a node, for the port `Admin`. `docs/metrics.md` says what each means.

use std::fs;
use std::sync::PoisonError;
use std::time::SystemTime;

use remex_consensus::Role;
use remex_engine::Engine;
use remex_model::{Metric, MetricKind, MetricValue, NodeId, Series};

use crate::board::Snapshot;
use crate::cluster::VERSION;
use crate::house::House;
use crate::meters::{Meters, REPAIRS};
use crate::running::Running;

/// Everything that the node measures.
pub(crate) fn collect(house: &House) -> Vec<Metric> {
    let mut metrics = Vec::with_capacity(48);
    let version = vec![("version", VERSION.to_owned())];
    metrics.push(labelled(
        "remex_build_info",
        "Always 1; the label names the version of the program.",
        MetricKind::Gauge,
        vec![(version, 1.0)],
    ));
    counted(&house.meters, &mut metrics);
    let running = house.door.running();
    let snapshot = house.board.snapshot();
    consensus(&snapshot, &mut metrics);
    storage(running.as_deref(), &snapshot, &mut metrics);
    if let Some(running) = &running {
        members(running, &snapshot, &mut metrics);
    }
    // For dashboards that are to work once there are some.
    metrics.push(Metric::gauge("remex_watchers", "Watchers of this node's clients.", 0.0));
    metrics.push(Metric::gauge("remex_slow_watchers", "Watchers that are behind.", 0.0));
    metrics.push(Metric::gauge("remex_leases", "Leases that are in force.", 0.0));
    process(house, &mut metrics);
    metrics
}

fn counted(meters: &Meters, metrics: &mut Vec<Metric>) {
    let counters = [
        (
            "remex_leader_changes_total",
            "Leaders that this node has come to know, one after another.",
            &meters.leader_changes,
        ),
        (
            "remex_proposals_failed_total",
            "Writes of this node's clients that ended without a known success.",
            &meters.proposals_failed,
        ),
        (
            "remex_snapshots_sent_total",
            "Snapshots that other members fetched from this node.",
            &meters.snapshots_sent,
        ),
        (
            "remex_snapshots_installed_total",
            "Snapshots that took the place of this node's engine.",
            &meters.snapshots_installed,
        ),
        (
            "remex_state_mismatches_total",
            "Differences found between the states of members; must stay 0.",
            &meters.state_mismatches,
        ),
    ];
    for (name, help, count) in counters {
        metrics.push(Metric::counter(name, help, number(count.get())));
    }
    let repairs = REPAIRS.map(|cause| {
        (vec![("cause", cause.as_str().to_owned())], number(meters.repairs(cause).get()))
    });
    metrics.push(labelled(
        "remex_repairs_total",
        "Times that this node fetched from others what its disk had lost.",
        MetricKind::Counter,
        repairs.into(),
    ));
    let durations = [
        ("remex_log_sync_seconds", "Writing and syncing the log.", &meters.log_sync),
        (
            "remex_commit_seconds",
            "From the admission of a write to its outcome, on the node that took it.",
            &meters.commit,
        ),
    ];
    for (name, help, durations) in durations {
        let series = vec![Series { labels: Vec::new(), value: durations.value() }];
        metrics.push(Metric { name, help, kind: MetricKind::Histogram, series });
    }
}

fn consensus(snapshot: &Snapshot, metrics: &mut Vec<Metric>) {
    let leadership = snapshot.leadership;
    let gauges = [
        (
            "remex_has_leader",
            "1 if this node knows a leader.",
            u64::from(leadership.leader.is_some()),
        ),
        ("remex_is_leader", "1 if this node leads.", u64::from(leadership.role == Role::Leader)),
        ("remex_term", "The term that this node knows.", leadership.term.get()),
        ("remex_commit_index", "Last entry known to be committed.", snapshot.commit.get()),
        ("remex_applied_index", "Last entry that was applied.", snapshot.applied.get()),
        ("remex_log_first_index", "First entry that the log holds.", snapshot.log_first.get()),
        ("remex_log_last_index", "Last entry of the log.", snapshot.last.get()),
        ("remex_proposals_pending", "Requests that wait for their outcome.", snapshot.pending),
    ];
    for (name, help, value) in gauges {
        metrics.push(Metric::gauge(name, help, number(value)));
    }
}

fn storage(running: Option<&Running>, snapshot: &Snapshot, metrics: &mut Vec<Metric>) {
    let (mut revision, mut oldest, mut durable, mut buffer) = (0, 0, 0, 0);
    let (mut engine_bytes, mut reclaimable_bytes) = (0, 0);
    if let Some(running) = running {
        let state = running.state.read().unwrap_or_else(PoisonError::into_inner);
        (revision, oldest) = (state.revision().get(), state.oldest_revision().get());
        (durable, buffer) = (state.durable().get(), state.buffer_bytes() as u64);
        drop(state);
        engine_bytes = running.engine.disk_bytes();
        reclaimable_bytes = running.engine.reclaimable_bytes();
    }
    let gauges = [
        ("remex_revision", "The store's revision on this node.", revision),
        ("remex_oldest_revision", "Oldest revision that can be read.", oldest),
        ("remex_durable_index", "Last entry whose effect is in the engine.", durable),
        ("remex_buffer_bytes", "Changes that are not in the engine yet.", buffer),
        ("remex_log_disk_bytes", "Files of the log.", snapshot.log_bytes),
        ("remex_engine_disk_bytes", "Files of the engine.", engine_bytes),
        (
            "remex_engine_reclaimable_bytes",
            "About how much of them compaction will give back by itself.",
            reclaimable_bytes,
        ),
        ("remex_disk_free_bytes", "Free where the data lies.", snapshot.disk.free_bytes),
        (
            "remex_disk_full",
            "1 if puts are refused because too little is free.",
            u64::from(snapshot.disk.full),
        ),
    ];
    for (name, help, value) in gauges {
        metrics.push(Metric::gauge(name, help, number(value)));
    }
}

fn members(running: &Running, snapshot: &Snapshot, metrics: &mut Vec<Metric>) {
    let (cluster, membership) = (&running.cluster, running.board.membership());
    let voters = membership.voters().count();
    let roles = [("voter", voters), ("learner", membership.len() - voters)];
    let roles = roles.map(|(role, count)| (vec![("role", role.to_owned())], number(count as u64)));
    let gauge = MetricKind::Gauge;
    metrics.push(labelled("remex_members", "Members by role.", gauge, roles.into()));
    let quorum = crate::overview::quorum(cluster, &membership.voters().collect::<Vec<_>>());
    let margin = quorum.margin().map_or(-1.0, |margin| number(margin as u64));
    metrics.push(Metric::gauge(
        "remex_quorum_margin",
        "Reachable voters that can be lost before writes stop; -1 if they have stopped.",
        margin,
    ));
    let lag = |id: NodeId| {
        let progress = snapshot.progress.iter().find(|progress| progress.id == id)?;
        Some(snapshot.last.get().saturating_sub(progress.matched.get()))
    };
    let (mut connected, mut failures, mut trips, mut lags) = (vec![], vec![], vec![], vec![]);
    for peer in cluster.peers().values() {
        let label = || vec![("peer", cluster.name(peer.id))];
        connected.push((label(), number(u64::from(peer.is_connected()))));
        failures.push((label(), number(peer.link.failures())));
        trips.extend(peer.round_trip_us().map(|us| (label(), number(us) / 1e6)));
        lags.extend(lag(peer.id).map(|entries| (label(), number(entries))));
    }
    let connected_help = "1 if the peer's connection is open.";
    metrics.push(labelled("remex_peer_connected", connected_help, gauge, connected));
    let failures_help = "Connections to the peer that broke, and frames that it did not take.";
    let counter = MetricKind::Counter;
    metrics.push(labelled("remex_peer_send_failures_total", failures_help, counter, failures));
    let trips_help = "Last round trip to the peer.";
    metrics.push(labelled("remex_peer_rtt_seconds", trips_help, gauge, trips));
    let lags_help = "Entries that the peer is behind; only on the leader.";
    metrics.push(labelled("remex_peer_lag_entries", lags_help, gauge, lags));
}

/// What Prometheus' own clients say about their process, by the names that they use.
fn process(house: &House, metrics: &mut Vec<Metric>) {
    let open_fds = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as u64;
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let gauges = [
        ("process_open_fds", "Open file descriptors.", open_fds),
        ("process_max_fds", "Most file descriptors.", limits.current.unwrap_or(0)),
        ("process_resident_memory_bytes", "Memory in use.", resident_bytes().unwrap_or(0)),
    ];
    for (name, help, value) in gauges {
        metrics.push(Metric::gauge(name, help, number(value)));
    }
    let spent = cpu_seconds().unwrap_or(0.0);
    metrics.push(Metric::counter("process_cpu_seconds_total", "User and system time.", spent));
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let started = since_epoch.unwrap_or_default().saturating_sub(house.started.elapsed());
    let (name, help) = ("process_start_time_seconds", "When the process started, since 1970.");
    metrics.push(Metric::gauge(name, help, started.as_secs_f64()));
}

fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(number(user + system) / number(rustix::param::clock_ticks_per_second()))
}

fn labelled(
    name: &'static str,
    help: &'static str,
    kind: MetricKind,
    series: Vec<(Vec<(&'static str, String)>, f64)>,
) -> Metric {
    let series = series
        .into_iter()
        .map(|(labels, value)| Series { labels, value: MetricValue::Number(value) })
        .collect();
    Metric { name, help, kind, series }
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 the last digits do not matter")]
fn number(value: u64) -> f64 {
    value as f64
}
