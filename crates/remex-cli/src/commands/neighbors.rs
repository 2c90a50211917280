//! What the ports for clients have to do with the other nodes: their peers' connections on a single
//! port, and the question where peers reach a node that is named by its URL.

use std::time::Instant;

use remex::PeerPort;
use remex_client::Endpoint;
use remex_http::{Guests, Neighbors};
use remex_model::{BoxFuture, Error, ErrorCode};
use tokio::net::TcpStream;

use crate::session::peer_address;

/// Hands the connections of peers over to the node.
#[derive(Debug)]
pub(super) struct Peers(pub(super) PeerPort);

impl Guests for Peers {
    fn wants(&self, first: &[u8]) -> Option<bool> {
        PeerPort::is_peer(first)
    }

    fn take(&self, stream: TcpStream) {
        self.0.take(stream);
    }
}

/// Asks nodes at their URLs.
#[derive(Debug)]
pub(super) struct Others;

impl Neighbors for Others {
    fn peer_address(&self, url: String, deadline: Instant) -> BoxFuture<'_, Result<String, Error>> {
        Box::pin(async move {
            let endpoint: Endpoint =
                url.parse().map_err(|error: remex_client::EndpointError| {
                    Error::new(ErrorCode::BadRequest, format!("{url} is no URL of a node: {error}"))
                })?;
            let left = deadline.saturating_duration_since(Instant::now());
            peer_address(&endpoint, left).await.map_err(|failure| {
                let text = format!("{url} cannot be asked: {}", failure.message);
                Error::new(ErrorCode::NotReady, text)
            })
        })
    }
}
