//! The stream of changes.

use remex::model::{MetricValue, Series};
use remex::{Batch, Change, Changed, Changes, ErrorCode, Revision, Store};

use super::{PATIENCE, alone, builder, cluster, leader, write_much};

/// The next revision and what it changed: key and value, `None` for a delete.
async fn next(changes: &mut Changes) -> (u64, Vec<(String, Option<String>)>) {
    let next = tokio::time::timeout(PATIENCE, changes.next()).await.expect("a change in time");
    let Changed { revision, changes } = next.expect("the store is open").expect("no error");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text was written");
    let pair = |change: &Change| {
        (text(change.key().as_bytes()), change.value().map(|value| text(&value.bytes)))
    };
    (revision.get(), changes.iter().map(pair).collect())
}

fn put(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

fn delete(key: &str) -> (String, Option<String>) {
    (key.to_owned(), None)
}

#[tokio::test]
async fn t16_every_operation_is_told_after_it_was_applied() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let mut changes = store.changes(Revision(0));
    store.put("a", "1").await.unwrap();
    store.put("a", "2").await.unwrap();
    store.delete("a").await.unwrap();
    store.delete("a").await.unwrap();
    store.put_json("b", &[1, 2]).await.unwrap();
    store.batch(Batch::new().put("d", "4").delete("b").put("c", "3").put("d", "5")).await.unwrap();
    assert_eq!(next(&mut changes).await, (2, vec![put("a", "1")]));
    assert_eq!(next(&mut changes).await, (3, vec![put("a", "2")]));
    assert_eq!(next(&mut changes).await, (4, vec![delete("a")]), "the second delete did nothing");
    assert_eq!(next(&mut changes).await, (5, vec![put("b", "[1,2]")]));
    let together = vec![put("d", "5"), delete("b"), put("c", "3")];
    assert_eq!(next(&mut changes).await, (6, together), "each key once");
    assert_eq!(changes.position(), Revision(6));

    // What a change has replaced is what was there before it.
    let before = store.get_at("a", Revision(3)).await.unwrap().unwrap();
    assert_eq!(before.text(), Some("2"));
    store.close().await.unwrap();
}

