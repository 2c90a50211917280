//! What a node is started with, and how its settings must fit together.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use remex_model::Limits;

use crate::{OpenError, parts};

/// Longest time that a setting of the pace of the cluster may name: ten minutes, in milliseconds.
/// Longer ones are slips of a unit, and times three still far from any overflow.
const TIME_MAX_MS: u64 = 600_000;

/// Settings of one node. [`Config::new`] gives a one-node cluster on loopback; the fields are
/// public so that a program changes only what it cares about.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's label; by default the host name, or `node`.
    pub name: Option<String>,
    /// Where everything is kept that has no folder of its own below. Created if it does not exist;
    /// locked while the node runs.
    pub data_dir: PathBuf,
    /// A folder for the log elsewhere than in `data_dir`, for example on a faster disk. It is given
    /// once, at the first start, and remembered in `data_dir`: later starts may leave it out, but
    /// not name another. The same holds for the two below.
    pub log_dir: Option<PathBuf>,
    /// A folder for the state machine's store elsewhere than in `data_dir`.
    pub engine_dir: Option<PathBuf>,
    /// A folder for snapshots that are made, fetched or wait to be installed elsewhere than in
    /// `data_dir`.
    pub snapshot_dir: Option<PathBuf>,
    /// Where peers connect. Port 0 takes any free port.
    pub peer_listen: SocketAddr,
    /// Where peers are told to connect, as `host:port`; by default the address listened on.
    pub peer_advertise: Option<String>,
    /// Whether the node has no listener of its own for peers, because whoever runs it hands it the
    /// connections that peers open on another port. `peer_listen` is then not listened on: it is
    /// what peers are told unless `peer_advertise` says otherwise, so its port must not be 0.
    pub single_port: bool,
    /// Where clients are told to connect, as a URL. Only passed on to clients and peers.
    pub client_url: String,
    /// Peer addresses (`host:port`) of nodes of the cluster to join, or with `expect` of the nodes to
    /// form a cluster with; may include this one. Of no effect once the node is a member.
    pub join: Vec<String>,
    /// With `join`: found a cluster as soon as this many nodes see each other, unless there is one
    /// already.
    pub expect: Option<usize>,
    /// In a fresh directory: neither found a cluster nor ask to join one, but wait to be invited.
    pub wait: bool,
    /// Limits on requests.
    pub limits: Limits,
    /// Pause between two heartbeats of the leader, in milliseconds.
    pub heartbeat_ms: u64,
    /// A follower that hears nothing for this long stands for election, in milliseconds; the
    /// actual time is drawn between once and one and a half times this.
    pub election_timeout_ms: u64,
    /// Longest time to connect to a peer, to exchange greetings, and for a small question to it, in
    /// milliseconds. A peer that is silent for three times this is disconnected.
    pub peer_timeout_ms: u64,
    /// A write or read that this node passes to the leader is given up after this long, in
    /// milliseconds: the outcome of the write is then unknown. `None` for the request's own
    /// deadline alone.
    pub forward_timeout_ms: Option<u64>,
    /// Failed attempts to connect to a peer, one after the other, after which it is said to be
    /// unreachable in the log, once. Attempts go on at the longest pause.
    pub connect_retries: u32,
    /// Pause after the first failed attempt to connect to a peer, in milliseconds. It doubles with
    /// each further one...
    pub connect_pause_ms: u64,
    /// ...up to this, in milliseconds.
    pub connect_pause_max_ms: u64,
    /// Size of one log segment, in bytes; on a small disk it is less.
    pub segment_bytes: u64,
    /// Bytes of the log that are kept for members that are behind, although their effect is in the
    /// engine. A member that is further behind is sent a snapshot.
    pub log_keep_bytes: u64,
    /// Size at which the write buffer of the state is written to disk, in bytes; on a small disk it
    /// is less.
    pub buffer_bytes: usize,
    /// Bytes of the past that are kept, before compression; on a small disk it is less. What lies
    /// further back can neither be read at its revision nor followed any more. With 0 nothing
    /// but the present can be read, and nothing be followed.
    pub history_bytes: u64,
    /// Age up to which the past is kept, if it is not too large, in milliseconds.
    pub history_age_ms: u64,
    /// Most bytes of requests that may wait inside the node before new ones are turned away.
    pub pending_bytes_max: usize,
}

