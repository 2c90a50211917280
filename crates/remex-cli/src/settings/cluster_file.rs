//! The cluster file: one JSON array that tells every node of a cluster where all of them are, so that
//! the same file lies on every machine.
//!
//! ```json
//! [{"node_id": "node-1", "rpc_url": "localhost:6666", "api_url": "localhost:7777"}]
//! ```
//!
//! With the name of a node it stands for that node's addresses, and for the others to found a cluster
//! with. Whatever is set elsewhere wins over it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::readers::{check_name, host_and_port};

/// One node, as the file has it. Addresses are `host:port`, with `http://` in front or not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) node_id: String,
    /// Its address for the other nodes.
    pub(crate) rpc_url: String,
    /// Its address for clients.
    pub(crate) api_url: String,
}

/// What the file says of the node `name`, as texts of settings.
///
/// # Errors
/// A line for people, without the file's name.
pub(super) fn read(text: &str, name: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let nodes = parse(text)?;
    if nodes.is_empty() {
        return Err("it lists no nodes".to_owned());
    }
    let Some(me) = nodes.iter().find(|node| node.node_id == name) else {
        let names: Vec<&str> = nodes.iter().map(|node| node.node_id.as_str()).collect();
        return Err(format!("it has no node {name}; its nodes are {}", names.join(", ")));
    };
    let peers: Vec<&str> = nodes.iter().map(|node| node.rpc_url.as_str()).collect();
    let mut settings = BTreeMap::from([
        ("listen", me.api_url.clone()),
        ("advertise", format!("http://{}", me.api_url)),
        ("join", peers.join(",")),
        ("expect", (nodes.len() / 2 + 1).to_string()),
        ("peer-advertise", me.rpc_url.clone()),
    ]);
    match me.rpc_url == me.api_url {
        true => settings.insert("single-port", "true".to_owned()),
        false => settings.insert("peer-listen", me.rpc_url.clone()),
    };
    Ok(settings)
}

/// All nodes of the file, their addresses as `host:port`. No name and no address is there twice.
///
/// # Errors
/// As [`read`].
pub(crate) fn parse(text: &str) -> Result<Vec<Line>, String> {
    let mut nodes: Vec<Line> =
        serde_json::from_str(text).map_err(|error| format!("it is no list of nodes: {error}"))?;
    for node in &mut nodes {
        check_name(&node.node_id).map_err(|why| format!("node_id '{}' {why}", node.node_id))?;
        let addresses = [("rpc_url", &mut node.rpc_url), ("api_url", &mut node.api_url)];
        for (field, address) in addresses {
            *address = plain(address)
                .map_err(|why| format!("{field} '{address}' of {} {why}", node.node_id))?;
        }
    }
    check_unique(&nodes)?;
    Ok(nodes)
}

/// An address without scheme and without what may follow the port.
fn plain(url: &str) -> Result<String, String> {
    let address = url.strip_prefix("http://").unwrap_or(url);
    host_and_port(address.strip_suffix('/').unwrap_or(address))
}

/// Checks that no name and no address is there twice. One node may have one address for both: it
/// serves clients and peers on a single port.
fn check_unique(nodes: &[Line]) -> Result<(), String> {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for Line { node_id, rpc_url, api_url } in nodes {
        if names.insert(node_id.as_str(), ()).is_some() {
            return Err(format!("node {node_id} is in it twice"));
        }
        let mut addresses = vec![rpc_url, api_url];
        addresses.dedup();
        for address in addresses {
            if let Some(other) = taken.insert(key(address), node_id) {
                return Err(match other == node_id {
                    true => format!("both addresses of {node_id} are {address}"),
                    false => format!("{other} and {node_id} have one address, {address}"),
                });
            }
        }
    }
    Ok(())
}

/// One text for the several names of this machine's own address.
fn key(address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.to_ascii_lowercase();
    match host.as_str() {
        "localhost" | "[::1]" => format!("127.0.0.1:{port}"),
        host => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = r#"[
        {"node_id": "node-1", "rpc_url": "localhost:6666", "api_url": "localhost:7777"},
        {"node_id": "node-2", "rpc_url": "localhost:6667", "api_url": "http://localhost:7778/"},
        {"node_id": "node-3", "rpc_url": "http://localhost:6668", "api_url": "localhost:7779"}
    ]"#;

    #[test]
    fn u12_the_cluster_file_stands_for_the_addresses_of_all_nodes() {
        let settings = read(THREE, "node-2").unwrap();
        let want = [
            ("advertise", "http://localhost:7778"),
            ("expect", "2"),
            ("join", "localhost:6666,localhost:6667,localhost:6668"),
            ("listen", "localhost:7778"),
            ("peer-advertise", "localhost:6667"),
            ("peer-listen", "localhost:6667"),
        ];
        assert!(settings.iter().map(|(name, text)| (*name, text.as_str())).eq(want));
    }

    #[test]
    fn what_is_wrong_in_it_is_named() {
        let two = |second: &str| {
            format!(r#"[{{"node_id":"a","rpc_url":"h:1","api_url":"h:2"}},{{{second}}}]"#)
        };
        for (text, want) in [
            ("nonsense".to_owned(), "line 1 column"),
            (two(r#""node_id":"b","rpc_url":"h:3""#), "missing field `api_url`"),
            (two(r#""node_id":"a","rpc_url":"h:3","api_url":"h:4""#), "node a is in it twice"),
            (
                two(r#""node_id":"b","rpc_url":"h:1","api_url":"h:4""#),
                "a and b have one address, h:1",
            ),
            (two(r#""node_id":"b","rpc_url":"H:2","api_url":"h:4""#), "one address, H:2"),
            (
                two(r#""node_id":"b","rpc_url":"h","api_url":"h:4""#),
                "rpc_url 'h' of b is not HOST:PORT",
            ),
            (two(r#""node_id":"b c","rpc_url":"h:3","api_url":"h:4""#), "node_id 'b c' must be"),
            (
                two(r#""node_id":"b","rpc_url":"h:3","api_url":"h:4""#),
                "no node c; its nodes are a, b",
            ),
            ("[]".to_owned(), "it lists no nodes"),
            (
                two(r#""node_id":"b","rpc_url":"localhost:3","api_url":"127.0.0.1:3""#),
                "both addresses of b are 127.0.0.1:3",
            ),
        ] {
            let error = read(&text, "c").unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn one_address_for_both_leaves_the_peers_to_the_single_port() {
        let text = r#"[{"node_id":"a","rpc_url":"h:1","api_url":"http://h:1"}]"#;
        let settings = read(text, "a").unwrap();
        assert_eq!(settings.get("peer-listen"), None);
        assert_eq!(settings["single-port"], "true");
        assert_eq!(settings["expect"], "1");
    }
}
