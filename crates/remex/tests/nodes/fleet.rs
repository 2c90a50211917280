//! Nodes that come and go, by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remex::{Config, Node, OpenError};
use remex_model::{
    ClusterView, Error, Limits, MemberRequest, MemberRole, MemberStep, MemberView, Service,
};

use super::{PATIENCE, config, free_addresses, put};

/// Nodes with tiny logs: whoever misses a little needs a snapshot.
pub(crate) struct Fleet {
    folder: tempfile::TempDir,
    addresses: BTreeMap<&'static str, String>,
    nodes: BTreeMap<&'static str, Node>,
}

impl Fleet {
    pub(crate) fn new(names: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let addresses = names.iter().copied().zip(free_addresses(names.len())).collect();
        Self { folder, addresses, nodes: BTreeMap::new() }
    }

    /// A cluster of all names, founded together.
    pub(crate) async fn founded(names: &[&'static str]) -> Self {
        let mut fleet = Self::new(names);
        for &name in names {
            fleet.start(name).await;
        }
        for name in names {
            put(&fleet.service(name), &format!("hello-{name}"), "x").await;
        }
        fleet
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn address(&self, name: &str) -> String {
        self.addresses[name].clone()
    }

    /// The settings of a node that founds a cluster with all others.
    pub(crate) fn config(&self, name: &'static str) -> Config {
        Config {
            name: Some(name.to_owned()),
            peer_listen: self.addresses[name].parse().expect("an address"),
            join: self.addresses.values().cloned().collect(),
            expect: Some(self.addresses.len()),
            segment_bytes: 1024 * 1024,
            limits: Limits {
                request_bytes_max: 64 * 1024,
                batch_writes_max: 64,
                ..Limits::default()
            },
            log_keep_bytes: 0,
            buffer_bytes: 256 * 1024,
            ..config(&self.directory(name))
        }
    }

    pub(crate) async fn start(&mut self, name: &'static str) {
        self.start_with(self.config(name)).await;
    }

    pub(crate) async fn start_with(&mut self, config: Config) {
        let name = config.name.clone().expect("every node of a fleet has a name");
        let node = self.try_start(config).await.expect("the node opens");
        let name = self.addresses.keys().find(|known| **known == name).expect("a known name");
        self.nodes.insert(name, node);
    }

    /// A node that was dropped gives its port back when its tasks have ended.
    pub(crate) async fn try_start(&self, config: Config) -> Result<Node, OpenError> {
        let begin = Instant::now();
        loop {
            match Node::open(config.clone()).await {
                Err(OpenError::Listen { .. }) if begin.elapsed() < PATIENCE => {
                    tokio::task::yield_now().await;
                }
                opened => return opened,
            }
        }
    }

    /// Like a crash.
    pub(crate) fn kill(&mut self, name: &str) {
        drop(self.nodes.remove(name).expect("the node runs"));
    }

    pub(crate) async fn stop(&mut self, name: &str) {
        self.nodes.remove(name).expect("the node runs").shutdown().await.expect("a good end");
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        &self.nodes[name]
    }

    pub(crate) fn service(&self, name: &str) -> Arc<dyn Service> {
        self.nodes[name].service()
    }

    pub(crate) fn view(&self, name: &str) -> ClusterView {
        self.nodes[name].admin().cluster()
    }

    /// Asks a node to change the membership.
    pub(crate) async fn change(&self, name: &str, step: MemberStep) -> Result<MemberView, Error> {
        let deadline = Instant::now() + PATIENCE;
        let request = MemberRequest { step, force: false, deadline };
        self.nodes[name].admin().change_members(request).await
    }

    pub(crate) fn leader(&self) -> Option<&'static str> {
        self.nodes
            .iter()
            .find(|(_, node)| {
                let admin = node.admin();
                admin.leader() == Some(admin.node().id)
            })
            .map(|(name, _)| *name)
    }

    /// Waits until something is so; says what it saw last if it never is.
    pub(crate) async fn until(&self, name: &str, what: &str, so: impl Fn(&ClusterView) -> bool) {
        let begin = Instant::now();
        loop {
            let view = self.view(name);
            if so(&view) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "never {what}: {view:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until exactly these are the members, all voters, as `name` sees it.
    pub(crate) async fn until_voters(&self, name: &str, voters: &[&str]) {
        let what = format!("voters {voters:?}");
        self.until(name, &what, |view| {
            let names: Vec<_> = view.members.iter().map(|member| member.name.as_str()).collect();
            let all_vote = view.members.iter().all(|member| member.role == MemberRole::Voter);
            names == voters && all_vote && !view.changing
        })
        .await;
    }

    /// Writes enough for the log to be trimmed over all that came before.
    pub(crate) async fn write_much(&self, name: &str) {
        let service = self.service(name);
        let value = "v".repeat(15_000);
        for number in 0..600 {
            put(&service, &format!("much/{number:04}"), &value).await;
        }
        let begin = Instant::now();
        loop {
            let log = self.nodes[name].admin().status().log;
            if log.first_index.get() > 2 {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "the log was never trimmed: {log:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
