//! Where a node can be reached, and how it says so.

use std::io::{self, IsTerminal};
use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use remex_http::{Dialect, Listener};

use crate::exit::{Exit, Failure};
use crate::shell;

/// Where the ports really are: the system chooses one for port 0.
pub(super) struct Addresses {
    pub(super) client: SocketAddr,
    dialects: Vec<(Dialect, SocketAddr)>,
}

impl Addresses {
    pub(super) fn of(listeners: &[Listener]) -> Result<Self, Failure> {
        let mut addresses = Self {
            client: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            dialects: Vec::with_capacity(listeners.len()),
        };
        for Listener { socket, dialect } in listeners {
            let address = socket.local_addr().map_err(|error| {
                Failure::new(
                    Exit::Failure,
                    format!("a port that was opened has no address: {error}"),
                )
            })?;
            match dialect {
                None => addresses.client = address,
                Some(dialect) => addresses.dialects.push((*dialect, address)),
            }
        }
        Ok(addresses)
    }

    /// There is no authentication yet: whoever can connect can read and write.
    pub(super) fn warn_if_open(&self) {
        let dialects = self.dialects.iter().map(|(_, address)| *address);
        for address in iter::once(self.client).chain(dialects) {
            if !address.ip().is_loopback() {
                tracing::warn!(%address, "anyone who can reach this address can read and write every key");
            }
        }
    }
}

/// The URL that clients are told if nobody says otherwise. An address that stands for all of the
/// machine's addresses cannot be connected to from elsewhere; loopback at least works here.
pub(super) fn client_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        let port = address.port();
        tracing::warn!("other machines need a URL: add --advertise http://HOST:{port}");
        return format!("http://127.0.0.1:{port}");
    }
    format!("http://{address}")
}

/// What a node says when it serves: where, and what to try.
pub(super) fn banner(
    url: &str,
    data_dir: &Path,
    peers: SocketAddr,
    addresses: &Addresses,
) -> String {
    let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_path_buf());
    let (program, option) = (shell::program(), shell::endpoint_option(url));
    let (mut listening, mut examples) = (String::new(), String::new());
    for (dialect, address) in &addresses.dialects {
        let url = format!("http://{}", reachable(*address));
        listening.push_str(&format!("  {dialect}  {url}\n"));
        examples.push_str(&format!("  {}\n", dialect.example(&url)));
    }
    let stop = if io::stdout().is_terminal() { "Ctrl-C stops the node.\n" } else { "" };
    format!(
        "Remex {} serves {url}\n  data   {}\n  peers  {peers}\n{listening}\
         Try:\n  curl -X PUT {url}/v1/kv/hello -d '\"world\"'\n  {program} get hello{option}\n\
         {examples}{stop}",
        env!("CARGO_PKG_VERSION"),
        data_dir.display(),
    )
}

/// An address at which this machine can be asked: one that stands for all of its addresses is none.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}
