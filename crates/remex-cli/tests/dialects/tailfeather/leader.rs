//! Requests that only a leader answers, where nobody or another node leads.

use std::path::PathBuf;

use remex_testkit::cluster::{Cluster, Plan};
use serde_json::{Value, json};

use super::{DOCUMENT, error, follow, raw, read, set, sorted, value};
use crate::{ask, binary, cluster, eventually};

#[test]
fn t17_a_follower_redirects_writes_to_the_leader_with_path_and_query() {
    let cluster = cluster(3);
    let (leader, others) = sorted(&cluster);
    let reply = ask(others[0], "GET", DOCUMENT, "");
    let location = "/tailfeather/key-val/set?key=ravendb&val=%7B%20'Url':%20'http://live-test.ravendb.net',%20'Database':%20'Sample'%20%7D";
    assert_eq!((reply.status, reply.body.len()), (302, 0));
    assert_eq!(reply.header("location"), Some(&*format!("http://{leader}{location}")));
    assert_eq!(follow(&reply, "GET", "").status, 202);
    assert_eq!(value(leader, "ravendb")["Database"], "Sample");

    for target in ["key-val/cas?key=n&val=1&prevValue=null", "key-val/del?key=ravendb"] {
        let reply = ask(others[1], "GET", &format!("/tailfeather/{target}"), "");
        assert!(matches!(follow(&reply, "GET", "").status, 200 | 202), "{target}");
    }
    assert_eq!((value(leader, "n"), read(leader, "ravendb").status), (json!(1), 404));

    let body = r#"[{"Type":"Add","Key":"a","Value":1}]"#;
    let reply = ask(others[0], "POST", "/tailfeather/key-val/batch", body);
    assert_eq!(reply.status, 307, "a POST stays a POST");
    assert_eq!(follow(&reply, "POST", body).status, 202);
    assert_eq!(value(leader, "a"), 1);
    // What cannot be done at all is said at once.
    assert_eq!(ask(others[0], "POST", "/tailfeather/key-val/batch", "[{").status, 400);
}

/// All nodes tell clients the same URL, as behind a balancer: none of them is the leader's own.
#[test]
fn t19_a_follower_that_knows_no_url_of_the_leader_passes_the_request_on() {
    let arguments = ["--advertise", "http://127.0.0.1:9"].map(str::to_owned).to_vec();
    let plan = Plan { binary: PathBuf::from(binary()), nodes: 3, arguments };
    let cluster = Cluster::start(&plan).unwrap();
    let (leader, others) = sorted(&cluster);
    for (number, &other) in others.iter().enumerate() {
        let reply = set(other, "k", &number.to_string());
        assert_eq!((reply.status, reply.header("location")), (202, None), "{}", reply.text());
        assert_eq!(value(leader, "k"), number);
    }
    let reply = ask(others[0], "GET", "/tailfeather/key-val/read?key=k&mode=leader", "");
    assert_eq!(reply.json().unwrap()["Value"], 1);
}

/// The leader's URL is one that leads to any node: sent there, a request would come back.
#[test]
fn t17_a_redirect_never_leads_to_where_the_request_came_from() {
    let cluster = cluster(3);
    let (leader, others) = sorted(&cluster);
    let target = "/tailfeather/key-val/set?key=k&val=1";
    let asked = format!("GET {target} HTTP/1.1\r\nHost: {leader}\r\nConnection: close\r\n\r\n");
    let answer = raw(others[0], &[&asked]);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(value(leader, "k"), 1);
}

#[test]
fn t18_without_a_leader_it_is_412_and_try_again_later() {
    let mut cluster = cluster(3);
    let last = cluster.nodes()[2].address();
    let (leader, _) = sorted(&cluster);
    assert_eq!(set(leader, "k", "1").status, 202);
    cluster.node(0).kill().unwrap();
    cluster.node(1).kill().unwrap();
    let reply = eventually("a node that knows no leader", || {
        Some(set(last, "k", "2")).filter(|reply| reply.status == 412)
    });
    assert_eq!(error(&reply, 412), "No current leader, try again later");
    assert!(reply.header("retry-after").is_some());
    for target in ["admin/fly-away?name=n1", "key-val/read?key=k&mode=leader"] {
        let reply = ask(last, "GET", &format!("/tailfeather/{target}"), "");
        assert_eq!(error(&reply, 412), "No current leader, try again later");
    }
    // Its own copy can be read for as long as it runs.
    let state = read(last, "k").json().unwrap();
    assert_ne!((&state["State"], &state["Value"]), (&json!("Leader"), &Value::Null));
    cluster.node(0).start().unwrap();
    eventually("a leader again", || {
        let reply = set(last, "k", "3");
        match reply.status {
            202 => Some(reply),
            302 => Some(follow(&reply, "GET", "")).filter(|reply| reply.status == 202),
            _ => None,
        }
    });
}
