//! The directory of a cluster that is kept:
//!
//! ```text
//! cluster.json        names and addresses of all nodes, as --cluster-file of serve takes it
//! n1/remex.toml       settings of the node n1, if the cluster was laid out by --write
//! n1/data/            what the node n1 keeps
//! n2/…
//! ```

use std::fs;
use std::io;
use std::path::Path;

use super::layout::{Layout, Member, local};
use super::ports::{Ports, User};
use crate::exit::{Exit, Failure};
use crate::settings::cluster_file::{Line, parse};

/// The cluster file's name.
const CLUSTER_FILE: &str = "cluster.json";

/// A cluster that is kept.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) names: Vec<String>,
    /// For clients and for peers, in the order of the names.
    pub(super) ports: [Ports; 2],
}

/// Where a cluster's files are. Making one of these touches nothing.
#[derive(Debug)]
pub(super) struct Directory {
    /// Absolute, so that a command that names it works in every terminal; and text, so that it
    /// can be printed and written to files.
    path: String,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Result<Self, Failure> {
        let absolute = std::path::absolute(path)
            .map_err(|error| Failure::usage(format!("'{}': {error}", path.display())))?;
        match absolute.into_os_string().into_string() {
            Ok(path) if !path.contains(char::is_control) => Ok(Self { path }),
            Ok(path) => Err(format!("the name {path:?} holds a control character")),
            Err(path) => Err(format!("the name {} is not UTF-8", path.display())),
        }
        .map_err(|message| Failure::usage(message).remedy("name another directory"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.path
    }

    pub(super) fn data_dir(&self, name: &str) -> String {
        format!("{}/{name}/data", self.path)
    }

    pub(super) fn settings_file(&self, name: &str) -> String {
        format!("{}/{name}/remex.toml", self.path)
    }

    pub(super) fn cluster_file(&self) -> String {
        format!("{}/{CLUSTER_FILE}", self.path)
    }

    /// The names of what is in the directory, in order; nothing if there is no directory.
    pub(super) fn contents(&self) -> Result<Vec<String>, Failure> {
        contents(Path::new(&self.path))
    }

    /// What is in a node's folder.
    pub(super) fn contents_of(&self, name: &str) -> Result<Vec<String>, Failure> {
        contents(&Path::new(&self.path).join(name))
    }

    /// The cluster that is kept here, if any.
    pub(super) fn recorded(&self) -> Result<Option<Recorded>, Failure> {
        let file = self.cluster_file();
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&file, error)),
        };
        read(&text, &file).map(Some)
    }

    /// Makes the directory and records the cluster in it, unless it is recorded there already.
    pub(super) fn record(&self, layout: &Layout) -> Result<(), Failure> {
        self.refuse_strangers(layout)?;
        create(&self.path)?;
        let file = self.cluster_file();
        if Path::new(&file).exists() {
            return Ok(());
        }
        fs::write(&file, cluster_text(layout)).map_err(|error| unwritable(&file, error))
    }

    /// A node's folder that holds anything but what this program puts there is somebody else's.
    fn refuse_strangers(&self, layout: &Layout) -> Result<(), Failure> {
        for member in layout.members() {
            let contents = self.contents_of(&member.name)?;
            if !contents.is_empty() && !contents.iter().any(|name| name == "data") {
                let folder = format!("{}/{}", self.path, member.name);
                return Err(foreign(&folder, &contents[0]));
            }
        }
        Ok(())
    }
}

/// The cluster file of these nodes: one line each.
pub(super) fn cluster_text(layout: &Layout) -> String {
    let line = |member: &Member| {
        let line = Line {
            node_id: member.name.clone(),
            rpc_url: member.peer_address(),
            api_url: local(member.client_port),
        };
        let json = serde_json::to_string(&line).expect("an object of texts is JSON");
        format!("    {json}")
    };
    let lines: Vec<String> = layout.members().iter().map(line).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn read(text: &str, file: &str) -> Result<Recorded, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!("{file}: {why}")).remedy("correct it, or name another directory")
    };
    let lines = parse(text).map_err(wrong)?;
    if lines.is_empty() {
        return Err(wrong("there are no nodes in it".to_owned()));
    }
    let (mut names, mut clients, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    for Line { node_id, rpc_url, api_url } in lines {
        clients.push(local_port(&api_url).map_err(wrong)?);
        peers.push(local_port(&rpc_url).map_err(wrong)?);
        names.push(node_id);
    }
    let listed = |user, list| Ports::listed(user, list, file.to_owned());
    let ports = [listed(User::Clients, clients), listed(User::Peers, peers)];
    Ok(Recorded { names, ports })
}

