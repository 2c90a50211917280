//! The settings of a server, read and checked.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use remex::Config;
use remex_client::Endpoint;
use remex_http::Dialect;
use remex_model::Limits;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::readers::{
    address, dialects, host_and_port, hosts, log_format, milliseconds, name, nodes, number, path,
    size, switch, url,
};
use super::{Layers, ports, units};
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
    /// Dialects that have a port of their own, and where.
    pub(crate) dialects: Vec<(Dialect, SocketAddr)>,
    /// Host names under which requests that write by GET are taken, beside the usual ones.
    pub(crate) allow_hosts: Vec<String>,
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
        let listen = layers.value("listen", address)?;
        let mut node = Config::new(layers.value("data-dir", path)?);
        node.name = layers.optional("name", name)?;
        node.log_dir = layers.optional("log-dir", path)?;
        node.engine_dir = layers.optional("engine-dir", path)?;
        node.snapshot_dir = layers.optional("snapshot-dir", path)?;
        node.single_port = layers.optional("single-port", switch)?.unwrap_or(false);
        node.peer_listen = peer_listen(layers, node.single_port, listen)?;
        node.peer_advertise = layers.optional("peer-advertise", host_and_port)?;
        let dialects = layers.optional("dialect", dialects)?.unwrap_or_default();
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
        node.peer_timeout_ms = layers.value("peer-timeout", milliseconds)?;
        node.forward_timeout_ms = layers.optional("forward-timeout", milliseconds)?;
        let retries = layers.value("connect-retries", |text| number(text, 1, 1_000_000))?;
        node.connect_retries = u32::try_from(retries).unwrap_or(u32::MAX);
        node.connect_pause_ms = layers.value("connect-pause", milliseconds)?;
        node.connect_pause_max_ms = layers.value("connect-pause-max", milliseconds)?;
        ports::check(&taken(listen, &node, &dialects))?;
        check(&node, &join_urls)?;
        let joins = !node.join.is_empty() || !join_urls.is_empty();
        let reachable = node.peer_advertise.is_some() || !node.peer_listen.ip().is_unspecified();
        if !reachable && joins {
            let message = format!("other nodes cannot connect to {}", node.peer_listen);
            return Err(Failure::usage(message)
                .remedy("add --peer-advertise HOST:PORT with an address that they can reach"));
        }
        Ok(Self {
            listen,
            advertise: layers.optional("advertise", url)?,
            dialects,
            allow_hosts: layers.optional("allow-host", hosts)?.unwrap_or_default(),
            node,
            join_urls,
            request_timeout: Duration::from_millis(layers.value("request-timeout", milliseconds)?),
            log_format: layers.value("log-format", log_format)?,
            log_level: layers.value("log-level", |text| text.parse())?,
            worker_threads: layers.optional("worker-threads", |text| number(text, 1, 1024))?,
        })
    }
}

/// Where peers connect: with a single port where clients do.
fn peer_listen(
    layers: &Layers,
    single_port: bool,
    listen: SocketAddr,
) -> Result<SocketAddr, Failure> {
    let peer_listen = layers.value("peer-listen", address)?;
    if !single_port {
        return Ok(peer_listen);
    }
    if layers.is_given("peer-listen") && peer_listen != listen {
        let message = format!(
            "--peer-listen is {peer_listen}, but with --single-port peers connect to --listen, {listen}"
        );
        return Err(Failure::usage(message).remedy("leave one of the two out"));
    }
    Ok(listen)
}

/// Every address that is listened on, with the setting that says so.
fn taken(
    listen: SocketAddr,
    node: &Config,
    dialects: &[(Dialect, SocketAddr)],
) -> Vec<(String, SocketAddr)> {
    let mut taken = vec![("--listen".to_owned(), listen)];
    if !node.single_port {
        taken.push(("--peer-listen".to_owned(), node.peer_listen));
    }
    let dialects = dialects.iter();
    taken.extend(dialects.map(|(dialect, address)| (format!("--dialect {dialect}"), *address)));
    taken
}

