//! One node and three: what they keep, what they refuse, what they answer.

use std::path::Path;
use std::time::{Duration, Instant};

use remex::{Config, Node, OpenError};
use remex_model::{
    Command, Consistency, Context, ErrorCode, KeyRange, Limits, List, Operation, Order, Outcome,
    ReadOptions, Request, Response, Revision, Test, Value, Write, WriteResult,
};

use super::{PATIENCE, config, free_addresses, get, put, request, value, write};

struct Trio {
    folder: tempfile::TempDir,
    addresses: Vec<String>,
}

impl Trio {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        Self { folder, addresses: free_addresses(3) }
    }

    async fn open(&self, position: usize) -> Node {
        let config = Config {
            name: Some(format!("n{}", position + 1)),
            peer_listen: self.addresses[position].parse().expect("an address"),
            join: self.addresses.clone(),
            expect: Some(3),
            ..config(&self.folder.path().join(format!("n{}", position + 1)))
        };
        // A node that was dropped gives its port back when its tasks have ended.
        let begin = Instant::now();
        loop {
            match Node::open(config.clone()).await {
                Ok(node) => return node,
                Err(OpenError::Listen { .. }) if begin.elapsed() < PATIENCE => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("the node does not open: {error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open(config(folder.path())).await.unwrap();
    let service = node.service();
    assert_eq!(put(&service, "a", "1").await, Revision(2));
    assert_eq!(put(&service, "a", "2").await, Revision(3));
    assert_eq!(value(&service, "a").await.as_deref(), Some("2"));
    let old = ReadOptions { at: Some(Revision(2)), ..ReadOptions::default() };
    assert_eq!(get(&service, "a", old).await.record.unwrap().value.bytes, "1");
    // Like a crash: nothing is handed over or written at the end.
    drop(node);

    let node = Node::open(config(folder.path())).await.unwrap();
    let service = node.service();
    assert_eq!(value(&service, "a").await.as_deref(), Some("2"));
    assert_eq!(put(&service, "b", "3").await, Revision(4));
    node.shutdown().await.unwrap();

    let node = Node::open(config(folder.path())).await.unwrap();
    assert_eq!(value(&node.service(), "b").await.as_deref(), Some("3"));
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_found_one_cluster_and_answer_as_one() {
    let trio = Trio::new();
    let first = trio.open(0).await;
    let second = trio.open(1).await;
    let third = trio.open(2).await;
    let nodes = [first, second, third];
    let services: Vec<_> = nodes.iter().map(Node::service).collect();
    for (position, service) in services.iter().enumerate() {
        put(service, &format!("key{position}"), "x").await;
        for reader in &services {
            let found = value(reader, &format!("key{position}")).await;
            assert_eq!(found.as_deref(), Some("x"));
        }
    }
    let ids: Vec<_> = nodes.iter().map(|node| node.admin().node().cluster_id).collect();
    assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    for node in nodes {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_go_on_and_the_third_catches_up() {
    let trio = Trio::new();
    let mut nodes = vec![trio.open(0).await, trio.open(1).await, trio.open(2).await];
    put(&nodes[0].service(), "before", "1").await;
    let position = nodes
        .iter()
        .position(|node| node.admin().leader() == Some(node.admin().node().id))
        .expect("some node leads");
    drop(nodes.remove(position));
    put(&nodes[0].service(), "during", "2").await;
    put(&nodes[1].service(), "during", "3").await;

    let back = trio.open(position).await;
    assert_eq!(value(&back.service(), "during").await.as_deref(), Some("3"));
    assert_eq!(value(&back.service(), "before").await.as_deref(), Some("1"));
    // A minority alone refuses linearizable reads and writes, and still answers stale ones.
    drop(nodes);
    let service = back.service();
    let soon = Context { deadline: Instant::now() + Duration::from_millis(300) };
    let command = Command::put("after".into(), Value::raw("4"));
    let request = Request { context: soon, operation: Operation::Write(command) };
    let error = service.call(request).await.unwrap_err();
    assert!(
        matches!(error.code, ErrorCode::NoLeader | ErrorCode::Timeout),
        "a write without a majority: {error:?}"
    );
    let stale = ReadOptions { consistency: Consistency::Stale, ..ReadOptions::default() };
    assert!(get(&service, "during", stale).await.record.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_are_checked_where_the_write_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open(config(folder.path())).await.unwrap();
    let service = node.service();
    let create = || Command::put("a".into(), Value::raw("1")).only_if("a".into(), Test::Absent);
    assert!(matches!(write(&service, create()).await, Ok(Outcome::Written(_))));
    let Ok(Outcome::Refused(refusal)) = write(&service, create()).await else {
        panic!("the second creation must be refused");
    };
    assert_eq!(refusal.current, Some(Revision(2)));
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_serves_one_node_under_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str| Config { name: Some(name.to_owned()), ..config(folder.path()) };
    let node = Node::open(named("n1")).await.unwrap();
    let error = Node::open(named("n1")).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    node.shutdown().await.unwrap();
    let error = Node::open(named("n2")).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Identity(_)), "{error}");
    assert!(error.to_string().contains("n1") && error.to_string().contains("n2"), "{error}");
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for config in [
        Config { expect: Some(3), ..config(folder.path()) },
        Config { join: vec!["127.0.0.1:1".to_owned()], wait: true, ..config(folder.path()) },
        Config { heartbeat_ms: 500, ..config(folder.path()) },
        Config { segment_bytes: 64 * 1024, ..config(folder.path()) },
        Config {
            limits: Limits { value_bytes_max: usize::MAX, ..Limits::default() },
            ..config(folder.path())
        },
    ] {
        let error = Node::open(config).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, OpenError::Config(_)), "{error}");
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A node without its log has forgotten its votes and acknowledgements; one with an older log, a
/// part of them. Neither may go on as if nothing had happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_or_older_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let node = Node::open(config(folder.path())).await.unwrap();
    put(&node.service(), "a", "1").await;
    node.shutdown().await.unwrap();
    let older = folder.path().join("older");
    copy(&log, &older).unwrap();

    let node = Node::open(config(folder.path())).await.unwrap();
    for _ in 0..5 {
        put(&node.service(), "a", "2").await;
    }
    // In good order, so that the state holds what the older log lacks.
    node.shutdown().await.unwrap();
    let newer = folder.path().join("newer");
    copy(&log, &newer).unwrap();

    std::fs::remove_dir_all(&log).unwrap();
    let error = Node::open(config(folder.path())).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, OpenError::Recovery(text) if text.contains("gone")), "{error}");
    copy(&older, &log).unwrap();
    let error = Node::open(config(folder.path())).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, OpenError::Recovery(text) if text.contains("lost")), "{error}");

    std::fs::remove_dir_all(&log).unwrap();
    copy(&newer, &log).unwrap();
    let node = Node::open(config(folder.path())).await.unwrap();
    assert_eq!(value(&node.service(), "a").await.as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_ranges_are_counted_in_slices_and_deleted_in_steps() {
    const KEYS: u64 = Write::DELETE_RANGE_KEYS_MAX + 500;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open(config(folder.path())).await.unwrap();
    let service = node.service();
    let numbers: Vec<u64> = (0..KEYS).collect();
    for chunk in numbers.chunks(1000) {
        let put = |number: &u64| Write::Put {
            key: format!("k{number:06}").as_str().into(),
            value: Value::raw("v"),
            lease: 0,
        };
        let command = Command { writes: chunk.iter().map(put).collect(), ..Command::default() };
        write(&service, command).await.unwrap();
    }
    let list = List {
        range: KeyRange::prefix("k"),
        after: None,
        limit: 3,
        order: Order::Descending,
        keys_only: false,
        count: true,
        options: ReadOptions::default(),
    };
    let Response::List(page) = service.call(request(Operation::List(list))).await.unwrap() else {
        panic!("a list is answered with a page");
    };
    assert_eq!((page.count, page.items.len(), page.more), (Some(KEYS), 3, true));
    assert_eq!(page.items[0].key.as_text(), Some(format!("k{:06}", KEYS - 1).as_str()));

    let mut deleted = Vec::new();
    for _ in 0..3 {
        let writes = vec![Write::DeleteRange { range: KeyRange::prefix("k") }];
        let command = Command { writes, ..Command::default() };
        let Ok(Outcome::Written(written)) = write(&service, command).await else {
            panic!("a delete is not refused");
        };
        let [WriteResult::Deleted { count, .. }] = written.results[..] else {
            panic!("a delete has one result");
        };
        deleted.push(count);
    }
    assert_eq!(deleted, [Write::DELETE_RANGE_KEYS_MAX, 500, 0]);
    node.shutdown().await.unwrap();
}
