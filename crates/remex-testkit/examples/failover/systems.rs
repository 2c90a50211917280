//! The systems that are measured: three nodes of Remex, three of etcd, with their defaults.
//!
//! etcd is spoken to through its JSON gateway, so that both are asked by the same client. Its keys
//! and values travel in base64; the texts used here are base64 already.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use remex_testkit::cluster::{Cluster, Logs, Patience, Plan, Process, Signal, ports};
use remex_testkit::http::{Failure, HttpClient, Reply};

use crate::PATIENCE;

/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 256;

/// Base64 of [`VALUE_BYTES`] bytes.
fn etcd_value() -> String {
    format!("{}dg==", "dnZ2".repeat(VALUE_BYTES / 3))
}

/// How a system is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Remex,
    Etcd,
}

impl Dialect {
    /// Writes a key of eight characters. `true` if that was acknowledged.
    pub(crate) fn put(self, client: &mut HttpClient, key: &str) -> Result<bool, Failure> {
        let reply = match self {
            Self::Remex => {
                let value = "v".repeat(VALUE_BYTES);
                client.request("PUT", &format!("/v1/kv/{key}"), &[], value.as_bytes())?
            }
            Self::Etcd => {
                let body = format!("{{\"key\":\"{key}\",\"value\":\"{}\"}}", etcd_value());
                client.request("POST", "/v3/kv/put", &[], body.as_bytes())?
            }
        };
        Ok(matches!(reply.status, 200 | 201))
    }

    /// Writes several keys at once, which must succeed.
    pub(crate) fn put_all(self, client: &mut HttpClient, keys: &[String]) -> anyhow::Result<()> {
        let (target, body) = match self {
            Self::Remex => {
                let value = "v".repeat(VALUE_BYTES);
                let put = |key| format!("{{\"put\":{{\"key\":\"{key}\",\"text\":\"{value}\"}}}}");
                let puts: Vec<String> = keys.iter().map(put).collect();
                ("/v1/batch", format!("[{}]", puts.join(",")))
            }
            Self::Etcd => {
                let value = etcd_value();
                let put =
                    |key| format!("{{\"requestPut\":{{\"key\":\"{key}\",\"value\":\"{value}\"}}}}");
                let puts: Vec<String> = keys.iter().map(put).collect();
                ("/v3/kv/txn", format!("{{\"success\":[{}]}}", puts.join(",")))
            }
        };
        let reply = client.request("POST", target, &[], body.as_bytes())?;
        ensure!(reply.status == 200, "{}: {}", reply.status, reply.text());
        Ok(())
    }
}

/// The nodes of a system.
pub(crate) trait System {
    fn dialect(&self) -> Dialect;
    fn addresses(&self) -> Vec<SocketAddr>;
    /// Which node leads.
    fn leader(&self) -> Option<usize>;
    /// `kill -9`.
    fn kill(&mut self, node: usize) -> anyhow::Result<()>;
    /// Stops a node's threads where they are, as a machine does that hangs: nobody is told.
    fn pause(&mut self, node: usize) -> anyhow::Result<()>;
    fn resume(&mut self, node: usize) -> anyhow::Result<()>;
    fn start(&mut self, node: usize) -> anyhow::Result<()>;
    /// Waits until every node takes requests.
    fn wait_ready(&mut self) -> anyhow::Result<()>;
    fn process_id(&self, node: usize) -> Option<u32>;
}

impl System for Cluster {
    fn dialect(&self) -> Dialect {
        Dialect::Remex
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes().iter().map(remex_testkit::cluster::Node::address).collect()
    }

    fn leader(&self) -> Option<usize> {
        Self::leader(self)
    }

    fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        self.node(node).kill()
    }

    fn pause(&mut self, node: usize) -> anyhow::Result<()> {
        self.node(node).pause()
    }

    fn resume(&mut self, node: usize) -> anyhow::Result<()> {
        self.node(node).resume()
    }

    fn start(&mut self, node: usize) -> anyhow::Result<()> {
        self.node(node).start()
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        Self::wait_ready(self)
    }

    fn process_id(&self, node: usize) -> Option<u32> {
        self.nodes()[node].process_id()
    }
}

