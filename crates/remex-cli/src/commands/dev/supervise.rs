//! The cluster as children of this process.
//!
//! Each node watches its standard input and stops in good order when that ends: closing it is how
//! `dev` stops a node, and if `dev` itself is killed, the system closes it.

use std::process::Stdio;
use std::time::Duration;

use remex_client::{Call, Client, Endpoint, Options};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::directory::Directory;
use super::launch;
use super::layout::{Layout, Member, local};
use crate::cli::{Color, Globals, Paint};
use crate::commands::runtime;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::shell;
use crate::stop::{Input, Stop};

/// Time that a node has to stop in good order.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks at whether a node is ready.
const READY_PAUSE: Duration = Duration::from_millis(50);

/// How the members are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    Stop,
    Kill,
}

/// Runs the nodes until Ctrl-C, or until all have ended by themselves. `fate` says what becomes of
/// the data.
pub(super) fn run(
    layout: &Layout,
    directory: &Directory,
    fate: &str,
    log_level: Option<&str>,
    globals: &Globals,
) -> Result<(), Failure> {
    let runtime = runtime(Builder::new_current_thread().enable_all())?;
    runtime.block_on(supervise(layout, directory, fate, log_level, globals.color))
}

async fn supervise(
    layout: &Layout,
    directory: &Directory,
    fate: &str,
    log_level: Option<&str>,
    color: Color,
) -> Result<(), Failure> {
    let mut stop = Stop::listen(Input::Ignored)?;
    let (order, orders) = watch::channel(Order::Run);
    let mut running = JoinSet::new();
    for (number, member) in layout.members().iter().enumerate() {
        let arguments = launch::arguments(member, layout, directory, log_level);
        let child = start(member, &arguments)?;
        let prefix = color.paint(&format!("{} |", member.name), Paint::Node(number));
        running.spawn(attend(prefix, child, orders.clone()));
    }
    let mut ready = Box::pin(all_ready(layout.members()));
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
                let text = announcement(layout.members(), directory, fate);
                output::write(text.as_bytes()).ok();
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

fn start(member: &Member, arguments: &[String]) -> Result<Child, Failure> {
    let failed =
        |error| Failure::new(Exit::Failure, format!("cannot start {}: {error}", member.name));
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(arguments).args(["--quiet", "--exit-with-parent"]);
    for variable in launch::variables_decided() {
        command.env_remove(variable);
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

fn announcement(members: &[Member], directory: &Directory, fate: &str) -> String {
    let mut text = String::from("\nThe cluster serves:\n");
    for member in members {
        let (url, peers) = (member.url(), member.peer_address());
        text.push_str(&format!("  {}  {url}  (peers {peers})\n", member.name));
        for (dialect, port) in &member.dialects {
            text.push_str(&format!("      {dialect} on http://{}\n", local(*port)));
        }
    }
    let first = members[0].url();
    let other = members[1 % members.len()].url();
    let program = shell::program();
    text.push_str(&format!(
        "Data: {} ({fate})\nTry:\n  curl -X PUT {first}/v1/kv/hello -d '\"world\"'\n  \
         curl -i {other}/v1/kv/hello\n  {program} status{}\n",
        directory.as_str(),
        shell::endpoint_option(&first),
    ));
    for (dialect, port) in &members[0].dialects {
        text.push_str(&format!("  {}\n", dialect.example(&format!("http://{}", local(*port)))));
    }
    text.push_str("Ctrl-C stops the cluster.\n\n");
    text
}

/// Passes on what a node says, and sees it to its end.
async fn attend(prefix: String, mut child: Child, mut orders: watch::Receiver<Order>) {
    let input = child.stdin.take();
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
