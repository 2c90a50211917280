//! What can be asked of `remex dev`, and what is done about it.

use std::path::{Path, PathBuf};

use clap::Args;
use remex_http::Dialect;

use super::directory::{Directory, Recorded};
use super::launch;
use super::layout::{Layout, Wish};
use super::ports::{Ports, Range, User};
use super::supervise;
use super::tmux::Session;
use super::write;
use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::settings::{LogFilter, check_name};
use crate::shell;

/// Where data is kept if nobody says where, and nobody is left to remove it.
const KEPT: &str = "remex-dev";

/// Run a whole cluster on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Starts the nodes as processes, shows their logs, waits until they serve, and stops them on
Ctrl-C. The data is thrown away afterwards unless --keep names a directory; the next --keep with
that directory goes on from it, with the same nodes and ports.

Node K listens for clients on port-base + 10 (K - 1) and for the other nodes on the port after
that. A START of --client-port, --peer-port or --dialect counts up by one from node to node,
START+STEP by STEP. Ports that overlap are refused before anything is started.

With --tmux the nodes outlive this command. With --dry-run and --write, you start them: a settings
file of --write can be copied to another machine once the addresses in cluster.json are right.

Examples:
  remex dev
  remex dev --nodes 5 --port-base 9000
  remex dev --keep ./cluster
  remex dev --name-prefix node- --client-port 7777 --peer-port 6666
  remex dev --dialect raftexample=12380+10000 --dialect hraftd=11000
  remex dev --dry-run
  remex dev --tmux --keep ./cluster
  remex dev --write ./cluster")]
pub(crate) struct Dev {
    /// Number of nodes, up to 9 [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: Option<u16>,
    /// Nodes are called P1, P2, … [default: n]
    #[arg(long, value_name = "P", value_parser = name_prefix)]
    name_prefix: Option<String>,
    /// Client port of the first node; its peer port is the next one [default: 7480]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_534))]
    port_base: Option<u16>,
    /// Client ports from here on, one after the other
    #[arg(long, value_name = "START[+STEP]")]
    client_port: Option<Range>,
    /// Peer ports from here on, one after the other
    #[arg(long, value_name = "START[+STEP]")]
    peer_port: Option<Range>,
    /// Serve a dialect too (raft-example, hraftd or raftexample), on ports of its own from here
    /// on; repeatable
    #[arg(long, value_name = "NAME=START[+STEP]", value_delimiter = ',', value_parser = dialect)]
    dialect: Vec<DialectPorts>,
    /// Keep the data here, and start from it
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print the command that starts each node; start and write nothing
    #[arg(long, conflicts_with_all = ["tmux", "write"])]
    dry_run: bool,
    /// Start the nodes in a tmux session, one pane a node. The data is kept in --keep, by default
    /// in ./remex-dev
    #[arg(long, conflicts_with = "write")]
    tmux: bool,
    /// Lay out a directory and a settings file for each node, and the cluster file, in DIR; print
    /// the command that starts each node, and start nothing
    #[arg(long, value_name = "DIR", conflicts_with = "keep")]
    write: Option<PathBuf>,
    /// What the nodes log: error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    log_level: Option<String>,
}

/// Where a dialect is served.
#[derive(Clone, Copy, Debug)]
struct DialectPorts {
    dialect: Dialect,
    range: Range,
}

fn dialect(text: &str) -> Result<DialectPorts, String> {
    let (name, range) = text.split_once('=').ok_or("must be NAME=PORT, or NAME=PORT+STEP")?;
    Ok(DialectPorts {
        dialect: name.parse().map_err(|why| format!("'{name}' {why}"))?,
        range: range.parse().map_err(|why| format!("'{range}' {why}"))?,
    })
}

fn name_prefix(text: &str) -> Result<String, String> {
    check_name(&format!("{text}1")).map(|()| text.to_owned())
}

fn log_level(text: &str) -> Result<String, String> {
    text.parse().map(|filter: LogFilter| filter.text)
}

