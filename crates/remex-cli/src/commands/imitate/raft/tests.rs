use std::fs;

use tempfile::TempDir;

use super::super::machine::Imagined;
use super::super::plan::Course;
use super::super::words;
use super::*;
use crate::exit::Exit;

/// The line of its documentation.
const EXAMPLE: &str = "--id=node-1 --api-port=7777 --rpc-port=6666 \
    --log-entry-path=./local-cluster/node-1/data/entry \
    --log-metadata-path=./local-cluster/node-1/data/metadata/metadata.json \
    --raft-state-path=./local-cluster/node-1/state/state.json --join-mode=cluster-file \
    --cluster-config-path=./local-cluster/node-1/cluster/config.json --election-timeout=3000 \
    --heartbeat=500 --rpc-timeout=1000 --api-timeout=2000 --api-fwd-timeout=1500 \
    --max-conn-retry-attempts=3 --snapshot-path=./local-cluster/node-1/snapshot";

const FOLDERS: &str = "--log-entry-path=l --log-metadata-path=m --raft-state-path=s \
                       --snapshot-path=p";

fn read_on(line: &str, machine: &dyn Machine) -> Result<Plan, Failure> {
    plan(&words(line), machine)
}

fn read(line: &str) -> Result<Plan, Failure> {
    read_on(line, &Imagined::default())
}

#[test]
fn u7_the_documented_line_becomes_settings() {
    let plan = read(EXAMPLE).unwrap();
    assert_eq!(
        plan.arguments(),
        "--name node-1 --data-dir ./local-cluster/node-1/state \
         --log-dir ./local-cluster/node-1/data/entry \
         --snapshot-dir ./local-cluster/node-1/snapshot --listen 0.0.0.0:7777 \
         --peer-listen 0.0.0.0:6666 --cluster-file ./local-cluster/node-1/cluster/config.json \
         --election-timeout 3000ms --heartbeat 500ms --peer-timeout 1000ms \
         --request-timeout 2000ms --forward-timeout 1500ms --connect-retries 3"
    );
    assert_eq!(plan.folders, [Path::new("./local-cluster/node-1/data/metadata")]);
    assert!(plan.remarks[0].contains("--log-metadata-path"), "{:?}", plan.remarks);
    assert_eq!(plan.course, Course::Serve);
}

#[test]
fn u7_what_is_required_is_named() {
    for (flag, shown) in [
        ("--id=node-1", "--id (or the variable NODE_ID)"),
        ("--api-port=7777", "--api-port"),
        ("--rpc-port=6666", "--rpc-port"),
        ("--log-entry-path=./local-cluster/node-1/data/entry", "--log-entry-path"),
        (
            "--log-metadata-path=./local-cluster/node-1/data/metadata/metadata.json",
            "--log-metadata-path",
        ),
        ("--raft-state-path=./local-cluster/node-1/state/state.json", "--raft-state-path"),
        ("--snapshot-path=./local-cluster/node-1/snapshot", "--snapshot-path"),
        (
            "--cluster-config-path=./local-cluster/node-1/cluster/config.json",
            "--cluster-config-path (or the variable CLUSTER_CONFIG_PATH)",
        ),
    ] {
        assert!(EXAMPLE.contains(flag));
        let failure = read(&EXAMPLE.replace(flag, "")).unwrap_err();
        assert_eq!(failure.message, format!("Missing required flag: {shown}"));
        assert_eq!(failure.exit, Exit::Failure);
    }
}

#[test]
fn u9_times_and_attempts_have_the_programs_defaults() {
    let line = format!("--id a --api-port 1 --rpc-port 2 {FOLDERS} --cluster-config-path c");
    let native = read(&line).unwrap().arguments();
    assert!(
        native.ends_with(
            "--election-timeout 2000ms --heartbeat 500ms --peer-timeout 1000ms \
             --request-timeout 2000ms --forward-timeout 1500ms --connect-retries 5"
        ),
        "{native}"
    );
    for (more, want) in [
        ("--heartbeat 700", "--heartbeat (700 ms) must be at most a third of --election-timeout"),
        ("--heartbeat-interval 700", "--heartbeat-interval (700 ms) must be at most"),
        ("--rpc-timeout 500", "--rpc-timeout (500 ms) must be longer than --heartbeat (500 ms)"),
        ("--api-timeout 0", "--api-timeout: '0' must be at least 1"),
        ("--api-fwd-timeout=-1", "--api-fwd-timeout: '-1' must be at least 1"),
        ("--max-conn-retry-attempts 0", "--max-conn-retry-attempts: '0' must be at least 1"),
        ("--api-port 2", "--api-port and --rpc-port are the same"),
        ("--api-port 0", "--api-port: '0' has no port"),
        ("--rpc-port 65536", "--rpc-port: '65536' has no port"),
        ("--join-mode static", "--join-mode: 'static' must be cluster-file or k8s"),
        ("--id a/b", "--id: 'a/b' must be"),
    ] {
        let failure = read(&format!("{line} {more}")).unwrap_err();
        assert!(failure.message.starts_with(want), "{}", failure.message);
    }
}

