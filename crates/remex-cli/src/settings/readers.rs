//! How the text of a setting is read. An error is the end of a sentence that begins with the text.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use remex_client::Endpoint;
use remex_http::Dialect;

use super::{LogFormat, units};

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("must name a folder".to_owned()),
        text => Ok(PathBuf::from(text)),
    }
}

/// Checks the label of a node.
pub(crate) fn check_name(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    if text.is_empty() || text.chars().count() > 64 || !text.chars().all(good) {
        return Err("must be 1 to 64 letters, digits, '-', '_', '.' or ':'".to_owned());
    }
    Ok(())
}

pub(super) fn name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned())
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Reads a size that may be as large as the disk.
pub(super) fn size(text: &str, min: u64) -> Result<u64, String> {
    match units::size(text)? as u64 {
        bytes if bytes < min => Err(format!("must be at least {min} bytes")),
        bytes => Ok(bytes),
    }
}

pub(super) fn number(text: &str, min: usize, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from {min} to {max}")),
    }
}

pub(super) fn milliseconds(text: &str) -> Result<u64, String> {
    let duration = units::duration(text)?;
    match u64::try_from(duration.as_millis()) {
        Ok(0) => Err("must be at least 1ms".to_owned()),
        Ok(ms) if ms <= 86_400_000 => Ok(ms),
        _ => Err("must be at most 1d".to_owned()),
    }
}

/// An address to listen on; a name is resolved.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    const WANT: &str = "is not an address such as 127.0.0.1:7480";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let mut found = text.to_socket_addrs().map_err(|error| format!("{WANT}: {error}"))?;
    found.next().ok_or_else(|| WANT.to_owned())
}

pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(port) if port != 0 && !text.contains('/') => Ok(text.to_owned()),
        _ => Err("is not HOST:PORT".to_owned()),
    }
}

/// Peer addresses, and URLs of nodes that know theirs.
pub(super) fn nodes(text: &str) -> Result<(Vec<String>, Vec<Endpoint>), String> {
    let (mut peers, mut urls) = (Vec::new(), Vec::new());
    for part in parts(text) {
        if part.contains("://") {
            urls.push(endpoint(part)?);
        } else {
            let peer = host_and_port(part);
            peers.push(peer.map_err(|why| format!("is refused: '{part}' {why}"))?);
        }
    }
    Ok((peers, urls))
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error: remex_client::EndpointError| format!("is no URL: {error}"))
}

/// A URL that clients can be told.
pub(super) fn url(text: &str) -> Result<String, String> {
    let endpoint = endpoint(text)?;
    if !text.starts_with("http://") {
        return Err(format!("is no URL; did you mean http://{text}?"));
    }
    if endpoint.host().parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()) {
        return Err("is no address that clients can connect to".to_owned());
    }
    Ok(endpoint.to_string())
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

/// The parts of a comma separated list.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Dialects, and where each is spoken.
pub(super) fn dialects(text: &str) -> Result<Vec<(Dialect, SocketAddr)>, String> {
    let read = |part: &str| {
        let (name, place) = part.split_once('=').ok_or_else(|| {
            format!("must be NAME=ADDR, as in hraftd=127.0.0.1:11000; '{part}' has no =")
        })?;
        let dialect = name.trim().parse().map_err(|why| format!("is refused: '{name}' {why}"))?;
        let address =
            address(place.trim()).map_err(|why| format!("is refused: '{place}' {why}"))?;
        Ok((dialect, address))
    };
    parts(text).map(read).collect()
}

/// Host names, as a browser says them.
pub(super) fn hosts(text: &str) -> Result<Vec<String>, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let read = |part: &str| match part.chars().all(good) {
        true => Ok(part.to_ascii_lowercase()),
        false => Err(format!("is refused: '{part}' is no host name (without port)")),
    };
    parts(text).map(read).collect()
}