impl Config {
    /// A node of its own in `data_dir`, listening for peers on any free port of loopback.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            name: None,
            data_dir: data_dir.into(),
            log_dir: None,
            engine_dir: None,
            snapshot_dir: None,
            peer_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            peer_advertise: None,
            single_port: false,
            client_url: String::new(),
            join: Vec::new(),
            expect: None,
            wait: false,
            limits: Limits::default(),
            heartbeat_ms: 100,
            election_timeout_ms: 750,
            peer_timeout_ms: 5_000,
            forward_timeout_ms: None,
            connect_retries: 5,
            connect_pause_ms: 50,
            connect_pause_max_ms: 1_000,
            segment_bytes: 64 * 1024 * 1024,
            log_keep_bytes: 64 * 1024 * 1024,
            buffer_bytes: 32 * 1024 * 1024,
            history_bytes: 1024 * 1024 * 1024,
            history_age_ms: 24 * 60 * 60 * 1000,
            pending_bytes_max: 64 * 1024 * 1024,
        }
    }

    /// Checks that the settings fit together. [`Node::open`](crate::Node::open) does so, too.
    ///
    /// # Errors
    /// [`OpenError::Config`], a line that names both settings with their values and ends in a remedy.
    pub fn check(&self) -> Result<(), OpenError> {
        let checks = [check_forming, check_sizes, check_pace, check_peers];
        checks.into_iter().try_for_each(|check| check(self)).map_err(OpenError::Config)
    }
}

fn check_forming(config: &Config) -> Result<(), String> {
    if let Some(expect) = config.expect.filter(|expect| 2 * expect <= config.join.len()) {
        return Err(format!(
            "--expect {expect} is at most half of the {} addresses in --join: two halves could found \
             two clusters; expect more than half of them",
            config.join.len()
        ));
    }
    check_outsider(config)?;
    if config.expect.is_some() && config.join.is_empty() {
        return Err("--expect needs --join with the peer addresses of all nodes".to_owned());
    }
    if config.expect == Some(0) {
        return Err("--expect must be at least 1".to_owned());
    }
    if config.wait && !config.join.is_empty() {
        return Err("--wait does nothing until the node is invited, and --join asks to be taken \
                    in: give one of them"
            .to_owned());
    }
    Ok(())
}

/// A node that is not in the list itself sees the listed ones and itself: two such nodes must not be
/// enough to found two clusters with half of the list each.
fn check_outsider(config: &Config) -> Result<(), String> {
    let Some(expect) = config.expect.filter(|&expect| expect > 0) else { return Ok(()) };
    let listen = config.peer_listen.to_string();
    let own = config.peer_advertise.as_ref().unwrap_or(&listen);
    let listed = config.join.len();
    if listed == 0 || config.join.contains(own) || 2 * (expect - 1) > listed {
        return Ok(());
    }
    Err(format!(
        "--expect {expect} of {listed} addresses in --join, none of which is this node's ({own}): \
         two nodes beside the list could found two clusters; list this node too, by the address \
         that --peer-advertise gives, or expect more"
    ))
}

fn check_sizes(config: &Config) -> Result<(), String> {
    config.limits.check()?;
    let entry_bytes_max = parts::entry_bytes_max(config);
    let room = parts::segment_room(config.segment_bytes);
    if entry_bytes_max > room {
        return Err(format!(
            "a request can take {entry_bytes_max} bytes of the log, but a segment of {} bytes \
             holds entries of {room}; lower max-request-bytes or take larger segments",
            config.segment_bytes
        ));
    }
    Ok(())
}

/// How often the leader is heard, and how long it may be silent.
fn check_pace(config: &Config) -> Result<(), String> {
    let (heartbeat_ms, election_timeout_ms) = (config.heartbeat_ms, config.election_timeout_ms);
    if heartbeat_ms == 0 {
        return Err(
            "the heartbeat is 0 ms: choose at least 1 ms (100 ms is the default)".to_owned()
        );
    }
    if heartbeat_ms.saturating_mul(3) > election_timeout_ms {
        return Err(format!(
            "the election timeout ({election_timeout_ms} ms) must be at least three heartbeats (of \
             {heartbeat_ms} ms), or every late heartbeat starts an election; raise \
             --election-timeout or lower --heartbeat"
        ));
    }
    if election_timeout_ms > TIME_MAX_MS {
        return Err(format!(
            "an election timeout of {election_timeout_ms} ms leaves the cluster without a leader \
             for as long: choose at most {TIME_MAX_MS} ms for --election-timeout"
        ));
    }
    Ok(())
}

