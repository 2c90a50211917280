//! The client that keeps TailFeather's rules.

use remex_client::tailfeather::TailFeatherClient;
use remex_client::{Code, Outcome};
use remex_testkit::cluster::{Patience, ports};
use serde_json::json;

use super::{sorted, value};
use crate::cluster;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

#[test]
fn t23_the_client_finds_the_leader_through_any_node() {
    let cluster = cluster(3);
    let (leader, others) = sorted(&cluster);
    // One that nobody listens on, and one that follows.
    let dead = ports::free_address().unwrap();
    run(async {
        let client = TailFeatherClient::new([format!("http://{dead}"), others[0].to_string()]);
        let client = client.unwrap();
        let database = json!({"Url": "http://live-test.ravendb.net", "n": 1.5});
        client.set("ravendb", &database).await.unwrap();
        assert_eq!(client.get("ravendb").await.unwrap(), Some(database.clone()));
        assert_eq!(value(leader, "ravendb"), database);
        client.set("null", &()).await.unwrap();
        assert_eq!(client.get("null").await.unwrap(), Some(json!(null)), "null is a value");
        client.set("large", &"v".repeat(16_000)).await.unwrap();
        client.remove("ravendb").await.unwrap();
        client.remove("ravendb").await.unwrap();
        assert_eq!(client.get("ravendb").await.unwrap(), None);
        let error = client.set("large", &"v".repeat(17_000)).await.unwrap_err();
        assert_eq!((error.status, error.outcome), (Some(400), Outcome::NotApplied));
        assert!(error.problem.detail.contains("17002 bytes"), "{error}");
    });
}

#[test]
fn t23_the_client_goes_on_when_another_node_leads() {
    let mut cluster = cluster(3);
    let (_, others) = sorted(&cluster);
    let urls: Vec<String> = others.iter().map(|node| format!("http://{node}")).collect();
    run(async {
        let client = TailFeatherClient::new(&urls).unwrap();
        client.set("k", &1).await.unwrap();
        let leader = cluster.wait_leader().unwrap();
        cluster.node(leader).kill().unwrap();
        // Its retries outlast a usual election; a busy machine may take longer for one.
        let mut patience = Patience::default();
        while let Err(error) = client.set("k", &2).await {
            assert!(patience.pause(), "{error}");
        }
        assert_eq!(client.get("k").await.unwrap(), Some(json!(2)));
    });
}

#[test]
fn t23_what_cannot_work_is_told() {
    assert!(TailFeatherClient::new(Vec::<String>::new()).is_err());
    assert!(TailFeatherClient::new(["ftp://a"]).is_err());
    let dead = ports::free_address().unwrap();
    let error = run(async {
        TailFeatherClient::new([dead.to_string()]).unwrap().get("k").await.unwrap_err()
    });
    assert_eq!((error.code, error.outcome), (Code::UNREACHABLE, Outcome::NotApplied));
}
