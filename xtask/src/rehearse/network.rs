//! The network of the rehearsal: a bridge, and a pair of interfaces for each pod.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context, ensure};

/// The address of the bridge, where names are answered.
const BRIDGE: Ipv4Addr = Ipv4Addr::new(10, 123, 0, 1);

const BRIDGE_MAC: &str = "02:00:00:00:00:01";

/// Hands out addresses, none of them twice.
#[derive(Debug)]
pub(super) struct Network {
    used: u16,
}

impl Network {
    /// Sets the bridge up, in the network namespace of this process.
    pub(super) fn build() -> anyhow::Result<Self> {
        // The names of namespaces are files; this folder is this process's alone.
        std::fs::create_dir_all("/run/netns").context("making /run/netns")?;
        run("mount", &["-t", "tmpfs", "netns", "/run/netns"])?;
        run("ip", &["link", "set", "lo", "up"])?;
        // Without an address of its own the bridge has that of one of its ports, and changes it as
        // they come and go: the pods would look for the name server at the old one for seconds.
        run("ip", &["link", "add", "pods", "address", BRIDGE_MAC, "type", "bridge"])?;
        run("ip", &["address", "add", &format!("{BRIDGE}/16"), "dev", "pods"])?;
        run("ip", &["link", "set", "pods", "up"])?;
        Ok(Self { used: 1 })
    }

    /// Where names are answered.
    pub(super) fn name_server() -> SocketAddr {
        SocketAddr::from((BRIDGE, 53))
    }

    /// A namespace with an interface of its own at the bridge, and its address.
    pub(super) fn connect(&mut self, namespace: &str) -> anyhow::Result<Ipv4Addr> {
        self.used += 1;
        let [high, low] = self.used.to_be_bytes();
        let address = Ipv4Addr::new(10, 123, high, low);
        let (here, there) = (format!("v{}", self.used), format!("w{}", self.used));
        run("ip", &["netns", "add", namespace])?;
        run("ip", &["link", "add", &here, "type", "veth", "peer", "name", &there])?;
        run("ip", &["link", "set", &here, "master", "pods", "up"])?;
        run("ip", &["link", "set", &there, "netns", namespace, "name", "eth0"])?;
        let inside = |arguments: &[&str]| run("ip", &[&["-n", namespace], arguments].concat());
        inside(&["address", "add", &format!("{address}/16"), "dev", "eth0"])?;
        inside(&["link", "set", "lo", "up"])?;
        inside(&["link", "set", "eth0", "up"])?;
        Ok(address)
    }

    /// Takes a namespace away, with its interface.
    pub(super) fn disconnect(namespace: &str) -> anyhow::Result<()> {
        run("ip", &["netns", "delete", namespace])
    }
}

/// Runs a command that must succeed.
pub(super) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let command = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().with_context(command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", command(), said.trim());
    Ok(())
}
