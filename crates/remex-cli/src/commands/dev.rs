//! `remex dev`: a whole cluster on this machine.
//!
//! The nodes are processes of this same binary, so that what is tried out is what will run. Each
//! watches its standard input and stops in good order when that ends: closing it is how `dev`
//! stops a node, and if `dev` itself is killed, the system closes it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use remex_client::{Call, Client, Endpoint, Options};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::runtime;
use crate::cli::{Color, Globals, Paint};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::shell;
use crate::stop::Stop;

/// From one node's ports to the next one's.
const PORT_STEP: u16 = 10;
/// Time that a node has to stop in good order.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks at whether a node is ready.
const READY_PAUSE: Duration = Duration::from_millis(50);

/// Run a whole cluster on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Starts the nodes as processes, shows their logs, waits until they serve, and stops them on
Ctrl-C. The data is thrown away afterwards unless --keep names a directory; the next --keep with
that directory goes on from it.

Node K listens for clients on port-base + 10 (K - 1), for the other nodes on the port after that.

Examples:
  remex dev
  remex dev --nodes 5 --port-base 9000
  remex dev --keep ./cluster")]
pub(crate) struct Dev {
    /// Number of nodes
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Port of the first node
    #[arg(long, value_name = "PORT", default_value_t = 7480,
        value_parser = clap::value_parser!(u16).range(1..=65_400))]
    port_base: u16,
    /// Keep the data here, and start from it
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// What the nodes log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

/// One node of the cluster.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    client_port: u16,
    peer_port: u16,
    data_dir: PathBuf,
    paint: Paint,
}

impl Member {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client_port)
    }

    fn peer_address(&self) -> String {
        format!("127.0.0.1:{}", self.peer_port)
    }
}

/// How the members are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    Stop,
    Kill,
}

impl Dev {
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        self.check_ports()?;
        let (data_dir, scratch) = self.data_dir()?;
        let members = self.members(&data_dir);
        let runtime = runtime(Builder::new_current_thread().enable_all())?;
        let result = runtime.block_on(self.supervise(&members, &data_dir, globals));
        if let Some(scratch) = scratch {
            let path = scratch.path().to_path_buf();
            scratch.close().map_err(|error| {
                let message = format!("cannot remove {}: {error}", path.display());
                Failure::new(Exit::Failure, message).remedy("remove it by hand")
            })?;
        }
        result
    }

    /// Every port must be free before anything is started or written.
    fn check_ports(&self) -> Result<(), Failure> {
        for member in self.members(Path::new("")) {
            for (port, user) in [(member.client_port, "clients"), (member.peer_port, "peers")] {
                let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
                let why = match error.kind() {
                    std::io::ErrorKind::AddrInUse => "is in use".to_owned(),
                    _ => format!("cannot be used: {error}"),
                };
                let message = format!("port {port} {why} ({user} of {})", member.name);
                return Err(Failure::new(Exit::Failure, message)
                    .remedy("stop what listens there, or choose other ports with --port-base"));
            }
        }
        Ok(())
    }

    /// Where the data goes; and the guard that removes it, if it is to be removed.
    fn data_dir(&self) -> Result<(PathBuf, Option<TempDir>), Failure> {
        let Some(keep) = &self.keep else {
            let scratch = tempfile::Builder::new().prefix("remex-dev-").tempdir();
            let scratch = scratch.map_err(|error| {
                Failure::new(
                    Exit::Failure,
                    format!("cannot make a directory for the data: {error}"),
                )
                .remedy("set TMPDIR, or name a directory with --keep")
            })?;
            return Ok((scratch.path().to_path_buf(), Some(scratch)));
        };
        std::fs::create_dir_all(keep).map_err(|error| {
            Failure::new(Exit::Failure, format!("cannot make {}: {error}", keep.display()))
                .remedy("name a directory that can be written with --keep")
        })?;
        let kept = (1..=9).filter(|number| keep.join(format!("n{number}")).exists()).count();
        if kept != 0 && kept != usize::from(self.nodes) {
            let message = format!("{} holds a cluster of {kept} nodes", keep.display());
            return Err(Failure::usage(message)
                .remedy(format!("add --nodes {kept}, or name another directory with --keep")));
        }
        self.check_kept_ports(keep)?;
        Ok((keep.clone(), None))
    }

    /// The nodes of a kept cluster know each other by their ports.
    fn check_kept_ports(&self, keep: &Path) -> Result<(), Failure> {
        let file = keep.join("port-base");
        match std::fs::read_to_string(&file) {
            Ok(kept) if kept.trim() != self.port_base.to_string() => {
                let kept = kept.trim();
                let message =
                    format!("the cluster in {} was made with --port-base {kept}", keep.display());
                Err(Failure::usage(message).remedy(format!(
                    "add --port-base {kept}, or name another directory with --keep"
                )))
            }
            Ok(_) => Ok(()),
            Err(_) => std::fs::write(&file, format!("{}\n", self.port_base)).map_err(|error| {
                Failure::new(Exit::Failure, format!("cannot write {}: {error}", file.display()))
                    .remedy("name a directory that can be written with --keep")
            }),
        }
    }

    fn members(&self, data_dir: &Path) -> Vec<Member> {
        let member = |number: u16| {
            let client_port = self.port_base + PORT_STEP * number;
            let name = format!("n{}", number + 1);
            Member {
                client_port,
                peer_port: client_port + 1,
                data_dir: data_dir.join(&name),
                name,
                paint: Paint::Node(usize::from(number)),
            }
        };
        (0..self.nodes).map(member).collect()
    }

    async fn supervise(
        &self,
        members: &[Member],
        data_dir: &Path,
        globals: &Globals,
    ) -> Result<(), Failure> {
        let mut stop = Stop::listen(false)?;
        let (order, orders) = watch::channel(Order::Run);
        let mut running = JoinSet::new();
        for member in members {
            let child = self.start(member, members)?;
            running.spawn(attend(member.clone(), child, orders.clone(), globals.color));
        }
        let mut ready = Box::pin(all_ready(members));
        let mut announced = false;
        let mut result = Ok(());
        loop {
            tokio::select! {
                () = stop.asked() => break,
                ended = running.join_next() => if ended.is_none() {
                    result = Err(Failure::new(Exit::Failure, "every node has ended")
                        .remedy("the lines above say why"));
                    break;
                },
                () = &mut ready, if !announced => {
                    announced = true;
                    output::write(self.announcement(members, data_dir).as_bytes()).ok();
                }
            }
        }
        order.send_replace(Order::Stop);
        while !running.is_empty() {
            tokio::select! {
                _ = running.join_next() => {}
                () = stop.asked() => {
                    order.send_replace(Order::Kill);
                }
            }
        }
        result
    }

    fn start(&self, member: &Member, members: &[Member]) -> Result<Child, Failure> {
        let failed =
            |error| Failure::new(Exit::Failure, format!("cannot start {}: {error}", member.name));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command
            .args(["serve", "--quiet", "--exit-with-parent", "--name", &member.name])
            .arg("--data-dir")
            .arg(&member.data_dir)
            .args(["--listen", &format!("127.0.0.1:{}", member.client_port)])
            .args(["--peer-listen", &member.peer_address()])
            .args(["--log-level", &self.log_level])
            .args(["--worker-threads", &workers(members.len()).to_string()]);
        if members.len() > 1 {
            let peers: Vec<String> = members.iter().map(Member::peer_address).collect();
            command.args(["--join", &peers.join(",")]);
            command.args(["--expect", &members.len().to_string()]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C reaches the whole group of the terminal: the nodes are to hear it from us.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)
    }

    fn announcement(&self, members: &[Member], data_dir: &Path) -> String {
        let mut text = String::from("\nThe cluster serves:\n");
        for member in members {
            let (url, peers) = (member.url(), member.peer_address());
            text.push_str(&format!("  {}  {url}  (peers {peers})\n", member.name));
        }
        let fate = if self.keep.is_some() { "kept" } else { "removed at the end; see --keep" };
        let first = members[0].url();
        let other = members[1 % members.len()].url();
        let program = shell::program();
        text.push_str(&format!(
            "Data: {} ({fate})\nTry:\n  curl -X PUT {first}/v1/kv/hello -d '\"world\"'\n  \
             curl -i {other}/v1/kv/hello\n  {program} status{}\nCtrl-C stops the cluster.\n\n",
            data_dir.display(),
            shell::endpoint_option(&first),
        ));
        text
    }
}

