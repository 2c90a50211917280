//! What a command line means depends on the machine: its name, its addresses, its variables.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

/// The machine and the environment of the process.
pub(super) trait Machine {
    /// The machine's name.
    fn name(&self) -> String;
    /// Whether connections to this name reach this machine over IPv4.
    fn is_reached_by(&self, name: &str) -> bool;
    /// An environment variable; an empty one counts as not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// What others are told to connect to: the machine's name, if it leads here.
    fn host(&self) -> String {
        let name = self.name();
        if self.is_reached_by(&name) { name } else { "127.0.0.1".to_owned() }
    }
}

/// The machine that this process runs on.
pub(super) struct ThisMachine;

impl Machine for ThisMachine {
    fn name(&self) -> String {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        match name.trim() {
            "" => "localhost".to_owned(),
            name => name.to_owned(),
        }
    }

    fn is_reached_by(&self, name: &str) -> bool {
        // An address is one of this machine's if a socket can be bound to it.
        let is_ours = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
        (name, 0).to_socket_addrs().is_ok_and(|mut addresses| {
            addresses.any(|address| address.is_ipv4() && is_ours(address.ip()))
        })
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|text| !text.is_empty())
    }
}

/// A machine for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Imagined {
    pub(super) is_unknown: bool,
    pub(super) variables: Vec<(&'static str, &'static str)>,
}

#[cfg(test)]
impl Machine for Imagined {
    fn name(&self) -> String {
        "MACHINE".to_owned()
    }

    fn is_reached_by(&self, name: &str) -> bool {
        !self.is_unknown && name == "MACHINE"
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_here_if_its_address_is_ours() {
        assert!(ThisMachine.is_reached_by("localhost") && ThisMachine.is_reached_by("127.0.0.1"));
        // An address for documentation, which no machine has.
        assert!(!ThisMachine.is_reached_by("192.0.2.1"));
        assert!(!ThisMachine.is_reached_by(""));
    }

    #[test]
    fn the_host_is_the_name_or_loopback() {
        assert_eq!(Imagined::default().host(), "MACHINE");
        assert_eq!(Imagined { is_unknown: true, ..Imagined::default() }.host(), "127.0.0.1");
    }
}
