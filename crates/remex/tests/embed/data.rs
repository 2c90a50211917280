//! Reading and writing.

use std::collections::BTreeMap;

use remex::{Batch, Effect, ErrorCode, Revision, Store, json};
use serde::{Deserialize, Serialize};

use super::{alone, text};

#[tokio::test]
async fn h1_a_program_needs_a_directory_and_six_calls() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::builder(folder.path()).open().await.unwrap();
    let put = store.put("yes", "no").await.unwrap();
    assert_eq!((put.revision, put.previous), (Revision(2), None));
    let entry = store.get("yes").await.unwrap().unwrap();
    assert_eq!((entry.text(), entry.revision, entry.version), (Some("no"), Revision(2), 1));
    let deleted = store.delete("yes").await.unwrap();
    assert_eq!((deleted.revision, text(deleted.previous).as_deref()), (Revision(3), Some("no")));
    assert_eq!(store.get("yes").await.unwrap(), None);
    store.close().await.unwrap();
}

#[tokio::test]
async fn h5_a_missing_key_is_nothing_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    assert_eq!(store.get("missing").await.unwrap(), None);
    assert_eq!(store.stale().get("missing").await.unwrap(), None);
    assert_eq!(store.get_json::<u64>("missing").await.unwrap(), None);
    let deleted = store.delete("missing").await.unwrap();
    assert_eq!((deleted.revision, deleted.previous), (Revision(1), None), "nothing changed");
    // An empty value is not a missing one.
    store.put("empty", "").await.unwrap();
    assert_eq!(text(store.get("empty").await.unwrap()).as_deref(), Some(""));
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_is_too_long_is_refused_with_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    store.put("k".repeat(128), "v".repeat(16 * 1024)).await.unwrap();
    let cases = [
        (store.put("k".repeat(129), "v").await.unwrap_err(), ErrorCode::KeyTooLong, "128"),
        (store.put("", "v").await.unwrap_err(), ErrorCode::InvalidKey, "empty"),
        (store.put("k", vec![0; 16_385]).await.unwrap_err(), ErrorCode::ValueTooLarge, "16384"),
        (store.get("").await.unwrap_err(), ErrorCode::InvalidKey, "empty"),
        (store.delete("k".repeat(129)).await.unwrap_err(), ErrorCode::KeyTooLong, "129"),
        (store.batch(Batch::new()).await.unwrap_err(), ErrorCode::BadRequest, "no writes"),
    ];
    for (error, code, says) in cases {
        assert_eq!((error.code, error.effect), (code, Effect::None), "{error}");
        assert!(error.detail.contains(says), "{error}");
    }
    assert_eq!(store.revision(), Revision(2), "nothing of that was written");
    store.close().await.unwrap();
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Service {
    url: String,
    weight: f64,
    tags: Vec<String>,
}

#[tokio::test]
async fn typed_values_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let service = Service {
        url: "http://live-test.ravendb.net".to_owned(),
        weight: 0.1,
        tags: vec!["ä".to_owned()],
    };
    store.put_json("service", &service).await.unwrap();
    assert_eq!(store.get_json("service").await.unwrap(), Some(service));
    let entry = store.get("service").await.unwrap().unwrap();
    assert!(entry.value.json, "every surface shows it as JSON");
    assert!(entry.text().unwrap().starts_with("{\"url\":"), "{entry:?}");

    // Text that happens to be JSON can be read as such.
    store.put("number", "42").await.unwrap();
    assert_eq!(store.get_json("number").await.unwrap(), Some(42));
    let error = store.get_json::<Service>("number").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidJson);
    assert!(error.detail.contains("\"number\"") && error.detail.contains("Service"), "{error}");

    let unnamed = BTreeMap::from([(vec![1], 2)]);
    let error = store.put_json("map", &unnamed).await.unwrap_err();
    assert_eq!((error.code, error.effect), (ErrorCode::InvalidJson, Effect::None));
    assert_eq!(store.get("map").await.unwrap(), None);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_write_can_depend_on_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let first = store.put_if_absent("lock", "me").await.unwrap().revision;
    let error = store.put_if_absent("lock", "you").await.unwrap_err();
    assert_eq!((error.code, error.revision), (ErrorCode::AlreadyExists, Some(first)));
    let second = store.put_if_revision("lock", "me again", first).await.unwrap();
    assert_eq!(text(second.previous).as_deref(), Some("me"));
    let error = store.put_if_revision("lock", "you", first).await.unwrap_err();
    assert_eq!((error.code, error.revision), (ErrorCode::RevisionMismatch, Some(second.revision)));
    assert!(error.detail.contains("lock"), "{error}");
    let error = store.delete_if_revision("lock", first).await.unwrap_err();
    assert_eq!((error.code, error.effect), (ErrorCode::RevisionMismatch, Effect::None));
    store.delete_if_revision("lock", second.revision).await.unwrap();
    let error = store.put_if_revision("lock", "you", second.revision).await.unwrap_err();
    assert_eq!((error.code, error.revision), (ErrorCode::RevisionMismatch, None));
    store.close().await.unwrap();
}

