//! `remex as raft`: rows U7 to U12, U16 and U18.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use remex_testkit::cluster::{PATIENCE, Signal};

use crate::as_walk::{addresses, said};
use crate::{Stage, ask};

const SET: (&str, &str, &str) = ("POST", "/v1/data", r#"{"k":"a", "v":"1"}"#);
const GET: (&str, &str, &str) = ("GET", "/v1/data/a", "");
const SHOWN: &str = r#"{"k":"a","v":"1"}"#;

/// The nodes of the document's cluster file, `[rpc, api]` each.
fn cluster_file(stage: &Stage, nodes: &[[SocketAddr; 2]]) {
    let lines: Vec<String> = (1..)
        .zip(nodes)
        .map(|(number, [rpc, api])| {
            format!(
                r#"{{"node_id":"node-{number}","rpc_url":"localhost:{}","api_url":"localhost:{}"}}"#,
                rpc.port(),
                api.port()
            )
        })
        .collect();
    for number in 1..=nodes.len() {
        let folder = stage.path().join(format!("local-cluster/node-{number}/cluster"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), format!("[{}]", lines.join(",\n"))).unwrap();
    }
}

/// The document's example of a command line, with other ports.
fn example(number: usize, [rpc, api]: [SocketAddr; 2]) -> Vec<String> {
    let root = format!("./local-cluster/node-{number}");
    vec![
        "as".to_owned(),
        "raft".to_owned(),
        format!("--id=node-{number}"),
        format!("--api-port={}", api.port()),
        format!("--rpc-port={}", rpc.port()),
        format!("--log-entry-path={root}/data/entry"),
        format!("--log-metadata-path={root}/data/metadata/metadata.json"),
        format!("--raft-state-path={root}/state/state.json"),
        "--join-mode=cluster-file".to_owned(),
        format!("--cluster-config-path={root}/cluster/config.json"),
        "--election-timeout=3000".to_owned(),
        "--heartbeat=500".to_owned(),
        "--rpc-timeout=1000".to_owned(),
        "--api-timeout=2000".to_owned(),
        "--api-fwd-timeout=1500".to_owned(),
        "--max-conn-retry-attempts=3".to_owned(),
        format!("--snapshot-path={root}/snapshot"),
    ]
}

fn texts(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

#[test]
fn u7_u8_u12_three_nodes_by_the_documents_command_line() {
    let stage = &mut Stage::new();
    let all: [[SocketAddr; 2]; 3] = std::array::from_fn(|_| addresses());
    cluster_file(stage, &all);
    let start = |stage: &mut Stage, at: usize| {
        stage.start(&format!("node-{}", at + 1), &texts(&example(at + 1, all[at])))
    };
    let nodes = [0, 1, 2].map(|at| start(stage, at));
    stage.until(nodes[0], all[0][1], SET, |reply| reply.status == 200);
    for at in 0..3 {
        stage.until(nodes[at], all[at][1], GET, |reply| reply.text() == SHOWN);
        said(&stage.stderr(nodes[at]), "native: ", 1);
        said(&stage.stderr(nodes[at]), "note: nothing is kept in --log-metadata-path", 1);
    }
    let members = ask(all[0][1], "GET", "/v1/cluster/members", "").json().unwrap();
    assert_eq!(members["members"].as_array().unwrap().len(), 3, "{members}");
    let root = stage.path().join("local-cluster/node-1");
    for folder in ["data/entry", "state", "snapshot", "data/metadata"] {
        assert!(root.join(folder).is_dir(), "{folder}");
    }
    assert!(fs::read_dir(root.join("data/entry")).unwrap().count() > 0, "the log is there");
    assert_eq!(fs::read_dir(root.join("data/metadata")).unwrap().count(), 0);
    // U18: both signals stop a node in good order, and the others go on.
    for (at, signal) in [(1, Signal::TERM), (2, Signal::INT)] {
        stage.process(nodes[at]).signal(signal).unwrap();
        let status = stage.process(nodes[at]).wait_exit(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(0));
        let again = start(stage, at);
        stage.until(again, all[at][1], SET, |reply| reply.status == 200);
        stage.until(again, all[at][1], GET, |reply| reply.text() == SHOWN);
    }
}

#[test]
fn u7_u9_u10_mistakes_are_named_in_the_programs_words() {
    let stage = Stage::new();
    let good = example(1, addresses());
    let without = |name: &str| -> Vec<String> {
        good.iter().filter(|word| !word.starts_with(name)).cloned().collect()
    };
    let with = |word: &str| [good.clone(), vec![word.to_owned()]].concat();
    for (line, code, want) in [
        (without("--api-port"), 1, "Missing required flag: --api-port"),
        (without("--snapshot-path"), 1, "Missing required flag: --snapshot-path"),
        (with("--heartbeat=1001"), 1, "--heartbeat (1001 ms) must be at most a third of"),
        (with("--nope"), 2, "flag provided but not defined: -nope\nUsage of raft:"),
        (with("--join-mode=dns"), 1, "--join-mode: 'dns' must be cluster-file or k8s"),
        (with("--config-file=nowhere.json"), 1, "nowhere.json: No such file"),
        // The file is not there yet: what serve would be told is said first.
        (good.clone(), 2, "native: "),
    ] {
        let ended = stage.run(&texts(&line));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(want), "{}", ended.stderr);
    }
}

#[test]
fn u11_the_configuration_file_overrides_the_flags() {
    let stage = &mut Stage::new();
    let all: [[SocketAddr; 2]; 1] = [addresses()];
    cluster_file(stage, &all);
    let [rpc, api] = all[0];
    let text = serde_json::json!({
        "node_id": "node-1", "api_port": api.port(), "rpc_port": rpc.port(),
        "write_ahead_log_entry_path": "entry", "write_ahead_log_metadata_path": "metadata.json",
        "raft_state_path": "state/state.json", "snapshot_path": "snapshot",
        "cluster_mode": "cluster-file",
        "cluster_config_path": "local-cluster/node-1/cluster/config.json",
        "max_conn_retry_attempts": 2,
    });
    fs::write(stage.path().join("raft.json"), text.to_string()).unwrap();
    let line = ["as", "raft", "--id=other", "--api-port=1", "--config-file", "raft.json"];
    let node = stage.start("node", &line);
    stage.until(node, api, SET, |reply| reply.status == 200);
    assert_eq!(ask(api, "GET", "/v1/node", "").json().unwrap()["name"], "node-1");
    assert!(stage.path().join("entry").is_dir() && stage.path().join("state/identity").is_file());
    stage.stop(node);
    let native = stage.native(node);
    let node = stage.launch("native", native);
    stage.until(node, api, GET, |reply| reply.text() == SHOWN);
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A pod, with what Kubernetes gives it: labels in a folder, and the variables of the image. All
/// pods have the same ports, so that one machine can hold one of them only.
#[test]
fn u8_u16_a_pod_by_its_labels_and_variables() {
    let stage = &mut Stage::new();
    let [rpc, api]: [SocketAddr; 2] = addresses();
    let labels = "app=\"raft\"\nraft-cluster/id=\"raft000\"\nraft-cluster/size=\"1\"\n\
                  raft-cluster/svcName=\"localhost\"\n";
    write(&stage.path().join("cluster-data/cluster/labels"), labels);
    write(&stage.path().join("cluster-data/cluster/k8s-ns"), "raft-k8s");
    let line: Vec<String> = example(1, [rpc, api])
        .into_iter()
        .filter(|word| {
            !["--id", "--join-mode", "--cluster-config"].iter().any(|name| word.starts_with(name))
        })
        .collect();
    let mut command = stage.command(&texts(&line));
    command.env("NODE_ID", "raft000-0").env("RUNNING_IN_K8S_ENV", "true");
    command.env("CLUSTER_CONFIG_PATH", "cluster-data/cluster");
    let node = stage.launch("pod", command);
    stage.until(node, api, SET, |reply| reply.status == 200);
    let view = ask(api, "GET", "/v1/node", "").json().unwrap();
    assert_eq!(view["name"], "raft000-0");
    assert_eq!(view["peer_address"], format!("raft000-0.localhost:{}", rpc.port()));
    assert_eq!(view["client_url"], format!("http://raft000-0.localhost:{}", api.port()));
    stage.stop(node);
}
