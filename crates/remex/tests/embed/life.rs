//! Opening, closing, dropping, and what a program shares with the store.

use std::time::Duration;

use remex::{Batch, Changes, ErrorCode, OpenError, Revision, Store};

use super::{PATIENCE, alone, builder, cluster, text};

#[tokio::test]
async fn a_closed_store_says_so_and_has_kept_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let clone = store.clone();
    store.put("k", "1").await.unwrap();
    store.close().await.unwrap();
    // For all clones, and as often as anyone likes.
    let errors = [
        clone.get("k").await.unwrap_err(),
        clone.stale().get("k").await.unwrap_err(),
        clone.put("k", "2").await.unwrap_err(),
        clone.list("").await.unwrap_err(),
        clone.ready().await.unwrap_err(),
        clone.watch("k").await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.code == ErrorCode::Draining), "{errors:?}");
    assert!(clone.changes(Revision(0)).next().await.is_none());
    clone.close().await.unwrap();
    store.close().await.unwrap();

    // The directory is free while handles are still about.
    let again = alone(folder.path()).await;
    assert_eq!(text(again.get("k").await.unwrap()).as_deref(), Some("1"));
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_share_a_store_and_one_closes_it_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut written = 0;
            loop {
                match store.put(format!("t{task}"), written.to_string()).await {
                    Ok(_) => written += 1,
                    Err(error) => {
                        assert_eq!(error.code, ErrorCode::Draining, "{error}");
                        return (task, written);
                    }
                }
            }
        });
    }
    let mut changes = store.changes(Revision(0));
    for _ in 0..200 {
        changes.next().await.unwrap().unwrap();
    }
    // Both wait for the same end.
    let clone = store.clone();
    let (one, other) = tokio::join!(store.close(), clone.close());
    one.unwrap();
    other.unwrap();
    let acknowledged = tasks.join_all().await;
    let store = alone(folder.path()).await;
    for (task, written) in acknowledged {
        let last: u64 = store.get_json(format!("t{task}")).await.unwrap().unwrap();
        // One more may have been applied than was acknowledged, none less.
        assert!(last + 1 == written || last == written, "task {task}: {last} of {written}");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_a_handle_shows_of_itself_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    store.put("key", "secret").await.unwrap();
    let shown = format!("{store:?} {:?} {:?}", store.changes(Revision(0)), store.pages(""));
    assert!(shown.contains(&folder.path().display().to_string()), "{shown}");
    assert!(!shown.contains("secret") && shown.len() < 2000, "{shown}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_dropped_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3_u64 {
        let store = alone(folder.path()).await;
        assert_eq!(store.list("").await.unwrap().entries.len() as u64, 20 * (round - 1));
        for number in 0..20 {
            store.put(format!("{round}/{number}"), "x").await.unwrap();
        }
        let clone = store.clone();
        drop(store);
        assert!(clone.get(format!("{round}/0")).await.unwrap().is_some(), "a handle is left");
        // Like a crash, without giving anything back first.
        drop(clone);
    }
}

#[tokio::test]
async fn a_close_that_nobody_waits_for_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    store.put("k", "1").await.unwrap();
    tokio::select! {
        biased;
        ended = store.close() => panic!("it takes longer than being polled once: {ended:?}"),
        () = std::future::ready(()) => {}
    }
    let ended = tokio::time::timeout(PATIENCE, store.close()).await;
    ended.expect("it ends").unwrap();
}

/// The runtime goes first, as at the end of a program that keeps its store in a global.
#[test]
fn a_store_may_outlive_its_runtime() {
    let folder = tempfile::tempdir().unwrap();
    for runtime in
        [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()]
    {
        let mut runtime = runtime;
        let runtime = runtime.enable_all().build().unwrap();
        let store = runtime.block_on(async {
            let store = alone(folder.path()).await;
            let count = store.get_json::<u64>("count").await.unwrap().unwrap_or(0);
            store.put_json("count", &(count + 1)).await.unwrap();
            store
        });
        drop(runtime);
        drop(store);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = alone(folder.path()).await;
        assert_eq!(store.get_json("count").await.unwrap(), Some(2));
        store.close().await.unwrap();
    });
}