/// Starts Remex.
pub(crate) fn remex(binary: &Path, nodes: usize) -> anyhow::Result<Cluster> {
    Cluster::start(&Plan { binary: binary.to_owned(), nodes, arguments: Vec::new() })
}

/// Nodes of etcd, with its defaults but for the quota, which 1 M keys would pass.
pub(crate) struct Etcd {
    binary: PathBuf,
    nodes: Vec<EtcdNode>,
    directory: tempfile::TempDir,
}

struct EtcdNode {
    client: SocketAddr,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Etcd {
    pub(crate) fn start(binary: &Path, nodes: usize) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut addresses = Vec::new();
        for _ in 0..nodes {
            addresses.push((ports::free_address()?, ports::free_address()?));
        }
        let peers: Vec<String> = addresses
            .iter()
            .enumerate()
            .map(|(number, (_, peer))| format!("n{number}=http://{peer}"))
            .collect();
        let node = |(number, (client, peer)): (usize, &(SocketAddr, SocketAddr))| {
            let data = directory.path().join(format!("n{number}"));
            let arguments = [
                ("--name", format!("n{number}")),
                ("--data-dir", data.display().to_string()),
                ("--listen-client-urls", format!("http://{client}")),
                ("--advertise-client-urls", format!("http://{client}")),
                ("--listen-peer-urls", format!("http://{peer}")),
                ("--initial-advertise-peer-urls", format!("http://{peer}")),
                ("--initial-cluster", peers.join(",")),
                ("--quota-backend-bytes", "8589934592".to_owned()),
                ("--log-level", "warn".to_owned()),
            ];
            let arguments = arguments.map(|(flag, value)| [flag.to_owned(), value]).concat();
            EtcdNode { client: *client, arguments, process: None }
        };
        let nodes: Vec<EtcdNode> = addresses.iter().enumerate().map(node).collect();
        let mut etcd = Self { binary: binary.to_owned(), nodes, directory };
        for number in 0..addresses.len() {
            System::start(&mut etcd, number)?;
        }
        System::wait_ready(&mut etcd)?;
        Ok(etcd)
    }

    fn process(&self, node: usize) -> anyhow::Result<&Process> {
        self.nodes[node].process.as_ref().context("it is down")
    }

    fn ask(&self, node: usize, target: &str, body: &str) -> Result<Reply, Failure> {
        let mut client = HttpClient::new(self.nodes[node].client, PATIENCE);
        client.request("POST", target, &[], body.as_bytes())
    }
}

impl System for Etcd {
    fn dialect(&self) -> Dialect {
        Dialect::Etcd
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.client).collect()
    }

    fn leader(&self) -> Option<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].process.is_some()).find(|node| {
            let status = self.ask(*node, "/v3/maintenance/status", "{}");
            let status = status.ok().and_then(|reply| reply.json().ok());
            status.is_some_and(|status| {
                status["leader"].is_string() && status["leader"] == status["header"]["member_id"]
            })
        })
    }

    fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        // Dropping a process kills it.
        self.nodes[node].process.take().map(drop).context("it is down")
    }

    fn pause(&mut self, node: usize) -> anyhow::Result<()> {
        self.process(node)?.signal(Signal::STOP)
    }

    fn resume(&mut self, node: usize) -> anyhow::Result<()> {
        self.process(node)?.signal(Signal::CONT)
    }

    fn start(&mut self, node: usize) -> anyhow::Result<()> {
        let logs = Logs::new(self.directory.path(), &format!("log{node}"));
        let process = Process::start(&self.binary, &self.nodes[node].arguments, &logs)?;
        self.nodes[node].process = Some(process);
        Ok(())
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let mut patience = Patience::default();
        for node in 0..self.nodes.len() {
            // A linearizable read.
            while !self
                .ask(node, "/v3/kv/range", "{\"key\":\"AAAA\"}")
                .is_ok_and(|r| r.status == 200)
            {
                ensure!(patience.pause(), "etcd is not ready");
            }
        }
        Ok(())
    }

    fn process_id(&self, node: usize) -> Option<u32> {
        self.nodes[node].process.as_ref().map(Process::id)
    }
}
