//! Several nodes that form one cluster.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::node::Node;
use super::{PATIENCE, Patience, SECRET, ports};
use crate::history::History;

/// What to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The `remex` program.
    pub binary: PathBuf,
    /// Number of nodes. One node stands alone; several get the same `--join` line and `--expect`.
    pub nodes: usize,
    /// Further arguments of `serve`, the same for each node.
    pub arguments: Vec<String>,
}

/// The nodes of one cluster and the directory that holds all they write.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    directory: Option<TempDir>,
    plan: Plan,
    history: Option<Arc<History>>,
}

impl Cluster {
    /// Gives each node its ports and directory, and starts none.
    ///
    /// # Errors
    /// If there is no room for a directory or no free port.
    pub fn prepare(plan: &Plan) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("remex-cluster-")
            .tempdir()
            .context("making a directory for the cluster")?;
        let mut addresses = Vec::new();
        for _ in 0..plan.nodes {
            addresses.push((ports::free_address()?, ports::free_address()?));
        }
        let peers: Vec<String> = addresses.iter().map(|(_, peer)| peer.to_string()).collect();
        let mut arguments = plan.arguments.clone();
        if plan.nodes > 1 {
            arguments.extend(["--join".to_owned(), peers.join(",")]);
            arguments.extend(["--expect".to_owned(), plan.nodes.to_string()]);
        }
        let mut cluster = Self {
            nodes: Vec::new(),
            directory: Some(directory),
            plan: plan.clone(),
            history: None,
        };
        for addresses in addresses {
            cluster.push(addresses, &arguments);
        }
        Ok(cluster)
    }

    fn push(&mut self, addresses: (SocketAddr, SocketAddr), flags: &[String]) {
        let name = format!("n{}", self.nodes.len() + 1);
        let node = Node::new(&name, &self.plan.binary, self.directory(), addresses, flags);
        self.nodes.push(node);
    }

    /// Adds a node, not started, with flags of its own behind those of the plan. Returns its
    /// number.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn add(&mut self, flags: &[&str]) -> anyhow::Result<usize> {
        let addresses = (ports::free_address()?, ports::free_address()?);
        let mut arguments = self.plan.arguments.clone();
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self.push(addresses, &arguments);
        Ok(self.nodes.len() - 1)
    }

    /// Starts a cluster and waits until every node takes requests.
    ///
    /// # Errors
    /// If a node exits, or is not ready after [`PATIENCE`]; shows the logs.
    pub fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut cluster = Self::prepare(plan)?;
        cluster.nodes.iter_mut().try_for_each(Node::start)?;
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// The nodes, `n1` first.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes, `n1` first.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// One node, counted from 0.
    ///
    /// # Panics
    /// If there are fewer nodes.
    pub fn node(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }

    /// The directory that holds all that the nodes write.
    ///
    /// # Panics
    /// Never: the directory is there until the cluster is dropped.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.as_ref().expect("it is taken only when the cluster is dropped").path()
    }

    /// Also keeps this history if the test fails.
    pub fn keep_history(&mut self, history: Arc<History>) {
        self.history = Some(history);
    }

    /// Waits until every node that runs takes requests.
    ///
    /// # Errors
    /// If one exits, or is not ready after [`PATIENCE`]; shows all logs.
    pub fn wait_ready(&mut self) -> anyhow::Result<()> {
        let mut running = self.nodes.iter_mut().filter(|node| node.is_started());
        let outcome = running.try_for_each(Node::wait_ready);
        outcome.with_context(|| self.log_tails())
    }

    /// The node that leads in the highest term, if any says that it does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let leads = |(index, node): (usize, &Node)| {
            let status = node.look("/v1/status").ok()?.json().ok()?;
            (status["role"] == "leader").then(|| (status["term"].as_u64(), index))
        };
        let leaders = self.nodes.iter().enumerate().filter(|(_, node)| node.is_started());
        leaders.filter_map(leads).max().map(|(_, index)| index)
    }

    /// Waits until some node leads.
    ///
    /// # Errors
    /// If none does within [`PATIENCE`]; shows all logs.
    pub fn wait_leader(&self) -> anyhow::Result<usize> {
        let mut patience = Patience::default();
        loop {
            if let Some(leader) = self.leader() {
                return Ok(leader);
            }
            if !patience.pause() {
                bail!("no node leads after {PATIENCE:?}\n{}", self.log_tails());
            }
        }
    }

    /// The end of every node's outputs, for messages.
    #[must_use]
    pub fn log_tails(&self) -> String {
        self.nodes.iter().map(|node| node.logs().tail()).collect()
    }

    /// The outputs that hold [`SECRET`], which only values do: no value may ever be logged.
    fn leaks(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory()).into_iter().flatten().flatten();
        let is_output = |path: &PathBuf| {
            path.extension().is_some_and(|extension| extension == "stdout" || extension == "stderr")
        };
        let outputs = entries.map(|entry| entry.path()).filter(is_output);
        let leaks = |path: &PathBuf| {
            fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(SECRET))
        };
        outputs.filter(leaks).collect()
    }

    fn keep_bundle(&mut self) {
        let Some(directory) = self.directory.take() else { return };
        let path = directory.keep();
        let mut report = format!("failure bundle: {}\n", path.display());
        if let Some(history) = &self.history
            && let Err(error) = history.write_ndjson(&path.join("history.ndjson"))
        {
            report.push_str(&format!("the history is missing there: {error:#}\n"));
        }
        // Nobody is left to tell if standard error is closed.
        std::io::stderr().write_all(report.as_bytes()).ok();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        if thread::panicking() {
            self.keep_bundle();
            return;
        }
        let leaks = self.leaks();
        if !leaks.is_empty() {
            self.keep_bundle();
            panic!("values stand in {leaks:?}");
        }
    }
}
