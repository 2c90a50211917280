//! Several nodes: who joins, who leaves, who answers.

use std::time::Duration;

use remex::{Effect, ErrorCode, Fatal, MemberRole, OpenError};

use super::{alone, builder, cluster, leader, text, until, until_voters, write_much};

/// A node has one port, so that the next one is free for another node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_nodes_may_have_neighboring_ports() {
    let folder = tempfile::tempdir().unwrap();
    let mut tries = 0;
    let (n1, n2) = loop {
        let (one, two) = (folder.path().join(format!("a{tries}")), folder.path().join("b"));
        let n1 = builder(&one).name("n1").open().await.unwrap();
        let next = n1.peer_address().port().saturating_add(1);
        let n2 = builder(&two).name("n2").listen(format!("127.0.0.1:{next}")).wait().open().await;
        match n2 {
            Ok(n2) => break (n1, n2),
            Err(OpenError::Listen { .. }) if tries < 100 => tries += 1,
            Err(error) => panic!("{error}"),
        }
    };
    n1.join(n2.peer_address().to_string()).await.unwrap();
    n2.put("k", "1").await.unwrap();
    assert_eq!(text(n1.get("k").await.unwrap()).as_deref(), Some("1"));
    n2.close().await.unwrap();
    n1.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_every_node_takes_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let stores = cluster(folder.path(), 3).await;
    for (number, store) in stores.iter().enumerate() {
        store.put(format!("k{number}"), "1").await.unwrap();
        let lock = store.put_if_absent("lock", number.to_string()).await;
        assert_eq!(lock.is_ok(), number == 0, "{lock:?}");
        for reader in &stores {
            let found = reader.get(format!("k{number}")).await.unwrap();
            assert_eq!(text(found).as_deref(), Some("1"), "read on every node at once");
        }
    }
    for (number, store) in stores.iter().enumerate() {
        let deleted = store.delete(format!("k{number}")).await.unwrap();
        assert_eq!(text(deleted.previous).as_deref(), Some("1"));
    }
    for store in &stores {
        assert_eq!(store.list("k").await.unwrap().entries, []);
    }
    for store in stores {
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h7_joins_work_through_any_member_and_two_nodes_are_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = cluster(folder.path(), 2).await;
    stores[1].put("with two", "1").await.unwrap();
    let follower = 1 - leader(&stores).await;
    // One that waits, and one that is alone in a cluster of its own that holds nothing.
    let n3 = builder(&folder.path().join("n3")).name("n3").wait().open().await.unwrap();
    let n4 = builder(&folder.path().join("n4")).name("n4").open().await.unwrap();
    let joined = stores[follower].join(n3.peer_address().to_string()).await.unwrap();
    assert_eq!((joined.name.as_str(), joined.role), ("n3", MemberRole::Voter));
    n3.join(n4.peer_address().to_string()).await.unwrap();
    let again = n4.join(n3.peer_address().to_string()).await.unwrap();
    assert_eq!(again.name, "n3", "joining again changes nothing");
    stores.extend([n3, n4]);
    for store in &stores {
        until_voters(store, &["n1", "n2", "n3", "n4"]).await;
        assert_eq!(text(store.get("with two").await.unwrap()).as_deref(), Some("1"));
    }
    for store in stores {
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_found_a_cluster_together_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    // Free a moment ago; if another process takes one, the node says so.
    let sockets: Vec<_> =
        (0..3).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> =
        sockets.iter().map(|socket| socket.local_addr().unwrap().to_string()).collect();
    drop(sockets);
    let mut stores = Vec::new();
    for (number, address) in addresses.iter().enumerate().rev() {
        let name = format!("n{number}");
        let builder = builder(&folder.path().join(&name)).name(name).listen(address);
        stores.push(builder.join(addresses.clone()).expect(3).open().await.unwrap());
    }
    stores[0].put("k", "1").await.unwrap();
    assert_eq!(text(stores[2].get("k").await.unwrap()).as_deref(), Some("1"));
    for store in stores {
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_join_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let n1 = builder(&folder.path().join("n1")).name("n1").open().await.unwrap();
    n1.put("k", "1").await.unwrap();
    let same = builder(&folder.path().join("same")).name("n1").wait().open().await.unwrap();
    let error = n1.join(same.peer_address().to_string()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MemberExists, "{error}");
    let full = alone(&folder.path().join("full")).await;
    full.put("own", "1").await.unwrap();
    let error = n1.join(full.peer_address().to_string()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    let nobody = same.peer_address().to_string();
    same.close().await.unwrap();
    let error = n1.join(nobody).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotReady, "{error}");
    let error = n1.remove("n9").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MemberNotFound, "{error}");
    assert_eq!(n1.status().cluster.members.len(), 1, "nothing has changed");
    n1.close().await.unwrap();
    full.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h6_a_write_without_a_majority_is_an_error_and_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = cluster(folder.path(), 3).await;
    stores[0].put("k", "1").await.unwrap();
    // It acknowledged the write or will hear of it from a leader; the reader waits for that.
    stores[2].get("k").await.unwrap();
    let survivor = stores.pop().unwrap();
    drop(stores);
    let hasty = survivor.within(Duration::from_millis(300));
    let error = hasty.put("k", "2").await.unwrap_err();
    assert!(matches!(error.code, ErrorCode::NoLeader | ErrorCode::Timeout), "{error}");
    let known = error.code == ErrorCode::NoLeader;
    assert!(known || error.effect == Effect::Unknown, "{error:?}");
    let error = hasty.get("k").await.unwrap_err();
    assert!(matches!(error.code, ErrorCode::NoLeader | ErrorCode::Timeout), "{error}");
    let error = hasty.ready().await.unwrap_err();
    assert!(matches!(error.code, ErrorCode::NoLeader | ErrorCode::Timeout), "{error}");
    // What was acknowledged can be looked at all the same.
    assert_eq!(text(survivor.stale().get("k").await.unwrap()).as_deref(), Some("1"));
    survivor.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_h8_a_node_restored_from_a_snapshot_has_no_keys_that_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = cluster(folder.path(), 3).await;
    stores[0].put("gone", "1").await.unwrap();
    stores[0].put("changed", "1").await.unwrap();
    let behind = (leader(&stores).await + 1) % 3;
    assert!(stores[behind].get("gone").await.unwrap().is_some());
    let (name, address) = (format!("n{}", behind + 1), stores[behind].peer_address());
    stores.remove(behind).close().await.unwrap();
    stores[0].delete("gone").await.unwrap();
    stores[0].put("changed", "2").await.unwrap();
    // The log is cut off behind what it has missed.
    write_much(&stores[leader(&stores).await]).await;
    let back = builder(&folder.path().join(&name)).name(&name).listen(address.to_string());
    let back = back.open().await.unwrap();
    assert_eq!(back.get("gone").await.unwrap(), None);
    assert_eq!(text(back.get("changed").await.unwrap()).as_deref(), Some("2"));
    assert!(back.status().state.log.first_index.get() > 100, "it came by a snapshot");
    let keys = |listing: remex::Listing| listing.entries.len();
    assert_eq!(keys(back.list("").await.unwrap()), keys(stores[0].list("").await.unwrap()));
    for store in stores.into_iter().chain([back]) {
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_leave_by_themselves_whether_they_lead_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = cluster(folder.path(), 3).await;
    stores[0].put("k", "1").await.unwrap();
    let leading = stores.remove(leader(&stores).await);
    let name = leading.status().node.name;
    let clone = leading.clone();
    leading.leave().await.unwrap();
    assert_eq!(clone.get("k").await.unwrap_err().code, ErrorCode::Draining, "it is closed");
    let rest: Vec<_> = stores.iter().map(|store| store.status().node.name).collect();
    let rest: Vec<_> = rest.iter().map(String::as_str).collect();
    until_voters(&stores[0], &rest).await;
    stores[1].put("k", "2").await.unwrap();
    // For good: its directory says so.
    let again = builder(&folder.path().join(&name)).name(&name).open().await;
    assert!(matches!(again, Err(OpenError::Removed(_))), "{again:?}");

    let following = stores.remove(1 - leader(&stores).await);
    following.leave().await.unwrap();
    let last = &stores[0];
    until("alone", || (last.status().cluster.members.len() == 1).then_some(())).await;
    assert_eq!(text(last.get("k").await.unwrap()).as_deref(), Some("2"));
    let error = last.leave().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::WouldLoseQuorum, "{error}");
    last.put("k", "still open").await.unwrap();
    last.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_removed_by_another_fails_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let stores = cluster(folder.path(), 3).await;
    let removed = stores[0].remove("n3").await.unwrap();
    assert_eq!(removed.name, "n3");
    let fatal = stores[2].failed().await;
    assert!(matches!(&fatal, Fatal::Removed(reason) if reason.contains("removed")), "{fatal}");
    let mut changes = stores[2].changes(remex::Revision(0));
    let error = changes.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::NotReady);
    assert!(changes.next().await.is_none());
    assert!(matches!(stores[2].close().await, Err(Fatal::Removed(_))));
    stores[1].put("k", "1").await.unwrap();
    for store in &stores[..2] {
        store.close().await.unwrap();
    }
}