/// Passes on what a node says, and sees it to its end.
async fn attend(
    member: Member,
    mut child: Child,
    mut orders: watch::Receiver<Order>,
    color: Color,
) {
    let input = child.stdin.take();
    let prefix = color.paint(&format!("{} |", member.name), member.paint);
    let log = child.stderr.take().map(|log| tokio::spawn(pass_on(log, prefix.clone())));
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        // The sender outlives the members.
        _ = orders.wait_for(|order| *order != Order::Run) => None,
    };
    match ended {
        Some(Ok(status)) => {
            output::note(&format!("{prefix} ended unexpectedly ({status}); the others go on"));
        }
        Some(Err(error)) => output::note(&format!("{prefix} cannot be watched: {error}")),
        None => {
            drop(input);
            let killed = orders.wait_for(|order| *order == Order::Kill);
            let in_time = tokio::select! {
                ended = timeout(STOP_MAX, child.wait()) => ended.is_ok(),
                _ = killed => false,
            };
            if !in_time {
                output::note(&format!("{prefix} did not stop and is killed"));
                if let Err(error) = child.kill().await {
                    output::note(&format!("{prefix} cannot be killed: {error}"));
                }
            }
        }
    }
    if let Some(log) = log {
        // The log ends with the process; its last lines are the interesting ones.
        log.await.ok();
    }
}

/// The nodes share this machine: each gets its part of the cores for requests.
fn workers(nodes: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / nodes).max(1)
}

async fn pass_on(log: impl AsyncRead + Unpin, prefix: String) {
    let mut lines = BufReader::new(log).lines();
    loop {
        match lines.next_line().await {
            Ok(Some(line)) => output::note(&format!("{prefix} {line}")),
            Ok(None) => return,
            Err(error) => {
                output::note(&format!("{prefix} (the log cannot be read on: {error})"));
                return;
            }
        }
    }
}

/// Returns when every node takes requests, so a leader serves.
async fn all_ready(members: &[Member]) {
    let options = Options { timeout: Duration::from_secs(1), retries: 0, ..Options::default() };
    for member in members {
        let endpoint: Endpoint = member.url().parse().expect("the URL is made of a port");
        let client = Client::new(vec![endpoint], options).expect("there is one endpoint");
        while client.send(&Call::read("/readyz")).await.is_err() {
            sleep(READY_PAUSE).await;
        }
    }
}