#[test]
fn u10_the_heartbeat_has_two_spellings() {
    for flag in ["--heartbeat=250", "--heartbeat-interval=250", "-heartbeat-interval 250"] {
        let plan = read(&EXAMPLE.replace("--heartbeat=500", flag)).unwrap();
        assert_eq!(plan.setting("heartbeat").unwrap(), "250ms");
    }
    let failure = read(&format!("{EXAMPLE} --heartbeat-interval=250")).unwrap_err();
    assert!(failure.message.contains("differ"), "{}", failure.message);
}

#[test]
fn folders_that_lie_in_each_other_are_told_apart() {
    // As in the image of the program: the metadata lies in the folder of the log.
    let line = "--id=a --api-port=1 --rpc-port=2 --cluster-config-path=c \
                --log-entry-path=./data/log --log-metadata-path=./data/log/meta/metadata.json \
                --raft-state-path=./data/state/state.json --snapshot-path=./data/snapshot";
    let plan = read(line).unwrap();
    assert_eq!(plan.setting("data-dir"), Some("./data/state"));
    assert_eq!(plan.setting("log-dir"), Some("./data/log"));
    assert_eq!(plan.setting("snapshot-dir"), Some("./data/snapshot"));
    assert!(plan.folders.is_empty(), "the log's folder must be empty at first");
    // Everything in one folder, or below it.
    for root in [".", "./data", "data/"] {
        let line = format!(
            "--id=a --api-port=1 --rpc-port=2 --cluster-config-path=c --log-entry-path={root} \
             --log-metadata-path={root} --raft-state-path={root} --snapshot-path={root}/snapshot"
        );
        let plan = read(&line).unwrap();
        assert_eq!(plan.setting("data-dir"), Some(root));
        assert_eq!((plan.setting("log-dir"), plan.setting("snapshot-dir")), (None, None));
        assert_eq!(plan.remarks.len(), 3, "{:?}", plan.remarks);
        assert!(plan.folders.is_empty());
    }
}

fn config_file(folder: &TempDir, json: &str) -> String {
    let path = folder.path().join("raft.json");
    fs::write(&path, json).unwrap();
    path.display().to_string()
}

#[test]
fn u11_the_configuration_file_stands_for_all_flags() {
    let folder = tempfile::tempdir().unwrap();
    let path = config_file(
        &folder,
        r#"{"node_id":"node-2","api_port":7778,"rpc_port":"6667","write_ahead_log_entry_path":"l",
            "log_metadata_path":"m","raft_state_path":"s/state.json","cluster_mode":"cluster-file",
            "cluster_config_path":"c.json","election_timeout_in_millis":1500,"heartbeat":400,
            "Rpc_Timeout_In_Millis":900,"max_conn_retry_attempts":2,"snapshot_path":"p",
            "metrics_port":1,"api_timeout":null}"#,
    );
    let plan = read(&format!("--id=other --heartbeat=1 --config-file={path}")).unwrap();
    assert_eq!(
        plan.arguments(),
        "--name node-2 --data-dir s --log-dir l --snapshot-dir p --listen 0.0.0.0:7778 \
         --peer-listen 0.0.0.0:6667 --cluster-file c.json --election-timeout 1500ms \
         --heartbeat 400ms --peer-timeout 900ms --request-timeout 2000ms --forward-timeout 1500ms \
         --connect-retries 2"
    );
    assert!(plan.remarks[0].ends_with("other flags: --heartbeat --id"), "{:?}", plan.remarks);
    assert!(plan.remarks[1].contains("metrics_port"), "{:?}", plan.remarks);
    assert_eq!(plan.folders, [Path::new("m")]);
}

