//! `remex serve`: runs a node.

use std::future::{self, Future};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use remex::{Fatal, Node, OpenError};
use remex_http::{Guests, Listener, Options, Surface};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::banner::{Addresses, banner, client_url};
use super::neighbors::{Others, Peers};
use super::{join, runtime};
use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::logs::Logs;
use crate::notify::Notifier;
use crate::output;
use crate::settings::{Flags, Layers, LogFormat, Server};
use crate::stop::{Input, Stop};

/// Time that requests under way have to finish after the node was told to stop.
/// As long as a request may take by default.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Time that the node has to stop, requests under way included.
const STOP_MAX: Duration = Duration::from_millis(9_500);
/// Most threads for requests unless told otherwise.
const WORKER_THREADS_MAX: usize = 4;

/// Run a node
#[derive(Debug, Args)]
#[command(after_help = "\
Alone it is a one-node cluster at once. With --join it asks any node of a running cluster to take it
in; with --join and --expect, the same command line on every machine founds one cluster, in any
order of starting; with --wait it waits to be invited (remex cluster add). Once it is a member none
of these changes anything: the same command line is right for every restart. A node that lost its
disk comes back under its --name by itself. Settings come from flags, REMEX_* variables (--data-dir
is REMEX_DATA_DIR), the file named by --config (TOML: data-dir = '…'), and defaults, in this order.

SIGTERM and Ctrl-C stop the node in good order within 10 s; a second one stops it at once. Exit code
9 if the node was removed from its cluster: do not start it again with its old data.

Examples:
  remex serve
  remex serve --data-dir /var/lib/remex --listen 10.0.0.1:7480 --peer-listen 10.0.0.1:7481
  remex serve --name n1 --listen 10.0.0.1:7480 --peer-listen 10.0.0.1:7481 \\
      --join 10.0.0.1:7481,10.0.0.2:7481,10.0.0.3:7481 --expect 3
  remex serve --name n4 --listen 10.0.0.4:7480 --peer-listen 10.0.0.4:7481 \\
      --join http://10.0.0.1:7480
  remex serve --name n1 --cluster-file cluster.json
  remex serve --dialect hraftd=127.0.0.1:11000 --dialect raftexample=127.0.0.1:12380
  remex serve --wait --log-format json --log-level info,remex_http=debug
  REMEX_MAX_VALUE_BYTES=64KiB remex serve --config remex.toml")]
pub(crate) struct Serve {
    #[command(flatten)]
    flags: Flags,
    /// Settings file (TOML) [env: REMEX_CONFIG]
    #[arg(long, value_name = "FILE", env = "REMEX_CONFIG", hide_env = true, help_heading = "Node")]
    config: Option<PathBuf>,
    /// Stop when standard input ends. For a parent that must leave nobody behind, however it ends
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl Serve {
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        let input = if self.exit_with_parent { Input::EndStops } else { Input::Ignored };
        let extra = Extra { config: self.config, input, ..Extra::default() };
        run_with(self.flags, extra, globals)
    }
}

