//! `remex dev`: a whole cluster in one command, and nothing left of it afterwards.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use remex_testkit::cluster::{Logs, PATIENCE, Process, Signal, ports};
use remex_testkit::http::HttpClient;

use crate::{binary, wait_for};

/// Client ports lie this far apart; each node's peer port is the one above.
const STRIDE: u16 = 10;
const NODES: u16 = 3;

/// A running `remex dev`.
struct Dev {
    process: Process,
    logs: Logs,
    base: u16,
}

/// The first of six free ports in the places where `dev` puts them.
fn free_base() -> u16 {
    loop {
        let base = ports::free_address().unwrap().port();
        let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (0..NODES).all(|node| free(base + node * STRIDE) && free(base + node * STRIDE + 1)) {
            return base;
        }
    }
}

impl Dev {
    fn start(directory: &Path, base: u16, arguments: &[&str]) -> Self {
        let logs = Logs::new(directory, "dev");
        let base_text = base.to_string();
        let arguments = [&["dev", "--port-base", &base_text], arguments].concat();
        let process = Process::start(binary(), &arguments, &logs).unwrap();
        let mut dev = Self { process, logs, base };
        for node in 0..NODES {
            let address = dev.address(node);
            wait_for("a node that is ready", || {
                let exited = dev.process.exit_status().unwrap();
                assert!(exited.is_none(), "{exited:?}\n{}", dev.logs.tail());
                client(address).get("/readyz").is_ok_and(|reply| reply.status == 200)
            });
        }
        dev
    }

    fn address(&self, node: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.base + node * STRIDE))
    }

    /// Every port can be bound again: no child is left that listens.
    fn wait_gone(&self) {
        for node in 0..NODES {
            for address in [self.address(node), self.peer_address(node)] {
                wait_for("the end of every child", || TcpListener::bind(address).is_ok());
            }
        }
    }

    fn peer_address(&self, node: u16) -> SocketAddr {
        let client = self.address(node);
        SocketAddr::from((client.ip(), client.port() + 1))
    }
}

fn client(address: SocketAddr) -> HttpClient {
    HttpClient::new(address, Duration::from_secs(20))
}

#[test]
fn sigterm_leaves_no_process_behind_and_kept_data_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().join("kept");
    let flags = ["--keep", keep.to_str().unwrap()];
    let mut dev = Dev::start(directory.path(), free_base(), &flags);
    let reply = client(dev.address(0)).request("PUT", "/v1/kv/color", &[], b"blue").unwrap();
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(client(dev.address(1)).get("/v1/kv/color").unwrap().text(), "blue");
    for node in 0..NODES {
        let address = dev.address(node).to_string();
        wait_for("the addresses", || dev.logs.stdout().unwrap().contains(&address));
    }
    dev.process.signal(Signal::TERM).unwrap();
    let status = dev.process.wait_exit(PATIENCE).unwrap();
    assert!(status.success(), "{status}\n{}", dev.logs.tail());
    dev.wait_gone();

    let mut again = Dev::start(directory.path(), dev.base, &flags);
    assert_eq!(client(again.address(2)).get("/v1/kv/color").unwrap().text(), "blue");
    again.process.signal(Signal::INT).unwrap();
    again.process.wait_exit(PATIENCE).unwrap();
    again.wait_gone();
}

#[test]
fn kill_9_of_the_parent_leaves_no_process_behind() {
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().join("kept");
    let mut dev = Dev::start(directory.path(), free_base(), &["--keep", keep.to_str().unwrap()]);
    dev.process.kill().unwrap();
    dev.wait_gone();
}

#[test]
fn a_port_in_use_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let base = free_base();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, base + STRIDE)).unwrap();
    let logs = Logs::new(directory.path(), "dev");
    let arguments = ["dev", "--port-base", &base.to_string()];
    let mut dev = Process::start(binary(), &arguments, &logs).unwrap();
    let status = dev.wait_exit(PATIENCE).unwrap();
    let text = logs.stderr().unwrap();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {text}");
    assert!(text.contains(&taken.local_addr().unwrap().port().to_string()), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
