//! Nodes without a listener of their own for peers, whose connections come by another port.

use std::collections::BTreeMap;
use std::time::Duration;

use remex::{Config, PeerPort};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::fleet::Fleet;
use super::{put, value};

const TRIO: [&str; 3] = ["n1", "n2", "n3"];

/// The port that a node shares with others, by name. What comes there that is no peer is closed.
#[derive(Default)]
struct Shared {
    ports: BTreeMap<&'static str, JoinSet<()>>,
}

impl Shared {
    async fn start(&mut self, fleet: &mut Fleet, name: &'static str) {
        fleet.start_with(Config { single_port: true, ..fleet.config(name) }).await;
        let address = fleet.address(name);
        let peers = fleet.node(name).peers();
        assert_eq!(fleet.node(name).peer_address().to_string(), address);
        // The node itself does not listen there.
        let listener = TcpListener::bind(&address).await.expect("the port is free");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peers = peers.clone();
                tokio::spawn(hand_over(stream, peers));
            }
        });
        self.ports.insert(name, tasks);
    }

    async fn stop(&mut self, fleet: &mut Fleet, name: &str) {
        self.ports.remove(name).expect("it runs").shutdown().await;
        fleet.stop(name).await;
    }
}

async fn hand_over(stream: TcpStream, peers: PeerPort) {
    let mut first = [0; PeerPort::PREFIX_LEN];
    loop {
        let Ok(length) = stream.peek(&mut first).await else { return };
        match PeerPort::is_peer(&first[..length]) {
            Some(true) => return peers.take(stream),
            None if length > 0 => tokio::time::sleep(Duration::from_millis(1)).await,
            Some(false) | None => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_of_one_port_each_found_a_cluster_and_survive_a_restart() {
    let (mut fleet, mut shared) = (Fleet::new(&TRIO), Shared::default());
    for name in TRIO {
        shared.start(&mut fleet, name).await;
    }
    put(&fleet.service("n1"), "key", "1").await;
    fleet.until_voters("n3", &TRIO).await;
    // Snapshots come the same way.
    shared.stop(&mut fleet, "n2").await;
    fleet.write_much("n1").await;
    shared.start(&mut fleet, "n2").await;
    assert_eq!(value(&fleet.service("n2"), "much/0599").await.map(|text| text.len()), Some(15_000));

    for name in TRIO {
        shared.stop(&mut fleet, name).await;
    }
    for name in TRIO {
        shared.start(&mut fleet, name).await;
    }
    put(&fleet.service("n2"), "key", "2").await;
    for name in TRIO {
        assert_eq!(value(&fleet.service(name), "key").await.as_deref(), Some("2"));
    }
}
