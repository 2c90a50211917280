//! The settings of a server, read and checked.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use remex::Config;
use remex_client::Endpoint;
use remex_model::Limits;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{Layers, units};
use crate::exit::Failure;

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that `remex serve` is told.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// URL that clients are told; `None` to make it from the address listened on.
    pub(crate) advertise: Option<String>,
    /// What the node is told; its `client_url` follows from the two above.
    pub(crate) node: Config,
    /// Time for one request.
    pub(crate) request_timeout: Duration,
    /// How logs are written.
    pub(crate) log_format: LogFormat,
    /// What is logged.
    pub(crate) log_level: Targets,
    /// Threads for requests; `None` for as many as fit the machine.
    pub(crate) worker_threads: Option<usize>,
}

impl Server {
    /// Reads every setting.
    pub(crate) fn from_layers(layers: &Layers) -> Result<Self, Failure> {
        let mut node = Config::new(layers.value("data-dir", path)?);
        node.name = layers.optional("name", text)?;
        node.peer_listen = layers.value("peer-listen", address)?;
        node.peer_advertise = layers.optional("peer-advertise", host_and_port)?;
        node.join = layers.optional("join", hosts_and_ports)?.unwrap_or_default();
        node.expect = layers.optional("expect", |text| number(text, 1, 99))?;
        node.heartbeat_ms = layers.value("heartbeat", milliseconds)?;
        node.election_timeout_ms = layers.value("election-timeout", milliseconds)?;
        node.limits = limits(layers)?;
        if node.election_timeout_ms < node.heartbeat_ms.saturating_mul(3) {
            return Err(Failure::usage(
                "--election-timeout must be at least three times --heartbeat",
            )
            .remedy("leave both at their defaults (1s and 100ms) unless the network is slow"));
        }
        if node.expect.is_some() && node.join.is_empty() {
            return Err(Failure::usage("--expect says how many nodes, but --join names none")
                .remedy("add --join HOST:PORT,… with the peer addresses of the nodes"));
        }
        let reachable = node.peer_advertise.is_some() || !node.peer_listen.ip().is_unspecified();
        if !reachable && !node.join.is_empty() {
            let message = format!("other nodes cannot connect to {}", node.peer_listen);
            return Err(Failure::usage(message)
                .remedy("add --peer-advertise HOST:PORT with an address that they can reach"));
        }
        Ok(Self {
            listen: layers.value("listen", address)?,
            advertise: layers.optional("advertise", url)?,
            node,
            request_timeout: Duration::from_millis(layers.value("request-timeout", milliseconds)?),
            log_format: layers.value("log-format", log_format)?,
            log_level: layers.value("log-level", log_level)?,
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

fn text(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.chars().count() > 64 || !text.chars().all(good) {
        return Err("must be 1 to 64 letters, digits, '-', '_' or '.'".to_owned());
    }
    Ok(text.to_owned())
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

fn hosts_and_ports(text: &str) -> Result<Vec<String>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| host_and_port(part).map_err(|why| format!("is not a list: '{part}' {why}")))
        .collect()
}

fn url(text: &str) -> Result<String, String> {
    let endpoint: Endpoint =
        text.parse().map_err(|error: remex_client::EndpointError| format!("is no URL: {error}"))?;
    Ok(endpoint.to_string())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

fn log_level(text: &str) -> Result<Targets, String> {
    const WANT: &str =
        "must be error, warn, info, debug, trace or off, or by part as in info,remex_http=debug";
    // `Targets` takes a bare word that is no level for the name of a part.
    let is_known = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    match text.parse() {
        Ok(targets) if text.split(',').map(str::trim).all(is_known) => Ok(targets),
        _ => Err(WANT.to_owned()),
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
        assert_eq!(server.request_timeout, Duration::from_secs(5));
        assert_eq!(server.node.data_dir, config.data_dir);
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
            (&[("name", "a b")], "letters"),
        ] {
            let failure = read(flags).unwrap_err();
            assert!(failure.message.contains(want), "{flags:?}: {}", failure.message);
        }
    }
}