#[tokio::test]
async fn changes_go_on_from_any_revision_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    for number in 0..500 {
        store.put(format!("k{}", number % 7), number.to_string()).await.unwrap();
    }
    let mut changes = store.changes(Revision(0));
    for _ in 0..200 {
        next(&mut changes).await;
    }
    let position = changes.position();
    assert_eq!(position, Revision(201));
    // Part of it comes from the disk then.
    store.close().await.unwrap();
    let mut ahead = 0;
    while let Some(changed) = changes.next().await {
        changed.expect("what it had read ahead, and then the end");
        ahead += 1;
    }
    assert!(ahead < 300, "it ends with the store: {ahead}");
    let store = alone(folder.path()).await;
    let mut changes = store.changes(position.next());
    store.put("new", "x").await.unwrap();
    for number in 200..500 {
        let expected = put(&format!("k{}", number % 7), &number.to_string());
        assert_eq!(next(&mut changes).await, (number + 2, vec![expected]));
    }
    assert_eq!(next(&mut changes).await, (502, vec![put("new", "x")]));
    // Like a crash.
    drop(store);
    assert!(changes.next().await.is_none());
    let store = alone(folder.path()).await;
    let mut changes = store.changes(Revision(502));
    assert_eq!(next(&mut changes).await, (502, vec![put("new", "x")]));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_reader_that_comes_too_late_is_told_where_it_can_begin() {
    let folder = tempfile::tempdir().unwrap();
    let forgetful = builder(folder.path()).config(|config| config.history_bytes = 2000);
    let store = forgetful.open().await.unwrap();
    let mut slow = store.changes(Revision(0));
    for number in 0..100 {
        store.put("k", number.to_string()).await.unwrap();
    }
    let error = slow.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Compacted);
    let first = error.revision.unwrap();
    assert!(first > Revision(2) && error.detail.contains(&first.to_string()), "{error}");
    assert!(slow.next().await.is_none(), "nothing comes after that");

    // As the error says: from there on it works, and reading anew leaves no gap.
    let listing = store.list("").await.unwrap();
    let mut from_first = store.changes(first);
    let mut from_listing = store.changes(listing.revision.next());
    // The next write may put what is oldest now out of reach.
    let mut found = next(&mut from_first).await;
    assert_eq!(found.0, first.get());
    store.put("k", "last").await.unwrap();
    let last = store.revision().get();
    assert_eq!(next(&mut from_listing).await, (last, vec![put("k", "last")]));
    while found.0 < last {
        found = next(&mut from_first).await;
    }
    assert_eq!(found.1, [put("k", "last")]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_key_or_a_prefix_can_be_watched() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    store.put("app/a", "before").await.unwrap();
    let mut key = store.watch("app/a").await.unwrap();
    let mut prefix = store.watch_prefix("app/").await.unwrap();
    let mut past = store.changes(Revision(0)).of_prefix("app/");
    store.batch(Batch::new().put("app/b", "1").put("other", "2").delete("app/a")).await.unwrap();
    store.put("app/a/c", "3").await.unwrap();
    store.put("app/a", "4").await.unwrap();
    for number in 0..300 {
        store.put("elsewhere", number.to_string()).await.unwrap();
    }
    store.put("app/a", "5").await.unwrap();
    assert_eq!(next(&mut past).await, (2, vec![put("app/a", "before")]));
    for of_prefix in [&mut prefix, &mut past] {
        assert_eq!(next(of_prefix).await, (3, vec![put("app/b", "1"), delete("app/a")]));
        assert_eq!(next(of_prefix).await, (4, vec![put("app/a/c", "3")]));
        assert_eq!(next(of_prefix).await, (5, vec![put("app/a", "4")]));
        assert_eq!(next(of_prefix).await, (306, vec![put("app/a", "5")]));
    }
    assert_eq!(next(&mut key).await, (3, vec![delete("app/a")]));
    assert_eq!(next(&mut key).await, (5, vec![put("app/a", "4")]));
    // What follows is narrowed down without losing its place.
    let mut key = key.of_prefix("app/");
    assert_eq!(next(&mut key).await, (306, vec![put("app/a", "5")]));
    store.close().await.unwrap();
}

#[tokio::test]
async fn nothing_is_lost_by_a_reader_that_stops_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let mut changes = store.changes(Revision(0));
    for number in 0..200_u64 {
        // Polled once and dropped: before, while and after the write happens.
        for _ in 0..3 {
            let first = tokio::select! {
                biased;
                changed = changes.next() => changed,
                () = std::future::ready(()) => None,
            };
            assert!(first.is_none(), "nothing was written yet");
        }
        store.put("k", number.to_string()).await.unwrap();
        assert_eq!(next(&mut changes).await, (number + 2, vec![put("k", &number.to_string())]));
    }
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_the_same_on_every_node_and_outlive_leaders() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = cluster(folder.path(), 3).await;
    let begin = stores[0].revision().next();
    for number in 0..30 {
        stores[number % 3].put("k", number.to_string()).await.unwrap();
    }
    let dead = leader(&stores).await;
    let mut streams: Vec<_> = stores.iter().map(|store| store.changes(begin)).collect();
    for stream in &mut streams {
        for number in 0..10 {
            assert_eq!(next(stream).await.1, [put("k", &number.to_string())]);
        }
    }
    drop(stores.remove(dead));
    let mut gone = streams.remove(dead);
    while let Some(changed) = gone.next().await {
        changed.expect("what it had read ahead, and then the end");
    }
    for number in 30..60 {
        stores[number % 2].put("k", number.to_string()).await.unwrap();
    }
    for stream in &mut streams {
        for number in 10..60 {
            assert_eq!(next(stream).await.1, [put("k", &number.to_string())]);
        }
    }
    for store in stores {
        store.close().await.unwrap();
    }
}

