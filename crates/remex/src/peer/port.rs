//! Connections that peers open on a port that is not the node's own.
//!
//! Whoever listens there tells peers from other clients by the first bytes, and hands their
//! connections over.

use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::frame::{HEADER_BYTES, HELLO_BYTES_MAX};
use super::hello::MAGIC;

/// Connections that were handed over and wait to be heard.
const WAITING_MAX: usize = 64;

/// Where a node takes the connections of its peers that were opened on another port, for example
/// on that of its clients; see `Config::single_port`. Clones are the same port.
#[derive(Clone, Debug)]
pub struct PeerPort {
    waiting: mpsc::Sender<TcpStream>,
}

impl PeerPort {
    /// First bytes of a connection from which [`PeerPort::is_peer`] can always tell.
    pub const PREFIX_LEN: usize = HEADER_BYTES + size_of::<u32>();

    /// A port, and where the connections come out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<TcpStream>) {
        let (waiting, come) = mpsc::channel(WAITING_MAX);
        (Self { waiting }, come)
    }

    /// Whether a connection that begins with these bytes is a peer's; `None` if it takes more of
    /// them to tell, at most [`PeerPort::PREFIX_LEN`].
    ///
    /// A peer begins with a frame (`u32` length, `u32` checksum, payload, little-endian) whose
    /// payload is a greeting: at most 64 KiB, so the fourth byte is 0, and the payload begins with
    /// `RMXP`. A request of HTTP/1 begins with a method and HTTP/2 with `PRI *`: neither has a 0
    /// among its first four bytes. A TLS client may have one, but it names its version where a
    /// greeting has `MXP`.
    #[must_use]
    pub fn is_peer(first_bytes: &[u8]) -> Option<bool> {
        let length = first_bytes.first_chunk().map(|length| u32::from_le_bytes(*length));
        if length.is_some_and(|length| length as usize > HELLO_BYTES_MAX) {
            return Some(false);
        }
        let magic = first_bytes.get(HEADER_BYTES..)?.first_chunk()?;
        Some(u32::from_le_bytes(*magic) == MAGIC)
    }

    /// Hands a connection over, none of its bytes read yet. It is closed if the node has ended, or
    /// if too many wait to be heard; the peer then tries again.
    pub fn take(&self, stream: TcpStream) {
        if let Err(error) = self.waiting.try_send(stream) {
            tracing::debug!(reason = %error, "a peer's connection is not taken");
        }
    }
}

#[cfg(test)]
mod tests {
    use remex_model::{Incarnation, Member, NodeId};

    use super::*;
    use crate::peer::frame;
    use crate::peer::hello::{Hello, Position, Purpose};

    fn greeting(purpose: Purpose, name: String) -> Vec<u8> {
        let node = Member {
            id: NodeId(1),
            incarnation: Incarnation(101),
            name,
            peer_address: "127.0.0.1:1".to_owned(),
            client_url: String::new(),
            promote: true,
        };
        let hello = Hello {
            purpose,
            cluster: None,
            node,
            session: 5,
            position: Position::default(),
            version: "0.1.0".to_owned(),
        };
        let mut out = Vec::new();
        frame::append(&mut out, |out| hello.encode(out));
        out
    }

    #[test]
    fn a_peer_is_told_by_its_first_bytes_whatever_it_wants() {
        for purpose in [Purpose::Replicate, Purpose::Ask, Purpose::Fetch] {
            for name in ["n1".to_owned(), "n".repeat(60_000)] {
                let bytes = greeting(purpose, name);
                assert_eq!(PeerPort::is_peer(&bytes), Some(true));
                for length in 0..PeerPort::PREFIX_LEN {
                    assert_eq!(PeerPort::is_peer(&bytes[..length]), None, "{length} bytes");
                }
                assert_eq!(PeerPort::is_peer(&bytes[..PeerPort::PREFIX_LEN]), Some(true));
            }
        }
    }

    #[test]
    fn clients_of_other_protocols_are_told_from_peers() {
        let tls = [0x16, 3, 1, 0, 0xf8, 1, 0, 0, 0xf4, 3, 3, 0xaa, 0xbb];
        assert_eq!(PeerPort::is_peer(&tls), Some(false));
        for http in
            ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "M-SEARCH * HTTP/1.1"]
        {
            assert_eq!(PeerPort::is_peer(http.as_bytes()), Some(false), "{http}");
            assert_eq!(PeerPort::is_peer(&http.as_bytes()[..4]), Some(false), "at once");
        }
        assert_eq!(PeerPort::is_peer(b"\r\n\r\nGET / HTTP/1.1"), Some(false));
        assert_eq!(PeerPort::is_peer(&[0; PeerPort::PREFIX_LEN]), Some(false));
    }
}