/// What is said to a server beside its settings.
#[derive(Default)]
pub(crate) struct Extra {
    /// The settings file.
    pub(crate) config: Option<PathBuf>,
    /// What standard input says about stopping.
    pub(crate) input: Input,
    /// Lines for people, said before anything else.
    pub(crate) remarks: Vec<String>,
    /// What is written to standard output as soon as it serves, in place of the banner.
    pub(crate) greeting: Option<String>,
    /// Work that begins as soon as it serves, and is dropped when it stops.
    pub(crate) beside: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Runs a node with these settings until it is stopped.
pub(crate) fn run_with(flags: Flags, extra: Extra, globals: &Globals) -> Result<(), Failure> {
    let (layers, server) = read(flags, extra.config.as_deref())
        .inspect_err(|_| say(&extra.remarks, LogFormat::Text))?;
    let logs = Logs::start(&server.log_level, server.log_format, globals.color.is_on());
    say(&extra.remarks, server.log_format);
    for stranger in layers.strangers() {
        tracing::warn!("{stranger}");
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = server.worker_threads.unwrap_or_else(|| {
        // One core is the driver's.
        cores.saturating_sub(1).clamp(1, WORKER_THREADS_MAX)
    });
    let runtime = runtime(Builder::new_multi_thread().worker_threads(workers).enable_all())?;
    let format = server.log_format;
    let work = serve(server, Arc::new(logs), extra, globals.quiet);
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result.map_err(|failure| logged(failure, format))
}

/// Reads all settings.
pub(crate) fn read(flags: Flags, config: Option<&Path>) -> Result<(Layers, Server), Failure> {
    let layers = Layers::read(flags, config)?;
    let server = Server::from_layers(&layers)?;
    Ok((layers, server))
}

/// Says lines to people in the form that all lines have.
fn say(lines: &[String], format: LogFormat) {
    for line in lines {
        match format {
            LogFormat::Text => output::note(line),
            LogFormat::Json => tracing::info!("{line}"),
        }
    }
}

/// Where every line of standard error is an object, so is the last one.
fn logged(failure: Failure, format: LogFormat) -> Failure {
    match format {
        LogFormat::Text => failure,
        LogFormat::Json => {
            if !failure.message.is_empty() {
                tracing::error!(exit_code = failure.exit as u8, "{}", failure.message);
            }
            Failure::silent(failure.exit)
        }
    }
}

async fn serve(server: Server, logs: Arc<Logs>, extra: Extra, quiet: bool) -> Result<(), Failure> {
    let mut stop = Stop::listen(extra.input)?;
    // Before the node opens: a busy port is the likeliest mistake, and the cheapest to find.
    let listeners = listen(&server).await?;
    let addresses = Addresses::of(&listeners)?;
    addresses.warn_if_open();
    let mut config = server.node;
    config.client_url = server.advertise.unwrap_or_else(|| client_url(addresses.client));
    if config.single_port {
        config.peer_listen = addresses.client;
    }
    let (url, data_dir) = (config.client_url.clone(), config.data_dir.clone());
    let single_port = config.single_port;
    let opened = async {
        join::resolve(&mut config, &server.join_urls).await;
        Node::open(config).await
    };
    let node = tokio::select! {
        opened = Box::pin(opened) => opened.map_err(not_opened)?,
        () = stop.asked() => return Ok(()),
    };

    let options = Options {
        request_timeout_ms: millis(server.request_timeout),
        drain_timeout_ms: millis(DRAIN_MAX),
        allow_hosts: server.allow_hosts,
        ..Options::default()
    };
    let surface = surface(&node, logs, single_port, options);
    let (begin_drain, drain) = oneshot::channel::<()>();
    let drain = async move {
        // A sender that is gone means the same as its message.
        drain.await.ok();
    };
    let mut http = tokio::spawn(remex_http::serve(listeners, surface, drain));
    if !quiet {
        let banner = || banner(&url, &data_dir, node.peer_address(), &addresses);
        let text = extra.greeting.unwrap_or_else(banner);
        // Whoever closed standard output does not want to read this.
        output::write(text.as_bytes()).ok();
    }

    let notifier = Notifier::ready(node.admin());
    let beside = async {
        if let Some(work) = extra.beside {
            work.await;
        }
        future::pending::<()>().await;
    };
    tokio::select! {
        () = stop.asked() => {}
        fatal = node.failed() => return Err(failed(fatal)),
        ended = &mut http => {
            let why = match ended {
                Ok(Ok(())) => "it ended by itself".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            return Err(Failure::new(Exit::Failure, format!("cannot serve clients: {why}")));
        }
        () = beside => {}
    }
    tracing::info!("stopping");
    notifier.stopping();
    node.drain();
    drop(begin_drain);
    tokio::select! {
        finished = timeout(STOP_MAX, finish(node, http)) => match finished {
            Ok(stopped) => stopped.map_err(failed),
            Err(_) => Err(Failure::new(Exit::Failure, "the node did not stop in good time")
                .remedy("nothing acknowledged is lost; the next start recovers")),
        },
        () = stop.asked() => Err(Failure::silent(Exit::Interrupted)),
    }
}

/// Lets requests under way finish, and stops the node in good order.
async fn finish(node: Node, http: JoinHandle<io::Result<()>>) -> Result<(), Fatal> {
    match http.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "serving clients ended badly"),
        Err(error) => tracing::warn!(%error, "serving clients ended badly"),
    }
    node.shutdown().await
}

/// Why the node did not start.
pub(crate) fn not_opened(error: OpenError) -> Failure {
    let exit = match error {
        OpenError::Removed(_) => Exit::Protected,
        OpenError::Config(_) => Exit::Usage,
        OpenError::DataDir { .. }
        | OpenError::Locked { .. }
        | OpenError::Identity(_)
        | OpenError::Listen { .. }
        | OpenError::Recovery(_)
        | OpenError::Full(_) => Exit::Failure,
    };
    Failure::new(exit, error)
}

/// Why the node ended.
pub(crate) fn failed(fatal: Fatal) -> Failure {
    let exit = match fatal {
        Fatal::Removed(_) => Exit::Protected,
        Fatal::Failed(_) => Exit::Failure,
    };
    Failure::new(exit, fatal)
}

fn surface(node: &Node, logs: Arc<Logs>, single_port: bool, options: Options) -> Surface {
    Surface {
        logs: Some(logs),
        neighbors: Some(Arc::new(Others)),
        guests: single_port.then(|| Arc::new(Peers(node.peers())) as Arc<dyn Guests>),
        options,
        ..Surface::new(node.service(), node.admin())
    }
}

/// Opens the port for clients, which comes first, and those of the dialects.
async fn listen(server: &Server) -> Result<Vec<Listener>, Failure> {
    let mut listeners = vec![bind(server.listen, "clients", "--listen").await?.into()];
    for &(dialect, address) in &server.dialects {
        let (whom, setting) =
            (format!("clients of {dialect}"), format!("--dialect {dialect}=ADDR"));
        let socket = bind(address, &whom, &setting).await?;
        listeners.push(Listener { socket, dialect: Some(dialect) });
    }
    Ok(listeners)
}

async fn bind(address: SocketAddr, whom: &str, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(Exit::Failure, format!("cannot listen for {whom} on {address}: {why}"))
            .remedy(format!("stop what listens there, or choose another address with {setting}"))
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
