//! The command that starts a node.

use std::path::Path;

use super::directory::Directory;
use super::layout::{Layout, Member, local};
use crate::settings::TABLE;

/// Settings that differ from node to node, or that `dev` decides. A variable that gives one of
/// them would give it to every node.
const DECIDED: [&str; 16] = [
    "name",
    "data-dir",
    "log-dir",
    "engine-dir",
    "snapshot-dir",
    "listen",
    "advertise",
    "peer-listen",
    "peer-advertise",
    "single-port",
    "dialect",
    "join",
    "expect",
    "wait",
    "cluster-file",
    "worker-threads",
];

/// The arguments of this program that start a node of a cluster.
pub(super) fn arguments(
    member: &Member,
    layout: &Layout,
    directory: &Directory,
    log_level: Option<&str>,
) -> Vec<String> {
    let nodes = layout.members().len();
    let mut options = vec![
        ("name", member.name.clone()),
        ("data-dir", directory.data_dir(&member.name)),
        ("listen", local(member.client_port)),
        ("peer-listen", member.peer_address()),
    ];
    let settings = directory.settings_file(&member.name);
    if Path::new(&settings).exists() {
        options.insert(0, ("config", settings));
    }
    for (dialect, port) in &member.dialects {
        options.push(("dialect", format!("{dialect}={}", local(*port))));
    }
    if nodes > 1 {
        let peers: Vec<String> = layout.members().iter().map(Member::peer_address).collect();
        options.push(("join", peers.join(",")));
        options.push(("expect", nodes.to_string()));
    }
    if let Some(level) = log_level {
        options.push(("log-level", level.to_owned()));
    }
    options.push(("worker-threads", workers(nodes).to_string()));
    let options = options.into_iter().flat_map(|(name, text)| [format!("--{name}"), text]);
    std::iter::once("serve".to_owned()).chain(options).collect()
}

/// The nodes share this machine: each gets its part of the cores for requests.
fn workers(nodes: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / nodes).max(1)
}

/// Variables that must not reach the nodes.
pub(super) fn variables_decided() -> impl Iterator<Item = String> {
    TABLE.iter().filter(|setting| DECIDED.contains(&setting.name)).map(|setting| setting.variable())
}

/// Variables that are settings of every node, as `NAME=TEXT`.
pub(super) fn variables_of_nodes() -> Vec<String> {
    TABLE
        .iter()
        .filter(|setting| !DECIDED.contains(&setting.name))
        .filter_map(|setting| {
            let text = std::env::var(setting.variable()).ok().filter(|text| !text.is_empty())?;
            Some(format!("{}={text}", setting.variable()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_here_are_settings() {
        assert_eq!(variables_decided().count(), DECIDED.len());
    }
}