#[test]
fn u11_what_is_wrong_in_the_file_is_named_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (json, want) in [
        ("{}", "raft.json has no node_id (or the variable NODE_ID)"),
        (r#"{"node_id":"a"}"#, "raft.json has no api_port"),
        (r#"{"node_id":"a","api_port":true}"#, "api_port is neither a text nor a number"),
        (r#"{"node_id":"a","api_port":-1}"#, "invalid value \"-1\" for flag -api-port"),
        ("[]", "raft.json: invalid type"),
        ("{", "raft.json: EOF"),
    ] {
        let path = config_file(&folder, json);
        let failure = read(&format!("--config-file {path}")).unwrap_err();
        assert!(failure.message.contains(want), "{json}: {}", failure.message);
        assert_eq!(failure.exit, Exit::Failure);
    }
    let failure = read("--config-file nowhere.json").unwrap_err();
    assert!(failure.message.starts_with("--config-file: nowhere.json: "), "{}", failure.message);
}

/// A folder as the downward API fills it.
fn pod_folder(labels: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("labels"), labels).unwrap();
    fs::write(folder.path().join("k8s-ns"), "raft-k8s").unwrap();
    folder
}

const LABELS: &str = "app=\"raft\"\nraft-cluster/id=\"raft000\"\nraft-cluster/size=\"3\"\n\
                      raft-cluster/svcName=\"raft-svc\"\ntier=\"datastore\"";

fn pod_line(node: &str, folder: &TempDir) -> String {
    format!(
        "--id={node} --api-port=7777 --rpc-port=6666 {FOLDERS} --join-mode=k8s \
         --cluster-config-path={}",
        folder.path().display()
    )
}

#[test]
fn u8_a_pod_finds_the_others_by_its_labels() {
    let folder = pod_folder(LABELS);
    let native = read(&pod_line("raft000-1", &folder)).unwrap().arguments();
    assert!(
        native.contains(
            "--listen 0.0.0.0:7777 --peer-listen 0.0.0.0:6666 \
             --advertise http://raft000-1.raft-svc:7777 --peer-advertise raft000-1.raft-svc:6666 \
             --join raft000-0.raft-svc:6666,raft000-1.raft-svc:6666,raft000-2.raft-svc:6666 \
             --expect 2 --election"
        ),
        "{native}"
    );
    let alone = pod_folder(&LABELS.replace('3', "1"));
    let plan = read(&pod_line("raft000-0", &alone)).unwrap();
    assert_eq!(plan.setting("join"), None);
    let later = read(&pod_line("raft000-1", &alone)).unwrap();
    assert_eq!(later.setting("join").unwrap(), "raft000-0.raft-svc:6666");
}

#[test]
fn u8_what_is_wrong_with_the_labels_is_named() {
    for (labels, want) in [
        (LABELS.replace("/size", "/sz"), "the pod has no label raft-cluster/size"),
        (LABELS.replace("\"raft000\"", "\"\""), "the pod has no label raft-cluster/id"),
        (LABELS.replace("\"3\"", "\"three\""), "'three' is no number from 1 to 99"),
        (LABELS.replace("\"3\"", "\"0\""), "'0' is no number from 1 to 99"),
        (LABELS.replace("\"raft\"", "raft"), "'app=raft' is no label"),
    ] {
        let folder = pod_folder(&labels);
        let failure = read(&pod_line("raft000-0", &folder)).unwrap_err();
        assert!(failure.message.contains(want), "{}", failure.message);
        assert!(failure.message.contains("labels: "), "{}", failure.message);
    }
    let line = format!("--id a --api-port 1 --rpc-port 2 {FOLDERS} --join-mode k8s");
    let failure = read(&format!("{line} --cluster-config-path nowhere")).unwrap_err();
    assert!(failure.message.contains("nowhere/labels: "), "{}", failure.message);
    let failure = read(&line).unwrap_err();
    assert!(failure.message.contains("/etc/podinfo/labels: "), "{}", failure.message);
}

#[test]
fn u16_the_variables_of_a_container_hold_where_a_flag_is_missing() {
    let folder = pod_folder(LABELS);
    let path: &'static str = Box::leak(folder.path().display().to_string().into_boxed_str());
    let variables = vec![("NODE_ID", "raft000-2"), ("CLUSTER_CONFIG_PATH", path)];
    let machine = Imagined { variables: variables.clone(), ..Imagined::default() };
    let line = format!("--api-port=7777 --rpc-port=6666 {FOLDERS}");
    let plan = read_on(&line, &machine).unwrap();
    assert_eq!(plan.setting("name").unwrap(), "raft000-2");
    assert_eq!(plan.setting("cluster-file").unwrap(), path);
    let plan = read_on(&format!("{line} --id=a --cluster-config-path=b"), &machine).unwrap();
    assert_eq!((plan.setting("name"), plan.setting("cluster-file")), (Some("a"), Some("b")));

    let in_pod = [variables, vec![("RUNNING_IN_K8S_ENV", "true")]].concat();
    let machine = Imagined { variables: in_pod, ..Imagined::default() };
    let plan = read_on(&line, &machine).unwrap();
    assert_eq!(plan.setting("peer-advertise").unwrap(), "raft000-2.raft-svc:6666");
    let plan = read_on(&format!("{line} --join-mode=cluster-file"), &machine).unwrap();
    assert_eq!(plan.setting("peer-advertise"), None);
}

#[test]
fn a_path_of_a_file_stands_for_its_folder() {
    for (path, want) in [
        ("./state/state.json", "./state"),
        ("state.json", "."),
        ("./state", "./state"),
        ("state/", "state/"),
        (".", "."),
        ("..", ".."),
    ] {
        assert_eq!(folder(path), Path::new(want), "{path}");
    }
    let dotted = tempfile::Builder::new().suffix(".d").tempdir().unwrap();
    assert_eq!(folder(&dotted.path().display().to_string()), dotted.path());
}
