//! The settings of a server, read and checked.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use remex::Config;
use remex_client::Endpoint;
use remex_model::Limits;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{Layers, units};
use crate::exit::Failure;

/// Smallest segment of the log and buffer of the state: less costs more than it saves.
const SIZE_MIN: u64 = 64 * 1024;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged: the parts and their levels, and the text that says so.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter {
    pub(crate) text: String,
    pub(crate) targets: Targets,
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WANT: &str = "must be error, warn, info, debug, trace or off, or by part as in \
                            info,remex_http=debug";
        // `Targets` takes a bare word that is no level for the name of a part.
        let is_known = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
        match text.parse() {
            Ok(targets) if text.split(',').map(str::trim).all(is_known) => {
                Ok(Self { text: text.to_owned(), targets })
            }
            _ => Err(WANT.to_owned()),
        }
    }
}

/// Everything that `remex serve` is told.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// URL that clients are told; `None` to make it from the address listened on.
    pub(crate) advertise: Option<String>,
    /// What the node is told; its `client_url` follows from the two above, and its `join` has yet
    /// to be completed with what the nodes below say.
    pub(crate) node: Config,
    /// Nodes of the cluster to join that are named by their URL for clients.
    pub(crate) join_urls: Vec<Endpoint>,
    /// Time for one request.
    pub(crate) request_timeout: Duration,
    /// How logs are written.
    pub(crate) log_format: LogFormat,
    /// What is logged.
    pub(crate) log_level: LogFilter,
    /// Threads for requests; `None` for as many as fit the machine.
    pub(crate) worker_threads: Option<usize>,
}

impl Server {
    /// Reads every setting.
    pub(crate) fn from_layers(layers: &Layers) -> Result<Self, Failure> {
        let mut node = Config::new(layers.value("data-dir", path)?);
        node.name = layers.optional("name", name)?;
        node.peer_listen = layers.value("peer-listen", address)?;
        node.peer_advertise = layers.optional("peer-advertise", host_and_port)?;
        let (join, join_urls) = layers.optional("join", nodes)?.unwrap_or_default();
        node.join = join;
        node.expect = layers.optional("expect", |text| number(text, 1, 99))?;
        node.wait = layers.optional("wait", switch)?.unwrap_or(false);
        node.log_keep_bytes = layers.value("log-keep-bytes", |text| size(text, 0))?;
        node.segment_bytes = layers.value("segment-bytes", |text| size(text, SIZE_MIN))?;
        let buffer_bytes = layers.value("buffer-bytes", |text| size(text, SIZE_MIN))?;
        node.buffer_bytes = usize::try_from(buffer_bytes).unwrap_or(usize::MAX);
        node.heartbeat_ms = layers.value("heartbeat", milliseconds)?;
        node.election_timeout_ms = layers.value("election-timeout", milliseconds)?;
        node.limits = limits(layers)?;
        if node.election_timeout_ms < node.heartbeat_ms.saturating_mul(3) {
            return Err(Failure::usage(
                "--election-timeout must be at least three times --heartbeat",
            )
            .remedy("leave both at their defaults (750ms and 100ms) unless the network is slow"));
        }
        let joins = !node.join.is_empty() || !join_urls.is_empty();
        if node.wait && joins {
            return Err(Failure::usage("--wait and --join contradict each other")
                .remedy("leave --wait out to join, or --join to be invited"));
        }
        if node.expect.is_some() && !joins {
            return Err(Failure::usage("--expect says how many nodes, but --join names none")
                .remedy("add --join HOST:PORT,… with the peer addresses of the nodes"));
        }
        let reachable = node.peer_advertise.is_some() || !node.peer_listen.ip().is_unspecified();
        if !reachable && joins {
            let message = format!("other nodes cannot connect to {}", node.peer_listen);
            return Err(Failure::usage(message)
                .remedy("add --peer-advertise HOST:PORT with an address that they can reach"));
        }
        Ok(Self {
            listen: layers.value("listen", address)?,
            advertise: layers.optional("advertise", url)?,
            node,
            join_urls,
            request_timeout: Duration::from_millis(layers.value("request-timeout", milliseconds)?),
            log_format: layers.value("log-format", log_format)?,
            log_level: layers.value("log-level", |text| text.parse())?,
            worker_threads: layers.optional("worker-threads", |text| number(text, 1, 1024))?,
        })
    }
}

fn limits(layers: &Layers) -> Result<Limits, Failure> {
    let size = |text: &str, max: usize| match units::size(text)? {
        0 => Err("must be at least 1".to_owned()),
        bytes if bytes > max => Err(format!("is over the maximum of {max} bytes")),
        bytes => Ok(bytes),
    };
    Ok(Limits {
        key_chars_max: layers
            .value("max-key-chars", |text| number(text, 1, Limits::KEY_CHARS_CEILING))?,
        value_bytes_max: layers
            .value("max-value-bytes", |text| size(text, Limits::VALUE_BYTES_CEILING))?,
        batch_writes_max: layers.value("max-batch-ops", |text| number(text, 1, 1_000_000))?,
        request_bytes_max: layers.value("max-request-bytes", |text| size(text, 1 << 30))?,
        list_keys_max: layers.value("max-list-keys", |text| number(text, 1, 1_000_000))?,
        ..Limits::default()
    })
}

