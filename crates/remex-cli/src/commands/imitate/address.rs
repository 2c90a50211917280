//! Addresses as Go's `net` package takes them.

use std::str::FromStr;

use super::machine::Machine;

/// `host:port`; without a host it stands for all of the machine's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// A port on all of the machine's addresses.
    pub(super) fn everywhere(port: u16) -> Self {
        Self { host: String::new(), port }
    }

    /// A port on loopback.
    pub(super) fn here(port: u16) -> Self {
        Self { host: "localhost".to_owned(), port }
    }

    /// Where to listen. `localhost` is the IPv4 one, as it is for these programs on most machines.
    pub(super) fn listen(&self) -> String {
        let host = match self.host.as_str() {
            "" => "0.0.0.0",
            "localhost" => "127.0.0.1",
            host => host,
        };
        format!("{host}:{}", self.port)
    }

    /// Where others are told to connect.
    pub(super) fn told(&self, machine: &dyn Machine) -> String {
        let host = if self.is_everywhere() { &machine.host() } else { &self.host };
        format!("{host}:{}", self.port)
    }

    fn is_everywhere(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "[::]")
    }

    /// Whether both cannot be listened on at a time.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let same_host = self.is_everywhere() || other.is_everywhere();
        self.port == other.port && (same_host || self.listen() == other.listen())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, number) = text.rsplit_once(':').ok_or("has no port: write HOST:PORT")?;
        let is_host = |host: &str| !host.contains(['/', ' ']) && !host.contains("::");
        let is_ipv6 = host.starts_with('[') && host.ends_with(']');
        if !is_ipv6 && !is_host(host) {
            return Err("is no address: write HOST:PORT".to_owned());
        }
        Ok(Self { host: host.to_owned(), port: port(number)? })
    }
}

/// Reads a port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err("has no port from 1 to 65535".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::Imagined;
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn where_to_listen_and_what_others_are_told() {
        for (text, listen, told) in [
            (":12000", "0.0.0.0:12000", "MACHINE:12000"),
            ("0.0.0.0:12000", "0.0.0.0:12000", "MACHINE:12000"),
            ("localhost:12000", "127.0.0.1:12000", "localhost:12000"),
            ("10.0.0.1:12000", "10.0.0.1:12000", "10.0.0.1:12000"),
            ("n1.example:12000", "n1.example:12000", "n1.example:12000"),
            ("[::1]:12000", "[::1]:12000", "[::1]:12000"),
        ] {
            assert_eq!(address(text).listen(), listen);
            assert_eq!(address(text).told(&Imagined::default()), told);
        }
        for text in ["", "12000", "localhost", "localhost:", "a:0", "a:65536", "a:x", "http://a:1"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_listened_on_at_a_time() {
        for (one, other, overlap) in [
            (":1", "localhost:1", true),
            ("127.0.0.1:1", "localhost:1", true),
            ("10.0.0.1:1", "localhost:1", false),
            (":1", ":2", false),
        ] {
            assert_eq!(address(one).overlaps(&address(other)), overlap, "{one} {other}");
            assert_eq!(address(other).overlaps(&address(one)), overlap, "{other} {one}");
        }
    }
}