/// Checks that what the node is told fits together, as far as it is known yet.
fn check(node: &Config, join_urls: &[Endpoint]) -> Result<(), Failure> {
    let mut node = node.clone();
    // What will be told by the nodes at the URLs, and by the system for a port that it chooses.
    node.join.extend(join_urls.iter().map(ToString::to_string));
    if node.peer_listen.port() == 0 {
        node.peer_listen.set_port(1);
    }
    node.check().map_err(Failure::usage)
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
        assert_eq!(server.node.peer_timeout_ms, config.peer_timeout_ms);
        assert_eq!(server.node.forward_timeout_ms, config.forward_timeout_ms);
        assert_eq!(server.node.connect_retries, config.connect_retries);
        assert_eq!(server.node.connect_pause_ms, config.connect_pause_ms);
        assert_eq!(server.node.connect_pause_max_ms, config.connect_pause_max_ms);
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
    fn dialects_have_addresses_of_their_own() {
        let text = "hraftd=127.0.0.1:11000,raftexample=localhost:0";
        let server = read(&[("dialect", text)]).unwrap();
        let names: Vec<&str> =
            server.dialects.iter().map(|(dialect, _)| dialect.as_str()).collect();
        assert_eq!(names, ["hraftd", "raftexample"]);
        assert_eq!(server.dialects[0].1, "127.0.0.1:11000".parse().unwrap());
        let hosts = read(&[("allow-host", "kv.example.com, A.b")]).unwrap().allow_hosts;
        assert_eq!(hosts, ["kv.example.com", "a.b"]);
    }

    #[test]
    fn with_a_single_port_peers_connect_where_clients_do() {
        let flags = [("single-port", "true"), ("listen", "127.0.0.1:9079")];
        let node = read(&flags).unwrap().node;
        assert!(node.single_port);
        assert_eq!(node.peer_listen, "127.0.0.1:9079".parse().unwrap());
        read(&[("single-port", "true"), ("listen", "127.0.0.1:0")]).unwrap();
        let said_twice = [flags[0], flags[1], ("peer-listen", "127.0.0.1:9079")];
        assert!(read(&said_twice).unwrap().node.single_port);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (flags, want) in [
            (&[("listen", "nonsense")][..], "is not an address"),
            (&[("expect", "3")], "--expect needs --join"),
            (&[("expect", "0"), ("join", "a:1")], "a number from 1"),
            (&[("join", "a:1,b")], "'b' is not HOST:PORT"),
            (&[("join", "a:1"), ("peer-listen", "0.0.0.0:7481")], "cannot connect"),
            (&[("max-value-bytes", "2MiB")], "over the maximum"),
            (&[("max-key-chars", "4097")], "from 1 to 4096"),
            (&[("heartbeat", "500ms")], "three heartbeats"),
            (&[("log-format", "xml")], "text or json"),
            (&[("log-level", "loud")], "must be error"),
            (&[("advertise", "https://a")], "TLS"),
            (&[("advertise", "n1")], "did you mean http://n1?"),
            (&[("advertise", "http://!")], "host"),
            (&[("advertise", "http://0.0.0.0:7480")], "connect to"),
            (&[("join", "http://")], "is no URL"),
            (&[("join", "a:1"), ("wait", "true")], "give one of them"),
            (&[("wait", "perhaps")], "true or false"),
            (&[("name", "a b")], "letters"),
            (&[("connect-pause", "2s")], "longer than the longest one (1000 ms)"),
            (&[("peer-timeout", "100ms")], "longer than a heartbeat (100 ms)"),
            (&[("connect-retries", "0")], "a number from 1"),
            (&[("forward-timeout", "0")], "at least 1ms"),
            (&[("dialect", "hraftd")], "must be NAME=ADDR"),
            (&[("dialect", "etcd=127.0.0.1:1")], "there are "),
            (&[("dialect", "hraftd=nowhere")], "is not an address"),
            (&[("dialect", "hraftd=127.0.0.1:7480")], "--listen and --dialect hraftd"),
            (&[("peer-listen", "0.0.0.0:7480")], "--single-port"),
            (&[("single-port", "true"), ("peer-listen", "127.0.0.1:7481")], "leave one"),
            (&[("allow-host", "a b")], "'a b' is no host name"),
        ] {
            let failure = read(flags).unwrap_err();
            assert!(failure.message.contains(want), "{flags:?}: {}", failure.message);
        }
    }
}
