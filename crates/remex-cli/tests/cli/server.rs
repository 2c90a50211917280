//! What keeps `serve` and `dev` from starting: one line, a remedy, no trace on the disk.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::{Ran, remex, run};

/// Fails with this code and one line that holds all parts.
#[track_caller]
fn refused(ran: &Ran, code: i32, parts: &[&str]) {
    ran.expect(code, "");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
}

fn serve_with_file(directory: &Path, text: &str) -> Ran {
    let file = directory.join("remex.toml");
    fs::write(&file, text).unwrap();
    run(&["serve", "--config", file.to_str().unwrap()])
}

#[test]
fn a_busy_client_port_is_found_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = directory.path().join("data");
    let ran = run(&["serve", "--listen", &address, "--data-dir", data.to_str().unwrap()]);
    refused(&ran, 1, &[&address, "in use", "--listen"]);
    assert!(!data.exists());
}

#[test]
fn a_busy_port_of_dev_is_named_before_anything_is_started() {
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().join("keep");
    // A port so high that the last node's would be no port is refused as such.
    let taken = loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        if (1025..=65_400).contains(&listener.local_addr().unwrap().port()) {
            break listener;
        }
    };
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = run(&["dev", "--port-base", &port, "--keep", keep.to_str().unwrap()]);
    refused(&ran, 1, &[&format!("port {port} is in use (clients of n1)"), "--port-base"]);
    assert!(!keep.exists());
}

#[test]
fn a_settings_file_is_checked_key_by_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let name = path.join("remex.toml").display().to_string();
    let ran = serve_with_file(path, "data_dir = '/tmp/x'\n");
    refused(&ran, 2, &[&name, "'data_dir'", "did you mean 'data-dir'?"]);
    let ran = serve_with_file(path, "max-value-bytes = '3MiB'\n");
    refused(&ran, 2, &["max-value-bytes in", &name, "'3MiB'", "over the maximum"]);
    let ran = serve_with_file(path, "listen = \n");
    refused(&ran, 2, &[&name, "line 1"]);
    refused(&run(&["serve", "--config", "/nonexistent"]), 2, &["/nonexistent", "--config"]);
}

#[test]
fn a_flag_outdoes_a_variable_and_a_variable_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("remex.toml");
    fs::write(&file, "expect = 'from the file'\n").unwrap();
    let serve = |flag: Option<&str>, variable: Option<&str>| {
        let mut command = remex(&["serve"]);
        command.env("REMEX_CONFIG", &file).current_dir(directory.path());
        if let Some(flag) = flag {
            command.args(["--expect", flag]);
        }
        if let Some(variable) = variable {
            command.env("REMEX_EXPECT", variable);
        }
        Ran::from(command.output().unwrap())
    };
    refused(&serve(None, None), 2, &["expect in ", "'from the file'"]);
    refused(&serve(None, Some("from env")), 2, &["REMEX_EXPECT: 'from env'"]);
    refused(&serve(Some("from flag"), Some("from env")), 2, &["--expect: 'from flag'"]);
}

#[test]
fn ports_that_overlap_are_a_mistake_with_a_way_out() {
    let ran = run(&["serve", "--listen", "127.0.0.1:7000", "--peer-listen", "0.0.0.0:7000"]);
    refused(&ran, 2, &["--listen and --peer-listen overlap", "--single-port"]);
    let two = ["serve", "--dialect", "hraftd=[::]:7000", "--dialect", "raftexample=0.0.0.0:7000"];
    refused(&run(&two), 2, &["--dialect hraftd and --dialect raftexample", "another port"]);
    let always = ["serve", "--dialect", "tailfeather=127.0.0.1:7000"];
    refused(&run(&always), 2, &["'tailfeather' is spoken on the client port, always", "hraftd"]);
    let said = ["serve", "--single-port", "--peer-listen", "127.0.0.1:7000"];
    refused(&run(&said), 2, &["--peer-listen is 127.0.0.1:7000", "--single-port", "leave one"]);
}

#[test]
fn times_that_do_not_fit_together_name_both_values() {
    let pace = ["serve", "--heartbeat", "300ms"];
    refused(&run(&pace), 2, &["750 ms", "300 ms", "raise --election-timeout or lower --heartbeat"]);
    let pauses = ["serve", "--connect-pause", "2s"];
    refused(&run(&pauses), 2, &["2000 ms", "1000 ms"]);
    refused(&run(&["serve", "--peer-timeout", "1h"]), 2, &["3600000 ms", "at most"]);
}

#[test]
fn a_cluster_file_is_checked_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.json");
    let path = file.to_str().unwrap();
    let serve = |more: &[&str]| {
        let words = ["serve", "--cluster-file", path];
        let mut command = remex(&[&words[..], more].concat());
        Ran::from(command.current_dir(directory.path()).output().unwrap())
    };
    refused(&serve(&["--name", "a"]), 2, &["--cluster-file", path, "cannot read"]);
    fs::write(&file, r#"[{"node_id":"a","rpc_url":"localhost:1","api_url":"localhost:2"}]"#)
        .unwrap();
    refused(&serve(&[]), 2, &["add --name"]);
    refused(&serve(&["--name", "b"]), 2, &[path, "no node b", "its nodes are a"]);
    fs::write(&file, r#"[{"node_id":"a","rpc_url":"localhost:1"}]"#).unwrap();
    refused(&serve(&["--name", "a"]), 2, &["missing field `api_url`"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_is_not_this_nodes_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("fast");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("letter"), "dear").unwrap();
    let data = directory.path().join("data");
    let ports = ["--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"];
    let folders = ["--data-dir", data.to_str().unwrap(), "--log-dir", place.to_str().unwrap()];
    let ran = run(&[&["serve"], &ports[..], &folders[..]].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let last = ran.stderr.lines().last().unwrap();
    assert!(last.contains("holds letter") && last.contains("choose an empty folder"), "{last}");
}
