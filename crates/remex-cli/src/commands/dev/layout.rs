//! Names and ports of the nodes.

use std::net::{Ipv4Addr, TcpListener};

use remex_http::Dialect;

use super::ports::{self, Ports, Range, User};
use crate::exit::{Exit, Failure};

/// From one node's ports to the next one's, where one option moves them all.
const BASE_STEP: u16 = 10;

/// A node of the cluster. It listens on the loopback interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) client_port: u16,
    pub(super) peer_port: u16,
    pub(super) dialects: Vec<(Dialect, u16)>,
}

impl Member {
    pub(super) fn url(&self) -> String {
        format!("http://{}", local(self.client_port))
    }

    pub(super) fn peer_address(&self) -> String {
        local(self.peer_port)
    }
}

/// An address of this machine alone.
pub(super) fn local(port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::LOCALHOST)
}

/// Where the nodes are to listen, as options say it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) nodes: u16,
    /// First client port, at most 65534: the first peer port is the next one.
    pub(super) port_base: u16,
    /// These ports, instead of what follows from `port_base`.
    pub(super) client_port: Option<Range>,
    pub(super) peer_port: Option<Range>,
}

impl Wish {
    /// The ports for clients and for peers.
    pub(super) fn ports(&self) -> Result<[Ports; 2], Failure> {
        let ports = |user, asked: Option<Range>, base: u16| match asked {
            Some(range) => Ports::asked(user, range, self.nodes),
            None => {
                let origin = format!("--port-base {}", self.port_base);
                Ports::counted(user, Range::new(base, BASE_STEP), self.nodes, origin)
            }
        };
        Ok([
            ports(User::Clients, self.client_port, self.port_base)?,
            ports(User::Peers, self.peer_port, self.port_base + 1)?,
        ])
    }
}

/// The nodes of a cluster; none of their ports has two users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    members: Vec<Member>,
}

impl Layout {
    /// Puts names and ports together: each of `kinds` has a port for each name.
    ///
    /// # Errors
    /// If a port would have two users.
    pub(super) fn new(names: Vec<String>, kinds: &[Ports]) -> Result<Self, Failure> {
        ports::check_apart(kinds)?;
        let member = |(at, name): (usize, String)| {
            let mut member = Member { name, client_port: 0, peer_port: 0, dialects: Vec::new() };
            for kind in kinds {
                let port = kind.list()[at];
                match kind.user() {
                    User::Clients => member.client_port = port,
                    User::Peers => member.peer_port = port,
                    User::Dialect(dialect) => member.dialects.push((dialect, port)),
                }
            }
            member
        };
        Ok(Self { members: names.into_iter().enumerate().map(member).collect() })
    }

    /// The nodes; there is at least one.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Checks that every port is free, before anything is started or written.
    pub(super) fn check_free(&self) -> Result<(), Failure> {
        for member in &self.members {
            let dialects =
                member.dialects.iter().map(|(dialect, port)| (*port, dialect.to_string()));
            let ports = [
                (member.client_port, "clients".to_owned()),
                (member.peer_port, "peers".to_owned()),
            ];
            for (port, user) in ports.into_iter().chain(dialects) {
                let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
                let why = match error.kind() {
                    std::io::ErrorKind::AddrInUse => "is in use".to_owned(),
                    _ => format!("cannot be used: {error}"),
                };
                let message = format!("port {port} {why} ({user} of {})", member.name);
                let option = match user.as_str() {
                    "clients" | "peers" => "--port-base",
                    _ => "--dialect",
                };
                return Err(Failure::new(Exit::Failure, message).remedy(format!(
                    "stop what listens there, or choose other ports with {option}"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: Wish = Wish { nodes: 3, port_base: 7480, client_port: None, peer_port: None };

    fn lists(wish: Wish) -> [Vec<u16>; 2] {
        wish.ports().unwrap().map(|ports| ports.list().to_vec())
    }

    #[test]
    fn a_base_moves_all_and_a_start_counts_by_one() {
        assert_eq!(lists(WISH), [vec![7480, 7490, 7500], vec![7481, 7491, 7501]]);
        let (client, peer) = (Range::new(7777, 1), Range::new(6666, 1));
        let wish = Wish { client_port: Some(client), peer_port: Some(peer), ..WISH };
        assert_eq!(lists(wish), [vec![7777, 7778, 7779], vec![6666, 6667, 6668]]);
        let wish = Wish { client_port: Some(client), ..WISH };
        assert_eq!(lists(wish), [vec![7777, 7778, 7779], vec![7481, 7491, 7501]]);
        let failure = Wish { port_base: 65_530, ..WISH }.ports().unwrap_err();
        assert!(failure.message.contains("(--port-base 65530)"), "{failure:?}");
    }

    #[test]
    fn each_node_has_its_port_of_every_kind() {
        let dialect: Dialect = "raftexample".parse().unwrap();
        let [clients, peers] = WISH.ports().unwrap();
        let range = Range::new(12_380, 10_000);
        let raftexample = Ports::asked(User::Dialect(dialect), range, 3).unwrap();
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let layout = Layout::new(names, &[clients, peers, raftexample]).unwrap();
        let last = layout.members().last().unwrap();
        assert_eq!(last.url(), "http://127.0.0.1:7500");
        assert_eq!(last.peer_address(), "127.0.0.1:7501");
        assert_eq!(last.dialects, [(dialect, 32_380)]);
    }
}
