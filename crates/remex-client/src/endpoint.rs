//! Where a node answers clients.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

/// The address of one node: host and port. Reads `http://host:port`, `host:port` and `host`
/// (then the port is [`Endpoint::DEFAULT_PORT`]); an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{text}' is not an endpoint: {reason}")]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl Endpoint {
    /// The port that `remex serve` listens on unless told otherwise.
    pub const DEFAULT_PORT: u16 = 7480;

    /// Reads a list separated by commas.
    ///
    /// # Errors
    /// Names the first text that is not an endpoint, or says that there is none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, EndpointError> {
        let list: Vec<Self> = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(Self::from_str)
            .collect::<Result<_, _>>()?;
        if list.is_empty() {
            return Err(EndpointError { text: text.to_owned(), reason: "it is empty" });
        }
        Ok(list)
    }

    /// The host without brackets: a name or an address to resolve.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, as in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}:{}", self.host, self.port)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let fail = |reason| EndpointError { text: text.to_owned(), reason };
        if text.starts_with("https://") {
            return Err(fail("TLS is not supported yet; write http://"));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains("://") {
            return Err(fail("the scheme must be http"));
        }
        if rest.contains(['/', '?', '#', '@']) || rest.chars().any(char::is_whitespace) {
            return Err(fail("it must be host:port without path or user"));
        }
        // The port begins at a colon that is not inside the brackets of an IPv6 address.
        let (host, port) = match rest.rfind(':') {
            Some(at) if !rest[at..].contains(']') => (&rest[..at], Some(&rest[at + 1..])),
            _ => (rest, None),
        };
        if host.is_empty() {
            return Err(fail("the host is missing"));
        }
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.contains(':') && !bracketed {
            return Err(fail("an IPv6 address stands in brackets, as in [::1]:7480"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let good = if bracketed {
            host[1..host.len() - 1].parse::<Ipv6Addr>().is_ok()
        } else {
            host.chars().all(plain)
        };
        if !good {
            return Err(fail("the host must be a name or an address"));
        }
        let port = match port {
            None => Self::DEFAULT_PORT,
            Some(digits) => match digits.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(fail("the port must be a number from 1 to 65535")),
            },
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls_and_addresses() {
        for (text, want) in [
            ("http://127.0.0.1:7480", "http://127.0.0.1:7480"),
            ("http://127.0.0.1:7490/", "http://127.0.0.1:7490"),
            ("n1.example:81", "http://n1.example:81"),
            ("n1", "http://n1:7480"),
            ("[::1]", "http://[::1]:7480"),
            ("[::1]:9", "http://[::1]:9"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), want);
        }
        assert_eq!("[::1]:9".parse::<Endpoint>().unwrap().host(), "::1");
    }

    #[test]
    fn says_why_a_text_is_not_an_endpoint() {
        for (text, reason) in [
            ("https://a:1", "TLS"),
            ("ftp://a:1", "scheme"),
            ("http://a:1/v1", "path"),
            ("a:0", "port"),
            ("a:70000", "port"),
            (":7480", "host"),
            ("::1", "brackets"),
            ("[::x]:1", "host"),
            ("a!b:1", "host"),
            ("a b", "path"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_list_may_have_blanks_but_not_be_empty() {
        assert_eq!(Endpoint::parse_list("a, b:1,").unwrap().len(), 2);
        assert!(Endpoint::parse_list(" , ").is_err());
    }
}
