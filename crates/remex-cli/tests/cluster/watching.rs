//! What a person sees of a cluster that runs: metrics, health, status, logs.

use std::collections::BTreeMap;

use remex_testkit::cluster::{Cluster, Node, Plan, SECRET};
use remex_testkit::http::HttpClient;

use crate::{done, get, plan, put, remex, run, start, wait_for};

/// The rows of `docs/metrics.md`: name, type and labels.
fn documented() -> BTreeMap<String, (String, String)> {
    let text = include_str!("../../../../docs/metrics.md");
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| `remex_") || line.starts_with("| `process_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        (cells[1].to_owned(), (cells[2].to_owned(), cells[3].to_owned()))
    })
    .collect()
}

#[test]
fn every_documented_metric_is_there_and_no_other() {
    let mut cluster = start(3);
    for node in cluster.nodes() {
        put(node, "color", SECRET);
        get(node, "color");
    }
    let documented = documented();
    assert!(documented.len() > 40, "{documented:?}");
    for node in cluster.nodes() {
        let text = node.look("/metrics").unwrap().text();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let types: BTreeMap<&str, &str> = types.collect();
        for (name, (kind, labels)) in &documented {
            assert_eq!(types.get(name.as_str()), Some(&kind.as_str()), "{name}");
            let has = text.lines().any(|line| {
                let rest = line.strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.starts_with([' ', '{', '_']))
            });
            // A series with labels comes with its first observation.
            assert!(has || !labels.is_empty(), "{name} has no value");
        }
        for name in types.keys() {
            assert!(documented.contains_key(*name), "{name} is not documented");
        }
        assert!(!text.contains("color") && !text.contains(SECRET), "a key or value is a label");
    }
    // They tell of a living cluster.
    let leader = cluster.wait_leader().unwrap();
    let one = |node: &Node, name: &str, label: &str| node.metric(name, label).unwrap();
    for (number, node) in cluster.nodes().iter().enumerate() {
        assert_eq!(one(node, "remex_has_leader", ""), Some(1.0));
        assert_eq!(one(node, "remex_is_leader", "") == Some(1.0), number == leader);
        assert_eq!(one(node, "remex_members", "voter"), Some(3.0));
        assert!(one(node, "remex_log_sync_seconds_count", "") > Some(0.0));
    }
    assert_eq!(one(&cluster.nodes()[leader], "remex_quorum_margin", ""), Some(1.0));
    let down = (leader + 1) % 3;
    cluster.node(down).kill().unwrap();
    let name = format!("n{}", down + 1);
    let leader = &cluster.nodes()[leader];
    wait_for("the margin to shrink", || one(leader, "remex_quorum_margin", "") == Some(0.0));
    wait_for("the link to be gone", || one(leader, "remex_peer_connected", &name) == Some(0.0));
}

#[test]
fn status_says_how_many_more_may_be_lost() {
    let mut cluster = start(3);
    let status = |cluster: &Cluster, node: usize| {
        remex(&cluster.nodes()[node], &["status", "--output", "table"])
    };
    assert!(done(status(&cluster, 0)).contains("can lose 1 more"));
    let leader = cluster.wait_leader().unwrap();
    let (down, rest) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.node(down).kill().unwrap();
    wait_for("the loss to be told", || {
        let ran = status(&cluster, rest);
        ran.code == Some(0) && ran.stdout.contains("2 of 3 voters reachable; can lose none")
    });
    cluster.node(leader).kill().unwrap();
    wait_for("the lost quorum to be told", || {
        let ran = status(&cluster, rest);
        ran.code == Some(8) && ran.stdout.contains("LOST")
    });
    // Health waits for what comes.
    let endpoints: Vec<String> =
        cluster.nodes().iter().map(|node| format!("http://{}", node.address())).collect();
    let endpoints = endpoints.join(",");
    assert_eq!(run(&["health", "-e", &endpoints]).code, Some(8));
    let waiting = std::thread::spawn({
        let endpoints = endpoints.clone();
        move || run(&["health", "--wait", "-e", &endpoints])
    });
    cluster.node(leader).start().unwrap();
    cluster.node(down).start().unwrap();
    let ran = waiting.join().unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches(" ready").count(), 3, "{ran:?}");
    wait_for("the margin to be back", || status(&cluster, down).stdout.contains("can lose 1 more"));
}

/// Every line that a node has said is an object with the documented fields.
fn assert_json(node: &Node) {
    let log = node.logs().stderr().unwrap();
    for line in log.lines() {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(object[field].is_string(), "no {field}: {line}");
        }
    }
    assert!(log.lines().count() > 2, "{log}");
}

#[test]
fn logs_are_objects_can_be_turned_up_and_hold_no_value() {
    let arguments = ["--log-format", "json"].map(str::to_owned).to_vec();
    let mut cluster = Cluster::start(&Plan { arguments, ..plan(3) }).unwrap();
    let details = |node: &Node| node.logs().stderr().unwrap().matches("\"DEBUG\"").count();
    for node in cluster.nodes() {
        assert_eq!(details(node), 0);
        let level = node.client().request("PUT", "/v1/log-level", &[], b"trace").unwrap();
        assert_eq!(level.status, 200, "{}", level.text());
    }
    // What is dropped with the cluster is searched for the secret that these hold.
    for number in 0..20 {
        for node in cluster.nodes() {
            put(node, &format!("key/{number}"), &format!("{{\"password\":\"{SECRET}\"}}"));
            get(node, &format!("key/{number}"));
        }
    }
    let node = &cluster.nodes()[0];
    let batch = format!("[{{\"put\":{{\"key\":\"a\",\"text\":\"{SECRET}\"}}}},");
    let reply = node.client().request("POST", "/v1/batch", &[], batch.as_bytes()).unwrap();
    assert_eq!(reply.status, 400);
    let mut client = HttpClient::new(node.address(), std::time::Duration::from_secs(20));
    let json = [("Content-Type", "application/json")];
    let bad = format!("{{{SECRET}");
    let reply = client.request("PUT", "/v1/kv/bad", &json, bad.as_bytes()).unwrap();
    assert_eq!(reply.status, 400);
    // At this level it says whom it refused, though not what they sent.
    wait_for("more words", || details(node) >= 2);
    let level = node.client().request("PUT", "/v1/log-level", &[], b"loud").unwrap();
    assert_eq!(level.status, 400, "{}", level.text());
    let level = node.look("/v1/log-level").unwrap().json().unwrap();
    assert_eq!(level["level"], "trace");

    cluster.node(1).kill().unwrap();
    cluster.node(1).start().unwrap();
    cluster.wait_ready().unwrap();
    for node in cluster.nodes_mut() {
        node.terminate().unwrap();
        let status = node.wait_exit(std::time::Duration::from_secs(10)).unwrap();
        assert!(status.success(), "{status}\n{}", node.logs().tail());
    }
    cluster.nodes().iter().for_each(assert_json);
}