/// Any task of any runtime may make any call.
#[test]
fn calls_can_be_spawned() {
    fn spawnable<F: Future + Send>(_: impl FnOnce(&'static Store, &'static mut Changes) -> F) {}
    fn shareable<T: Clone + Send + Sync + 'static>() {}
    shareable::<Store>();
    spawnable(|store, _| store.put("k", "v"));
    spawnable(|store, _| store.put_json("k", &1));
    spawnable(|store, _| store.batch(Batch::new()));
    spawnable(|store, _| store.get_json::<u64>("k"));
    spawnable(|store, _| store.list("k"));
    spawnable(|store, _| store.watch("k"));
    spawnable(|store, _| store.join("localhost:1"));
    spawnable(|store, _| store.leave());
    spawnable(|store, _| store.close());
    spawnable(|_, changes| changes.next());
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let opened = builder(folder.path()).open().await;
    assert!(matches!(opened, Err(OpenError::Locked { .. })), "{opened:?}");

    let other = folder.path().join("other");
    let taken = store.peer_address().to_string();
    let opened = Store::builder(&other).listen(&taken).open().await;
    assert!(
        matches!(&opened, Err(OpenError::Listen { address, .. }) if address.to_string() == taken)
    );
    let opened = Store::builder(&other).listen("nowhere").open().await;
    let Err(OpenError::Config(text)) = opened else { panic!("{opened:?}") };
    assert!(text.contains("`nowhere`") && text.contains("host:port"), "{text}");
    let opened = Store::builder(&other).join([taken]).wait().open().await;
    assert!(matches!(opened, Err(OpenError::Config(_))), "{opened:?}");
    let opened = Store::builder(&other).config(|config| config.heartbeat_ms = 0).open().await;
    assert!(matches!(opened, Err(OpenError::Config(_))), "{opened:?}");

    store.close().await.unwrap();
    let named = builder(folder.path()).name("another").open().await;
    assert!(matches!(named, Err(OpenError::Identity(_))), "{named:?}");
}

/// A whole cluster whose nodes' names, addresses and ports nobody chose but the test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_one_process_touch_nothing_global() {
    let folder = tempfile::tempdir().unwrap();
    let directory = std::env::current_dir().unwrap();
    let stores = cluster(folder.path(), 3).await;
    let lone = alone(&folder.path().join("lone")).await;
    stores[1].put("k", "cluster").await.unwrap();
    lone.put("k", "lone").await.unwrap();
    assert_eq!(text(stores[2].get("k").await.unwrap()).as_deref(), Some("cluster"));
    assert_eq!(text(lone.get("k").await.unwrap()).as_deref(), Some("lone"));
    for store in stores.into_iter().chain([lone]) {
        store.close().await.unwrap();
    }
    assert!(!tracing::dispatcher::has_been_set(), "a logger was installed");
    assert_eq!(std::env::current_dir().unwrap(), directory);
}

/// Every call ends: a node that waits for a cluster does not hang its caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_cluster_says_so_within_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let store = builder(&folder.path().join("waits")).name("waits").wait().open().await.unwrap();
    let store = store.within(Duration::from_millis(50));
    let errors = [
        store.get("k").await.unwrap_err(),
        store.put("k", "1").await.unwrap_err(),
        store.ready().await.unwrap_err(),
        store.watch("k").await.unwrap_err(),
        store.remove("n2").await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.code == ErrorCode::NotReady), "{errors:?}");
    assert_eq!(store.status().leader(), None);
    assert_eq!(store.status().cluster.id, None);
    assert_eq!(store.revision(), Revision(0));

    // Who wants to wait can.
    let inviting = alone(&folder.path().join("other")).await;
    let patient = store.within(PATIENCE);
    let (ready, joined) =
        tokio::join!(patient.ready(), inviting.join(store.peer_address().to_string()));
    ready.unwrap();
    assert_eq!(joined.unwrap().name, "waits");
    store.close().await.unwrap();
    inviting.close().await.unwrap();
}
