//! What a node is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use remex_model::Limits;

/// Settings of one node. [`Config::new`] gives a one-node cluster on loopback; the fields are
/// public so that a program changes only what it cares about.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's label; by default the host name, or `node`.
    pub name: Option<String>,
    /// Where everything is kept. Created if it does not exist; locked while the node runs.
    pub data_dir: PathBuf,
    /// Where peers connect. Port 0 takes any free port.
    pub peer_listen: SocketAddr,
    /// Where peers are told to connect, as `host:port`; by default the address listened on.
    pub peer_advertise: Option<String>,
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
    /// Size of one log segment, in bytes; on a small disk it is less.
    pub segment_bytes: u64,
    /// Bytes of the log that are kept for members that are behind, although their effect is in the
    /// engine. A member that is further behind is sent a snapshot.
    pub log_keep_bytes: u64,
    /// Size at which the write buffer of the state is written to disk, in bytes; on a small disk it
    /// is less.
    pub buffer_bytes: usize,
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
            peer_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            peer_advertise: None,
            client_url: String::new(),
            join: Vec::new(),
            expect: None,
            wait: false,
            limits: Limits::default(),
            heartbeat_ms: 100,
            election_timeout_ms: 750,
            segment_bytes: 64 * 1024 * 1024,
            log_keep_bytes: 64 * 1024 * 1024,
            buffer_bytes: 32 * 1024 * 1024,
            pending_bytes_max: 64 * 1024 * 1024,
        }
    }
}
