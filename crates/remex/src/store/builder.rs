//! Starting a node.

use std::path::PathBuf;
use std::time::Duration;

use remex_model::Limits;

use super::Store;
use super::handle::Deadlines;
use crate::{Config, Node, OpenError};

/// Says where a node lives and whom it knows, and opens it. Every method has a default; without any
/// of them [`Builder::open`] makes the directory a cluster of one node, or goes on with what it is.
///
/// Messages of errors name settings as the server's command line does: `--data-dir` is the
/// directory, `--peer-listen` is [`Builder::listen`], any other one is the method of its name or a
/// field of [`Config`].
#[derive(Debug)]
#[must_use = "nothing happens before `open`"]
pub struct Builder {
    config: Config,
    listen: Option<String>,
    deadlines: Deadlines,
}

impl Builder {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { config: Config::new(directory), listen: None, deadlines: Deadlines::default() }
    }

    /// The node's label, by which members are named: the host's name by default. Nodes of one
    /// cluster that share a host need names of their own. A node keeps its name for ever.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = Some(name.into());
        self
    }

    /// Where other nodes connect, as `host:port`; the one port that a node needs. By default any free
    /// port of loopback, which is right for a node that stays alone. Nodes that are to find each
    /// other again after all of them were stopped need a port that stays the same.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Where other nodes are told to connect, as `host:port`, if that is not where this node
    /// listens: behind a proxy, or when it listens on all interfaces.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.config.peer_advertise = Some(address.into());
        self
    }

    /// Asks the nodes at these addresses to take this node into their cluster, until one does. Of no
    /// effect once the node is a member, so the same program is right at every start.
    pub fn join<A: Into<String>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.config.join = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// With [`Builder::join`]: as soon as this many of the nodes see each other, they found a cluster
    /// together, unless there is one already. Every node is given the same addresses and number, in
    /// any order of starting.
    pub fn expect(mut self, nodes: usize) -> Self {
        self.config.expect = Some(nodes);
        self
    }

    /// In a fresh directory: neither found a cluster nor ask to join one, but wait for another node's
    /// [`Store::join`].
    pub fn wait(mut self) -> Self {
        self.config.wait = true;
        self
    }

    /// Limits on keys, values and batches.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// How long a call that reads or writes may take. 5 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadlines.data = timeout;
        self
    }

    /// How long [`Store::join`], [`Store::leave`] and [`Store::remove`] may take: a node that joins
    /// gets all the data first. 60 s by default.
    pub fn members_timeout(mut self, timeout: Duration) -> Self {
        self.deadlines.members = timeout;
        self
    }

    /// Changes any other setting.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Opens the directory, which is made if it does not exist, recovers what it holds, and starts
    /// the node. Returns as soon as it listens: the node may still be about to find its cluster or
    /// a leader. Calls wait for that within their deadlines; so does [`Store::ready`].
    ///
    /// Must be called within a tokio runtime, of either flavor, with `enable_all`; the node's tasks run
    /// there until the store is closed or dropped.
    ///
    /// # Errors
    /// If the settings contradict each other, the directory cannot be used or recovered or is in
    /// use, or the address cannot be listened on. The message is one line that ends in a remedy.
    pub async fn open(self) -> Result<Store, OpenError> {
        let Self { mut config, listen, deadlines } = self;
        if let Some(listen) = listen {
            let found = tokio::net::lookup_host(&listen).await;
            config.peer_listen =
                found.ok().and_then(|mut found| found.next()).ok_or_else(|| {
                    OpenError::Config(format!(
                        "`{listen}` is not an address to listen on; give one as host:port, such as \
                     127.0.0.1:7481"
                    ))
                })?;
        }
        let node = Node::open(config).await?;
        Ok(Store::new(node, deadlines))
    }
}