/// Many tasks, one counter: no increment is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_and_set_loses_no_increment() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    store.put_json("counter", &0).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut done = 0;
            while done < 20 {
                let entry = store.get("counter").await.unwrap().unwrap();
                let next = json(&(entry.json::<u64>().unwrap() + 1)).unwrap();
                match store.put_if_revision("counter", next, entry.revision).await {
                    Ok(_) => done += 1,
                    Err(error) => assert_eq!(error.code, ErrorCode::RevisionMismatch, "{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.get_json("counter").await.unwrap(), Some(160));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_batch_happens_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    store.put("b", "old").await.unwrap();
    let batch = Batch::new().put("a", json(&1).unwrap()).delete("b").put("c", "3").if_absent("a");
    let receipt = store.batch(batch.clone()).await.unwrap();
    assert_eq!(receipt.revision, Revision(3));
    let previous: Vec<_> = receipt.previous.into_iter().map(text).collect();
    assert_eq!(previous, [None, Some("old".to_owned()), None]);
    let listing = store.list("").await.unwrap();
    assert_eq!(listing.revision, Revision(3));
    assert!(listing.entries.iter().all(|entry| entry.revision == Revision(3)));

    let error = store.batch(batch.put("d", "4")).await.unwrap_err();
    assert_eq!((error.code, error.revision), (ErrorCode::AlreadyExists, Some(Revision(3))));
    let large = Batch::new().put("e", "5").put("f", vec![0; 20_000]);
    let error = store.batch(large).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ValueTooLarge);
    assert!(error.detail.contains("operation 1"), "{error}");
    assert_eq!(store.list("").await.unwrap(), listing, "nothing of either was written");

    let moved = Batch::new().put("g", "6").if_exists("a").if_revision("c", Revision(3));
    assert_eq!(store.batch(moved).await.unwrap().revision, Revision(4));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_named_batch_is_applied_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let batch = Batch::new().put("account", "paid").named("payment-17");
    let first = store.batch(batch.clone()).await.unwrap();
    assert!(!first.repeated);
    store.put("account", "empty").await.unwrap();
    let again = store.batch(batch).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.revision, first.revision);
    assert_eq!(text(store.get("account").await.unwrap()).as_deref(), Some("empty"));
    let error = store.batch(Batch::new().delete("account").named("payment-17")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_list_of_many_pages_is_of_one_revision() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    for hundred in 0..25 {
        for half in 0..2 {
            let keys = (0..50).map(|number| format!("k/{:04}", 100 * hundred + 50 * half + number));
            let batch = keys.fold(Batch::new(), |batch, key| batch.put(&key, key.as_bytes()));
            store.batch(batch).await.unwrap();
        }
    }
    store.put("l", "not among them").await.unwrap();
    let mut pages = store.pages("k/");
    let first = pages.next().await.unwrap().unwrap();
    assert_eq!(first.entries.len(), 1000);
    store.delete("k/2499").await.unwrap();
    store.put("k/1500", "new").await.unwrap();
    let mut entries = first.entries;
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert_eq!(page.revision, first.revision);
        entries.extend(page.entries);
    }
    assert_eq!(entries.len(), 2500);
    assert!(entries.is_sorted_by(|a, b| a.key < b.key));
    assert!(entries.iter().all(|entry| entry.key.as_bytes() == entry.bytes()));
    assert_eq!(store.list("k/").await.unwrap().entries.len(), 2499);

    let empty = store.list("nothing/").await.unwrap();
    assert!(empty.entries.is_empty());
    assert_eq!(empty.revision, store.revision());
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_past_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = alone(folder.path()).await;
    let first = store.put("k", "1").await.unwrap().revision;
    let second = store.put("k", "2").await.unwrap().revision;
    assert_eq!(text(store.get_at("k", first).await.unwrap()).as_deref(), Some("1"));
    assert_eq!(text(store.get_at("k", second).await.unwrap()).as_deref(), Some("2"));
    assert_eq!(store.get_at("k", Revision(1)).await.unwrap(), None);
    let error = store.get_at("k", second.next()).await.unwrap_err();
    assert_eq!((error.code, error.revision), (ErrorCode::FutureRevision, Some(second)));
    store.close().await.unwrap();
}