/// The node starts with nothing, and gets the state of another one while somebody listens: its parts
/// are closed and opened anew under the stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_go_on_across_the_installation_of_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let n1 = builder(&folder.path().join("n1")).name("n1").open().await.unwrap();
    n1.put("first", "1").await.unwrap();
    write_much(&n1).await;
    let last = n1.put("last", "2").await.unwrap().revision.get();
    // One that waits, and one that founded a cluster of its own and gives it up.
    let n2 = builder(&folder.path().join("n2")).name("n2").wait().open().await.unwrap();
    let n3 = builder(&folder.path().join("n3")).name("n3").open().await.unwrap();
    for store in [&n2, &n3] {
        let follow = follow(store.clone(), last + 1);
        n1.join(store.peer_address().to_string()).await.unwrap();
        let seen = tokio::spawn(follow);
        n1.put("after", "3").await.unwrap();
        let seen = seen.await.unwrap();
        let revisions: Vec<_> = seen.iter().map(|changed| changed.revision.get()).collect();
        assert_eq!(revisions, (2..=last + 1).collect::<Vec<_>>(), "each once, in order");
        assert_eq!(seen[0].changes[0].key().as_text(), Some("first"));
        assert!(counted(store, "remex_snapshots_installed_total") >= 1.0, "it came by a snapshot");
    }
    for store in [n3, n2, n1] {
        store.close().await.unwrap();
    }
}

/// The reader finds the damage: what it wants lies on a disk that has lost it. The node gets its state
/// from the others, and the reader what it wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_go_on_across_a_repair() {
    let folder = tempfile::tempdir().unwrap();
    let stores = cluster(folder.path(), 3).await;
    stores[0].put("first", "1").await.unwrap();
    write_much(&stores[0]).await;
    let damaged = (leader(&stores).await + 1) % 3;
    // What is still in memory is on its disk then.
    let (name, address) = (format!("n{}", damaged + 1), stores[damaged].peer_address().to_string());
    stores[damaged].close().await.unwrap();
    let directory = folder.path().join(&name);
    rot(&directory.join("engine").join("tables"));
    let store = builder(&directory).name(&name).listen(address).open().await.unwrap();
    store.ready().await.unwrap();
    let other = &stores[(damaged + 1) % 3];
    let last = other.put("last", "2").await.unwrap().revision.get();
    let seen = follow(store.clone(), last).await;
    let revisions: Vec<_> = seen.iter().map(|changed| changed.revision.get()).collect();
    assert_eq!(revisions, (2..=last).collect::<Vec<_>>(), "each once, in order");
    assert!(counted(&store, "remex_repairs_total") >= 1.0, "nothing was repaired");
    assert!(store.get("much/0000").await.unwrap().is_some());
    for store in stores.into_iter().chain([store]) {
        store.close().await.unwrap();
    }
}

/// A counter's value, over all its series.
fn counted(store: &Store, name: &str) -> f64 {
    let metrics = store.metrics();
    let metric = metrics.iter().find(|metric| metric.name == name).expect("it is measured");
    let value = |series: &Series| match &series.value {
        MetricValue::Number(number) => *number,
        other => panic!("a counter is a number: {other:?}"),
    };
    metric.series.iter().map(value).sum()
}

/// Flips a bit in every few kilobytes of what every file holds; not at its end, which is read when it
/// is opened.
fn rot(folder: &std::path::Path) {
    let mut flipped = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("a file");
        for place in (bytes.len() / 4..bytes.len() / 4 * 3).step_by(3000) {
            bytes[place] ^= 0x10;
            flipped += 1;
        }
        std::fs::write(&path, &bytes).expect("it can be written");
    }
    assert!(flipped > 0, "nothing to damage");
}

/// Everything from the beginning up to a revision.
async fn follow(store: Store, last: u64) -> Vec<Changed> {
    let mut changes = store.changes(Revision(0));
    let mut seen: Vec<Changed> = Vec::new();
    while seen.last().is_none_or(|changed| changed.revision.get() < last) {
        let next = tokio::time::timeout(PATIENCE, changes.next()).await.expect("a change in time");
        seen.push(next.expect("the store is open").expect("no error"));
    }
    seen
}