/// The port of an address on this machine.
fn local_port(address: &str) -> Result<u16, String> {
    let port = ["127.0.0.1:", "localhost:"].iter().find_map(|host| address.strip_prefix(host));
    port.and_then(|port| port.parse().ok()).ok_or_else(|| {
        format!(
            "{address} is not on this machine's loopback interface, where remex dev runs all \
             nodes; start each with remex serve --config"
        )
    })
}

/// The names of what a folder holds, in order; nothing if there is no folder.
fn contents(path: &Path) -> Result<Vec<String>, Failure> {
    let read = || -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        let mut names = entries.map(name).collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    };
    read().map_err(|error| unreadable(&path.display().to_string(), error))
}

/// Makes a folder, with all above it.
pub(super) fn create(path: &str) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| {
        Failure::new(Exit::Failure, format!("cannot make {path}: {error}"))
            .remedy("name a directory that can be written")
    })
}

/// A folder holds what this program did not put there.
pub(super) fn foreign(folder: &str, name: &str) -> Failure {
    let message = format!("{folder} holds {name}, which remex dev did not put there");
    Failure::new(Exit::Protected, message).remedy("name an empty directory, or a new one")
}

pub(super) fn unreadable(path: &str, error: io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("cannot read {path}: {error}"))
        .remedy("name a directory that can be read and written")
}

pub(super) fn unwritable(file: &str, error: io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("cannot write {file}: {error}"))
        .remedy("name a directory that can be written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::layout::Wish;

    #[test]
    fn the_cluster_file_is_read_as_it_was_written() {
        let range = |text: &str| Some(text.parse().unwrap());
        let (client_port, peer_port) = (range("7777"), range("6666"));
        let wish = Wish { nodes: 3, port_base: 1, client_port, peer_port };
        let kinds = wish.ports().unwrap();
        let names = ["node-1", "node-2", "node-3"].map(str::to_owned).to_vec();
        let layout = Layout::new(names.clone(), &kinds).unwrap();
        let text = cluster_text(&layout);
        assert_eq!(
            text.lines().nth(1).unwrap().trim(),
            r#"{"node_id":"node-1","rpc_url":"127.0.0.1:6666","api_url":"127.0.0.1:7777"},"#
        );
        let recorded = read(&text, "f").unwrap();
        assert_eq!(recorded.names, names);
        assert_eq!(Layout::new(recorded.names, &recorded.ports).unwrap(), layout);
    }

    #[test]
    fn a_cluster_file_that_cannot_be_run_here_is_refused_by_name() {
        let node = |id: &str, rpc: &str, api: &str| {
            format!(r#"{{"node_id":"{id}","rpc_url":"{rpc}","api_url":"{api}"}}"#)
        };
        let first = node("a", "localhost:1", "localhost:2");
        for (nodes, want) in [
            (String::new(), "no nodes"),
            (node("a b", "localhost:1", "localhost:2"), "'a b' must be"),
            (node("a", "localhost:1", "10.0.0.1:2"), "10.0.0.1:2 is not on this machine"),
            (format!("{first},{}", node("b", "localhost:1", "localhost:4")), "have one address"),
            (format!("{first},7"), "line 1"),
        ] {
            let failure = read(&format!("[{nodes}]"), "dir/cluster.json").unwrap_err();
            assert!(failure.message.starts_with("dir/cluster.json: "), "{}", failure.message);
            assert!(failure.message.contains(want), "{}", failure.message);
        }
    }
}