/// How long peers are waited for, and when they are tried again.
fn check_peers(config: &Config) -> Result<(), String> {
    let (peer_timeout_ms, heartbeat_ms) = (config.peer_timeout_ms, config.heartbeat_ms);
    if peer_timeout_ms <= heartbeat_ms {
        return Err(format!(
            "the peer timeout ({peer_timeout_ms} ms) must be longer than a heartbeat \
             ({heartbeat_ms} ms), or peers that only have nothing to say are disconnected; raise \
             --peer-timeout or lower --heartbeat"
        ));
    }
    if peer_timeout_ms > TIME_MAX_MS {
        return Err(format!(
            "a peer timeout of {peer_timeout_ms} ms is too long to notice a peer that is gone: \
             choose at most {TIME_MAX_MS} ms for --peer-timeout"
        ));
    }
    if config.forward_timeout_ms == Some(0) {
        return Err("a forward timeout of 0 ms gives every request up that another node leads: \
                    choose a longer one, or none for the request's own deadline"
            .to_owned());
    }
    if config.connect_retries == 0 {
        return Err(
            "connect retries must be at least 1: it is the number of failed attempts after \
                    which a peer is said to be unreachable"
                .to_owned(),
        );
    }
    let (pause_ms, pause_max_ms) = (config.connect_pause_ms, config.connect_pause_max_ms);
    if pause_ms == 0 {
        return Err(
            "a first connect pause of 0 ms keeps a core busy while a peer is away: choose \
                    at least 1 ms (50 ms is the default)"
                .to_owned(),
        );
    }
    if pause_ms > pause_max_ms {
        return Err(format!(
            "the first connect pause ({pause_ms} ms) is longer than the longest one \
             ({pause_max_ms} ms); lower --connect-pause or raise \
             --connect-pause-max"
        ));
    }
    if pause_max_ms > TIME_MAX_MS {
        return Err(format!(
            "a longest connect pause of {pause_max_ms} ms keeps a peer away that is back: choose \
             at most {TIME_MAX_MS} ms for --connect-pause-max"
        ));
    }
    if config.single_port && config.peer_listen.port() == 0 && config.peer_advertise.is_none() {
        return Err(format!(
            "with a single port, peers are told {}, and nobody can connect to port 0: name the port \
             in peer_listen, or the address in peer_advertise",
            config.peer_listen
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::new("unused");
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_fit_together() {
        Config::new("unused").check().unwrap();
    }

    #[test]
    fn a_refusal_names_both_values() {
        let text = refusal(|config| config.heartbeat_ms = 251);
        assert!(text.contains("750 ms") && text.contains("251 ms"), "{text}");
        let text = refusal(|config| config.peer_timeout_ms = 100);
        assert!(text.contains("timeout (100 ms)") && text.contains("heartbeat (100 ms)"), "{text}");
        let text = refusal(|config| config.connect_pause_ms = 1_001);
        assert!(text.contains("1001 ms") && text.contains("1000 ms"), "{text}");
        let text = refusal(|config| {
            config.join = vec!["a:1".to_owned(), "b:1".to_owned()];
            config.expect = Some(1);
        });
        assert!(text.contains("--expect 1") && text.contains("2 addresses"), "{text}");
    }

    #[test]
    fn nodes_beside_the_list_cannot_found_two_clusters() {
        let config = |own: &str, expect| {
            let mut config = Config::new("unused");
            config.peer_advertise = Some(own.to_owned());
            config.join = ["a:1", "b:1", "c:1"].map(str::to_owned).to_vec();
            config.expect = Some(expect);
            config
        };
        config("a:1", 2).check().unwrap();
        config("d:1", 3).check().unwrap();
        let text = config("d:1", 2).check().unwrap_err().to_string();
        assert!(text.contains("--expect 2 of 3") && text.contains("d:1"), "{text}");
    }

    #[test]
    fn the_bounds_themselves_are_allowed_and_what_lies_beyond_is_not() {
        let mut config = Config::new("unused");
        config.heartbeat_ms = 250;
        config.peer_timeout_ms = 251;
        config.connect_pause_ms = 1_000;
        config.forward_timeout_ms = Some(1);
        config.connect_retries = 1;
        config.check().unwrap();

        for change in [
            (|config| config.heartbeat_ms = 0) as fn(&mut Config),
            |config| config.heartbeat_ms = u64::MAX,
            |config| config.election_timeout_ms = TIME_MAX_MS + 1,
            |config| config.peer_timeout_ms = 0,
            |config| config.peer_timeout_ms = TIME_MAX_MS + 1,
            |config| config.forward_timeout_ms = Some(0),
            |config| config.connect_retries = 0,
            |config| config.connect_pause_ms = 0,
            |config| config.connect_pause_max_ms = TIME_MAX_MS + 1,
            |config| config.single_port = true,
        ] {
            refusal(change);
        }
    }

    #[test]
    fn a_single_port_needs_an_address_that_peers_can_be_told() {
        let mut config = Config::new("unused");
        config.single_port = true;
        config.peer_listen.set_port(8500);
        config.check().unwrap();
        config.peer_listen.set_port(0);
        config.peer_advertise = Some("n1.example:8500".to_owned());
        config.check().unwrap();
    }
}
