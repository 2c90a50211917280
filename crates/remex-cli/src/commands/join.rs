//! `remex serve --join`: asks nodes at URLs for clients where peers reach them, and looks whether
//! peers will reach this one.

use std::net::IpAddr;
use std::time::Duration;

use remex::{Config, offline};
use remex_client::Endpoint;
use tokio::time::sleep;

use crate::session::peer_address;

/// Time for one question.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between two rounds of questions.
const ASK_PAUSE: Duration = Duration::from_secs(1);

/// Adds the peer addresses of these nodes to those to join.
///
/// A node that is no member yet asks until one answers: without an address to join it would found a
/// cluster of its own. A member needs no answer, and its cluster may even wait for it; it asks once.
pub(crate) async fn resolve(config: &mut Config, urls: &[Endpoint]) {
    ask(config, urls).await;
    warn_if_only_here(config);
}

async fn ask(config: &mut Config, urls: &[Endpoint]) {
    if urls.is_empty() {
        return;
    }
    let is_member = offline::is_member(&config.data_dir);
    loop {
        for url in urls {
            match peer_address(url, ASK_TIMEOUT).await {
                Ok(peer) => config.join.push(peer),
                Err(failure) => tracing::warn!(node = %url, "cannot ask it: {}", failure.message),
            }
        }
        if is_member || !config.join.is_empty() {
            return;
        }
        tracing::warn!("no node to join answers; asking again until one does");
        sleep(ASK_PAUSE).await;
    }
}

/// The other nodes are told where this one is, and connect to themselves if that is loopback.
fn warn_if_only_here(config: &Config) {
    if let Some((told, peer)) = only_here(config) {
        tracing::warn!(
            address = %told, %peer,
            "nodes on other machines cannot connect to this one; \
             add --peer-listen or --peer-advertise with an address that they can reach"
        );
    }
}

/// An address that means something only on this machine, and a node that is told it elsewhere.
fn only_here(config: &Config) -> Option<(String, &str)> {
    let told = config.peer_advertise.clone().unwrap_or_else(|| config.peer_listen.to_string());
    let elsewhere = config.join.iter().find(|peer| !is_here(peer))?;
    is_here(&told).then_some((told, elsewhere))
}

/// Whether this address of a peer means the machine of whoever connects to it.
fn is_here(peer: &str) -> bool {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _port)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tells_other_machines_a_loopback_address_is_found_out() {
        let mut config = Config::new("unused");
        config.peer_listen = "127.0.0.1:7491".parse().unwrap();
        for join in ["127.0.0.1:7491", "localhost:7491", "[::1]:7491"] {
            config.join = vec![join.to_owned()];
            assert_eq!(only_here(&config), None, "{join}");
        }
        config.join.push("10.0.0.1:7481".to_owned());
        assert_eq!(only_here(&config), Some(("127.0.0.1:7491".to_owned(), "10.0.0.1:7481")));
        config.peer_advertise = Some("n4.internal:7481".to_owned());
        assert_eq!(only_here(&config), None);
        config.peer_advertise = None;
        config.peer_listen = "10.0.0.4:7481".parse().unwrap();
        assert_eq!(only_here(&config), None);
    }
}
