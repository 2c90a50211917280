//! `raftexample`: the key/value store that comes with etcd's Raft library.
//!
//! The nodes of `--cluster` are numbered from 1 in the order of the list; a node's number is its
//! name. Without `--join` all nodes of the list form a cluster, in any order of starting. With
//! `--join` a node waits until it is added (`POST /4` on another node), which may have happened
//! before.

use super::address::{Address, port};
use super::go_flags::{Flag, Kind, Program};
use super::machine::Machine;
use super::mistake;
use super::plan::Plan;
use crate::exit::Failure;

const PROGRAM: Program = Program {
    usage: "Usage of raftexample:",
    flags: &[
        Flag {
            name: "cluster",
            kind: Kind::Text,
            default: "http://127.0.0.1:9021",
            help: "comma separated cluster peers",
        },
        Flag { name: "id", kind: Kind::Int, default: "1", help: "node ID" },
        Flag {
            name: "join",
            kind: Kind::Switch,
            default: "false",
            help: "join an existing cluster",
        },
        Flag { name: "port", kind: Kind::Int, default: "9121", help: "key-value server port" },
    ],
};

/// Its flags.
pub(super) fn help() -> String {
    PROGRAM.help()
}

/// Reads the words as the program does.
pub(super) fn plan(words: &[String], machine: &dyn Machine) -> Result<Plan, Failure> {
    let read = PROGRAM.read(words)?;
    let urls = read.get("cluster");
    let peers: Vec<Address> = urls
        .split(',')
        .map(|url| peer(url).map_err(|why| mistake(format!("-cluster: '{url}' {why}"))))
        .collect::<Result<_, _>>()?;
    let id = read.get("id");
    let own = id.parse::<usize>().ok().and_then(|id| peers.get(id.checked_sub(1)?));
    let own = own.ok_or_else(|| {
        let count = peers.len();
        mistake(format!("-id {id} is none of the {count} nodes that -cluster lists: {urls}"))
    })?;
    let http = read.get("port");
    let http = port(http).map_err(|why| mistake(format!("-port: '{http}' {why}")))?;
    let http = Address::everywhere(http);
    if own.overlaps(&http) {
        let message = format!("-port and the port of node {id} in -cluster are the same");
        return Err(mistake(format!("{message}: choose two")));
    }

    let mut plan = Plan::new();
    plan.set("name", id)
        .set("data-dir", format!("raftexample-{id}"))
        .set("snapshot-dir", format!("raftexample-{id}-snap"));
    if read.is_on("join") {
        plan.switch_on("wait");
    } else if peers.len() > 1 {
        let told: Vec<String> = peers.iter().map(|peer| peer.told(machine)).collect();
        plan.set("join", told.join(",")).set("expect", (peers.len() / 2 + 1).to_string());
    }
    plan.switch_on("single-port")
        .set("listen", own.listen())
        .set("peer-advertise", own.told(machine))
        .set("dialect", format!("raftexample={}", http.listen()));
    if !read.rest.is_empty() {
        let unread = read.rest.join(" ");
        plan.remark(format!("raftexample does not look at what follows its flags: {unread}"));
    }
    Ok(plan)
}

/// The peer address in a URL of the list.
fn peer(url: &str) -> Result<Address, String> {
    if url.starts_with("https://") {
        return Err("needs TLS, which is not supported yet: write http://".to_owned());
    }
    let address = url.strip_prefix("http://").ok_or("is no URL: write http://HOST:PORT")?;
    let address: Address = address.strip_suffix('/').unwrap_or(address).parse()?;
    if address.listen().starts_with("0.0.0.0:") {
        return Err("is no address that the other nodes can connect to".to_owned());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::super::machine::Imagined;
    use super::super::plan::Course;
    use super::super::words;
    use super::*;
    use crate::exit::Exit;

    const THREE: &str = "http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379";

    fn read(line: &str) -> Result<Plan, Failure> {
        plan(&words(line), &Imagined::default())
    }

    fn native(line: &str) -> String {
        read(line).unwrap().arguments()
    }

    #[test]
    fn r8_the_defaults_are_a_cluster_of_one() {
        assert_eq!(
            native(""),
            "--name 1 --data-dir raftexample-1 --snapshot-dir raftexample-1-snap --single-port \
             --listen 127.0.0.1:9021 --peer-advertise 127.0.0.1:9021 \
             --dialect raftexample=0.0.0.0:9121"
        );
        assert_eq!(read("").unwrap().course, Course::Serve);
    }

    #[test]
    fn r9_each_node_of_the_procfile_becomes_settings() {
        assert_eq!(
            native(&format!("--id 2 --cluster {THREE} --port 22380")),
            "--name 2 --data-dir raftexample-2 --snapshot-dir raftexample-2-snap \
             --join 127.0.0.1:12379,127.0.0.1:22379,127.0.0.1:32379 --expect 2 --single-port \
             --listen 127.0.0.1:22379 --peer-advertise 127.0.0.1:22379 \
             --dialect raftexample=0.0.0.0:22380"
        );
    }

    #[test]
    fn r8_a_node_that_joins_waits_to_be_added() {
        let line = format!("-id=4 -cluster={THREE},http://127.0.0.1:42379 -port=42380 -join");
        let native = native(&line);
        assert!(native.contains("--wait --single-port --listen 127.0.0.1:42379"), "{native}");
        assert!(!native.contains("--join"), "{native}");
    }

    #[test]
    fn r8_an_id_out_of_range_is_named() {
        for id in ["0", "4", "-1"] {
            let failure = read(&format!("--id {id} --cluster {THREE}")).unwrap_err();
            let want = format!("-id {id} is none of the 3 nodes");
            assert!(failure.message.starts_with(&want), "{}", failure.message);
            assert_eq!(failure.exit, Exit::Failure);
        }
    }

    #[test]
    fn what_cannot_work_is_refused_in_the_programs_words() {
        for (line, want) in [
            ("--cluster 127.0.0.1:1", "-cluster: '127.0.0.1:1' is no URL"),
            ("--cluster https://a:1", "TLS"),
            ("--cluster http://a", "has no port"),
            ("--cluster http://0.0.0.0:1", "can connect to"),
            ("--cluster http://a:1,", "'' is no URL"),
            ("--port 70000", "-port: '70000' has no port"),
            ("--port 9021", "choose two"),
        ] {
            let failure = read(line).unwrap_err();
            assert!(failure.message.contains(want), "{line}: {}", failure.message);
        }
        assert_eq!(read("--prot 1").unwrap_err().exit, Exit::Usage);
        assert_eq!(read("x y").unwrap().remarks.len(), 1);
    }
}
