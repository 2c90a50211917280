//! The flags of `raft`, in both spellings where its documentation and its program differ.

use super::super::go_flags::{Flag, Kind, Program};

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, kind, default, help }
}

pub(super) const PROGRAM: Program = Program {
    usage: "Usage of raft:",
    flags: &[
        flag(
            "api-fwd-timeout",
            Kind::Int,
            "1500",
            "milliseconds for a request that is forwarded to the leader",
        ),
        flag("api-port", Kind::Uint, "", "port of the REST API (required)"),
        flag("api-timeout", Kind::Int, "2000", "milliseconds for a request of the REST API"),
        flag(
            "cluster-config-path",
            Kind::Text,
            "",
            "the cluster file (required), or with -join-mode=k8s the folder of the pod's labels \
             (/etc/podinfo)",
        ),
        flag("config-file", Kind::Text, "", "JSON configuration file, in place of all other flags"),
        flag(
            "election-timeout",
            Kind::Int,
            "2000",
            "milliseconds of silence after which a node stands for election",
        ),
        flag(
            "heartbeat",
            Kind::Int,
            "500",
            "milliseconds between heartbeats; at most a third of -election-timeout",
        ),
        flag("heartbeat-interval", Kind::Int, "", "the same as -heartbeat"),
        flag("id", Kind::Text, "", "ID of the node (required)"),
        flag("join-mode", Kind::Text, "cluster-file", "how nodes are found: cluster-file or k8s"),
        flag("log-entry-path", Kind::Text, "", "folder of the log (required)"),
        flag("log-metadata-path", Kind::Text, "", "not used (required)"),
        flag(
            "max-conn-retry-attempts",
            Kind::Uint,
            "5",
            "attempts to connect after which a node is said to be unreachable",
        ),
        flag("raft-state-path", Kind::Text, "", "file whose folder holds the rest (required)"),
        flag("rpc-port", Kind::Uint, "", "port for the other nodes (required)"),
        flag(
            "rpc-timeout",
            Kind::Int,
            "1000",
            "milliseconds for an answer of another node; longer than -heartbeat",
        ),
        flag("snapshot-path", Kind::Text, "", "folder of snapshots (required)"),
    ],
};
