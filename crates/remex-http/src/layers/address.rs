//! Addresses of nodes in requests.

use remex_model::{Error, ErrorCode};

/// `host:port` of `host:port` or `http://host:port`, as `field` of a request gives it.
///
/// # Errors
/// If it cannot be the address of a node.
pub(crate) fn peer_address(field: &str, url: &str) -> Result<String, Error> {
    let fail = |why: &str| {
        let detail = format!("`{field}` is `{url}`; {why}");
        Err(Error::new(ErrorCode::BadRequest, detail))
    };
    if url.starts_with("https://") {
        return fail("TLS between nodes is not supported yet");
    }
    let address = url.strip_prefix("http://").unwrap_or(url);
    let address = address.strip_suffix('/').unwrap_or(address);
    let Some((host, port)) = address.rsplit_once(':') else {
        return fail("it must be HOST:PORT with the port for peers");
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = |character: char| !character.is_whitespace() && !"/?#@".contains(character);
    if host.is_empty() || !host.chars().all(is_host) || (host.contains(':') && !is_bracketed) {
        return fail("it must be HOST:PORT, an IPv6 address in brackets");
    }
    match port.parse::<u16>() {
        Ok(port) if port != 0 => Ok(address.to_owned()),
        _ => fail("its port must be a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_hosts_with_ports() {
        for (url, address) in [
            ("10.0.0.4:7481", "10.0.0.4:7481"),
            ("http://n4.example:7481/", "n4.example:7481"),
            ("[::1]:7481", "[::1]:7481"),
        ] {
            assert_eq!(peer_address("peer_url", url).unwrap(), address);
        }
        for url in ["", "n4", "n4:0", "n4:x", ":7481", "::1", "https://n4:1", "a b:1", "n4:1/x"] {
            let error = peer_address("peer_url", url).unwrap_err();
            assert!(error.detail.contains(&format!("`{url}`")), "{}", error.detail);
        }
    }
}