#[expect(clippy::unnecessary_wraps, reason = "a reader of settings may fail; this one does not")]
fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

/// Checks the label of a node.
pub(crate) fn check_name(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.chars().count() > 64 || !text.chars().all(good) {
        return Err("must be 1 to 64 letters, digits, '-', '_' or '.'".to_owned());
    }
    Ok(())
}

fn name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Reads a size that may be as large as the disk.
fn size(text: &str, min: u64) -> Result<u64, String> {
    match units::size(text)? as u64 {
        bytes if bytes < min => Err(format!("must be at least {min} bytes")),
        bytes => Ok(bytes),
    }
}

fn number(text: &str, min: usize, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from {min} to {max}")),
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let duration = units::duration(text)?;
    match u64::try_from(duration.as_millis()) {
        Ok(0) => Err("must be at least 1ms".to_owned()),
        Ok(ms) if ms <= 86_400_000 => Ok(ms),
        _ => Err("must be at most 1d".to_owned()),
    }
}

/// An address to listen on; a name is resolved.
fn address(text: &str) -> Result<SocketAddr, String> {
    const WANT: &str = "is not an address such as 127.0.0.1:7480";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let mut found = text.to_socket_addrs().map_err(|error| format!("{WANT}: {error}"))?;
    found.next().ok_or_else(|| WANT.to_owned())
}

fn host_and_port(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(port) if port != 0 && !text.contains('/') => Ok(text.to_owned()),
        _ => Err("is not HOST:PORT".to_owned()),
    }
}

/// Peer addresses, and URLs of nodes that know theirs.
fn nodes(text: &str) -> Result<(Vec<String>, Vec<Endpoint>), String> {
    let (mut peers, mut urls) = (Vec::new(), Vec::new());
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        if part.contains("://") {
            urls.push(endpoint(part)?);
        } else {
            let peer = host_and_port(part);
            peers.push(peer.map_err(|why| format!("is not a list: '{part}' {why}"))?);
        }
    }
    Ok((peers, urls))
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error: remex_client::EndpointError| format!("is no URL: {error}"))
}

/// A URL that clients can be told.
fn url(text: &str) -> Result<String, String> {
    let endpoint = endpoint(text)?;
    if !text.starts_with("http://") {
        return Err(format!("is no URL; did you mean http://{text}?"));
    }
    if endpoint.host().parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()) {
        return Err("is no address that clients can connect to".to_owned());
    }
    Ok(endpoint.to_string())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Flags;

    fn read(flags: &[(&'static str, &str)]) -> Result<Server, Failure> {
        let flags = flags.iter().map(|&(name, text)| (name, text.to_owned())).collect();
        Server::from_layers(&Layers::read(Flags(flags), None)?)
    }

    #[test]
    fn the_defaults_are_those_of_the_model() {
        let server = read(&[]).unwrap();
        assert_eq!(server.node.limits, Limits::default());
        let config = Config::new("./remex-data");
        assert_eq!(server.node.heartbeat_ms, config.heartbeat_ms);
        assert_eq!(server.node.election_timeout_ms, config.election_timeout_ms);
        assert_eq!(server.node.log_keep_bytes, config.log_keep_bytes);
        assert_eq!(server.node.segment_bytes, config.segment_bytes);
        assert_eq!(server.node.buffer_bytes, config.buffer_bytes);
        assert_eq!(server.request_timeout, Duration::from_secs(5));
        assert_eq!(server.node.data_dir, config.data_dir);
    }

    #[test]
    fn nodes_to_join_are_addresses_or_urls() {
        let server = read(&[("join", "a:1, http://b:2,http://c")]).unwrap();
        assert_eq!(server.node.join, ["a:1"]);
        let urls: Vec<String> = server.join_urls.iter().map(ToString::to_string).collect();
        assert_eq!(urls, ["http://b:2", "http://c:7480"]);
        assert!(read(&[("wait", "true")]).unwrap().node.wait);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (flags, want) in [
            (&[("listen", "nonsense")][..], "is not an address"),
            (&[("expect", "3")], "--join names none"),
            (&[("expect", "0"), ("join", "a:1")], "a number from 1"),
            (&[("join", "a:1,b")], "'b' is not HOST:PORT"),
            (&[("join", "a:1"), ("peer-listen", "0.0.0.0:7481")], "cannot connect"),
            (&[("max-value-bytes", "2MiB")], "over the maximum"),
            (&[("max-key-chars", "4097")], "from 1 to 4096"),
            (&[("heartbeat", "500ms")], "three times"),
            (&[("log-format", "xml")], "text or json"),
            (&[("log-level", "loud")], "must be error"),
            (&[("advertise", "https://a")], "TLS"),
            (&[("advertise", "n1")], "did you mean http://n1?"),
            (&[("advertise", "http://!")], "host"),
            (&[("advertise", "http://0.0.0.0:7480")], "connect to"),
            (&[("join", "http://")], "is no URL"),
            (&[("join", "a:1"), ("wait", "true")], "contradict"),
            (&[("wait", "perhaps")], "true or false"),
            (&[("name", "a b")], "letters"),
        ] {
            let failure = read(flags).unwrap_err();
            assert!(failure.message.contains(want), "{flags:?}: {}", failure.message);
        }
    }
}