impl Dev {
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        if self.dry_run {
            let directory = self.kept_directory()?;
            return self.print_commands(&self.layout_in(&directory)?, &directory);
        }
        if let Some(path) = &self.write {
            return self.lay_out(path, globals);
        }
        if self.tmux {
            return self.start_in_tmux();
        }
        let Some(keep) = &self.keep else {
            let layout = self.layout_asked()?;
            layout.check_free()?;
            return self.run_in_scratch(&layout, globals);
        };
        let directory = Directory::new(keep)?;
        let layout = self.layout_in(&directory)?;
        layout.check_free()?;
        directory.record(&layout)?;
        supervise::run(&layout, &directory, "kept", self.log_level.as_deref(), globals)
    }

    fn run_in_scratch(&self, layout: &Layout, globals: &Globals) -> Result<(), Failure> {
        let scratch = tempfile::Builder::new().prefix("remex-dev-").tempdir().map_err(|error| {
            let message = format!("cannot make a directory for the data: {error}");
            Failure::new(Exit::Failure, message)
                .remedy("set TMPDIR, or name a directory with --keep")
        })?;
        let directory = Directory::new(scratch.path())?;
        let fate = "removed at the end; see --keep";
        let result = supervise::run(layout, &directory, fate, self.log_level.as_deref(), globals);
        scratch.close().map_err(|error| {
            let message = format!("cannot remove {}: {error}", directory.as_str());
            Failure::new(Exit::Failure, message).remedy("remove it by hand")
        })?;
        result
    }

    fn start_in_tmux(&self) -> Result<(), Failure> {
        let directory = self.kept_directory()?;
        let layout = self.layout_in(&directory)?;
        let session = Session::of(&layout);
        session.check()?;
        layout.check_free()?;
        directory.record(&layout)?;
        session.start(&layout, &directory, self.log_level.as_deref())?;
        session.show(&layout, &directory)
    }

    fn lay_out(&self, path: &Path, globals: &Globals) -> Result<(), Failure> {
        let directory = Directory::new(path)?;
        let layout = self.layout_asked()?;
        write::lay_out(&directory, &layout, self.log_level.as_deref().unwrap_or("info"))?;
        if !globals.quiet {
            let path = directory.as_str();
            output::note(&format!("{path} is laid out; start each node in a terminal of its own:"));
        }
        for member in layout.members() {
            let file = shell::quoted(&directory.settings_file(&member.name));
            output::line(&format!("{} serve --config {file}", shell::program_anywhere()))?;
        }
        Ok(())
    }

    fn print_commands(&self, layout: &Layout, directory: &Directory) -> Result<(), Failure> {
        for member in layout.members() {
            let arguments = launch::arguments(member, layout, directory, self.log_level.as_deref());
            let words: Vec<String> = arguments.iter().map(|word| shell::quoted(word)).collect();
            output::line(&format!("{} {}", shell::program_anywhere(), words.join(" ")))?;
        }
        Ok(())
    }

    /// Where data is kept by nodes that nobody cleans up after.
    fn kept_directory(&self) -> Result<Directory, Failure> {
        Directory::new(self.keep.as_deref().unwrap_or(Path::new(KEPT)))
    }

    /// The nodes, if nothing is kept.
    fn layout_asked(&self) -> Result<Layout, Failure> {
        let wish = Wish {
            nodes: self.nodes.unwrap_or(3),
            port_base: self.port_base.unwrap_or(7480),
            client_port: self.client_port,
            peer_port: self.peer_port,
        };
        if let (Some(base), Some(client), Some(peer)) =
            (self.port_base, self.client_port, self.peer_port)
        {
            let (client, peer) = (User::Clients.option(client), User::Peers.option(peer));
            let message = format!("--port-base {base} has no effect beside {client} and {peer}");
            return Err(Failure::usage(message).remedy("leave it out"));
        }
        let names = (1..=wish.nodes).map(|number| format!("{}{number}", self.prefix())).collect();
        self.layout(names, wish.ports()?)
    }

    /// The nodes that are kept in a directory; those asked for, if none are.
    fn layout_in(&self, directory: &Directory) -> Result<Layout, Failure> {
        let Some(Recorded { names, ports }) = directory.recorded()? else {
            return self.layout_asked();
        };
        let kept = self.layout(names, ports)?;
        let given = self.given();
        if given.is_empty() || self.layout_asked()? == kept {
            return Ok(kept);
        }
        let nodes: Vec<String> = kept
            .members()
            .iter()
            .map(|node| format!("{} on {} and {}", node.name, node.client_port, node.peer_port))
            .collect();
        let message = format!(
            "{} holds a cluster of {} nodes: {}",
            directory.as_str(),
            nodes.len(),
            nodes.join(", ")
        );
        Err(Failure::usage(message).remedy(format!(
            "leave out {} to go on with it, or name another directory with --keep",
            given.join(" and ")
        )))
    }

    fn layout(&self, names: Vec<String>, ports: [Ports; 2]) -> Result<Layout, Failure> {
        let nodes = u16::try_from(names.len()).unwrap_or(u16::MAX);
        let mut kinds = Vec::from(ports);
        for &DialectPorts { dialect, range } in &self.dialect {
            let user = User::Dialect(dialect);
            if kinds.iter().any(|kind| kind.user() == user) {
                let message = format!("--dialect {dialect} is given twice");
                return Err(Failure::usage(message).remedy("leave one out"));
            }
            kinds.push(Ports::asked(user, range, nodes)?);
        }
        Layout::new(names, &kinds)
    }

    fn prefix(&self) -> &str {
        self.name_prefix.as_deref().unwrap_or("n")
    }

    /// The options in use that say which nodes there are.
    fn given(&self) -> Vec<&'static str> {
        [
            ("--nodes", self.nodes.is_some()),
            ("--name-prefix", self.name_prefix.is_some()),
            ("--port-base", self.port_base.is_some()),
            ("--client-port", self.client_port.is_some()),
            ("--peer-port", self.peer_port.is_some()),
        ]
        .into_iter()
        .filter_map(|(option, is_given)| is_given.then_some(option))
        .collect()
    }
}
