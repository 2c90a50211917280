//! What the nodes say about themselves and their cluster.

use serde::Deserialize;

use crate::{Call, Client, Error};

/// Who a node is (`/v1/node`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Node {
    /// Its identity, 16 hexadecimal digits.
    pub id: String,
    /// Its label.
    pub name: String,
    /// The cluster that it belongs to; `None` while it waits to form or join one.
    #[serde(default)]
    pub cluster_id: Option<String>,
    /// Where clients reach it.
    #[serde(default)]
    pub client_url: String,
    /// Where peers reach it.
    #[serde(default)]
    pub peer_address: String,
    /// Version of its program.
    #[serde(default)]
    pub version: String,
}

/// How a node is doing (`/v1/status`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// `waiting`, `follower`, `learner`, `candidate`, `leader`, `repairing` or `removed`.
    pub role: String,
    /// Its term.
    pub term: u64,
    /// The leader that it knows.
    #[serde(default)]
    pub leader: Option<String>,
    /// Last entry known to be committed.
    pub commit_index: u64,
    /// Last entry applied to the state.
    pub applied_index: u64,
    /// The store's revision on this node.
    pub revision: u64,
    /// Its disk.
    #[serde(default)]
    pub disk: Option<Disk>,
}

/// A node's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// Bytes that its data takes.
    pub used_bytes: u64,
    /// Bytes that are free where its data lies.
    pub free_bytes: u64,
    /// Whether it takes no writes because too little is free.
    pub full: bool,
}

/// The cluster as one node sees it (`/v1/cluster`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Cluster {
    /// Its identity; `None` while the node waits to form or join one.
    #[serde(default)]
    pub id: Option<String>,
    /// The term that the node knows.
    pub term: u64,
    /// Identity of the leader that the node knows.
    #[serde(default)]
    pub leader: Option<String>,
    /// Whether a change of the membership is under way.
    #[serde(default)]
    pub changing: bool,
    /// Distance from losing the quorum.
    pub quorum: Quorum,
    /// The members, by name.
    pub members: Vec<Member>,
}

/// How far a cluster is from losing its quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Quorum {
    /// Members that count.
    pub voters: usize,
    /// Of these, how many were heard of lately.
    pub reachable: usize,
    /// How many are needed.
    pub needed: usize,
}

/// One member as the answering node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Its identity.
    pub id: String,
    /// Its label.
    pub name: String,
    /// `voter` or `learner`.
    pub role: String,
    /// Whether it is a learner that becomes a voter by itself, once it has caught up.
    #[serde(default)]
    pub auto_promote: bool,
    /// Whether its node has not appeared yet: it was named before it ran.
    #[serde(default)]
    pub awaited: bool,
    /// Whether it leads.
    #[serde(default)]
    pub leader: bool,
    /// Where clients reach it; empty while not known.
    #[serde(default)]
    pub client_url: String,
    /// Where peers reach it.
    #[serde(default)]
    pub peer_address: String,
    /// Version of its program, once heard of.
    #[serde(default)]
    pub version: Option<String>,
    /// Last entry that it is known to hold; only the leader knows.
    #[serde(default)]
    pub match_index: Option<u64>,
    /// Entries that it is behind the leader's log; only the leader knows.
    #[serde(default)]
    pub lag: Option<u64>,
    /// Milliseconds since it was last heard of; `None` for never.
    #[serde(default)]
    pub last_contact_ms: Option<u64>,
    /// Its disk, as it last said; `None` while not known.
    #[serde(default)]
    pub disk: Option<Disk>,
}

/// The program that a node runs (`/version`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// Version of the program.
    pub version: String,
}

impl Client {
    /// Who the node is that answers.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn node(&self) -> Result<Node, Error> {
        self.send(&Call::read("/v1/node")).await?.json()
    }

    /// How the node is doing that answers.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.send(&Call::read("/v1/status")).await?.json()
    }

    /// The cluster as the node sees it that answers.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn cluster(&self) -> Result<Cluster, Error> {
        self.send(&Call::read("/v1/cluster")).await?.json()
    }

    /// The program of the node that answers.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn version(&self) -> Result<Version, Error> {
        self.send(&Call::read("/version")).await?.json()
    }
}
