//! Ports for servers that are killed and restarted.
//!
//! A port that the system picks (port 0) lies in the range from which it also picks the near end
//! of outgoing connections. While a killed node is down, any connection attempt of this machine
//! could take its port, and the restart would fail; a peer that dials the dead port could even
//! connect to itself. So ports are tried below that range, and the system is asked only where
//! the range is not known.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;

/// Below are ports of well-known services.
const PORT_MIN: u16 = 10_240;

/// How many ports are tried before the system is asked.
const ATTEMPTS_MAX: usize = 1_000;

/// Ports handed out by this process. A port that was given away is not given again, although
/// nobody may listen on it at the moment.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A free address on the loopback interface that no other caller in this process gets.
///
/// # Errors
/// If no port can be bound at all.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let below = ephemeral_range_start().filter(|start| *start > PORT_MIN);
    let chosen = (0..ATTEMPTS_MAX).filter_map(|_| Some(fastrand::u16(PORT_MIN..below?)));
    for port in chosen.chain(std::iter::repeat_n(0, ATTEMPTS_MAX)) {
        let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        let address = listener.local_addr().context("asking for the address of a listener")?;
        if taken.insert(address.port()) {
            return Ok(address);
        }
    }
    anyhow::bail!("no free port on 127.0.0.1 after {ATTEMPTS_MAX} attempts")
}

/// The first port that the system may choose by itself, where it tells (Linux).
fn ephemeral_range_start() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_free_and_never_given_twice() {
        let addresses: Vec<SocketAddr> = (0..50).map(|_| free_address().unwrap()).collect();
        let distinct: BTreeSet<u16> = addresses.iter().map(SocketAddr::port).collect();
        assert_eq!(distinct.len(), addresses.len());
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
    }
}
