//! The store inside a program: through the handle alone, with no other crate of ours. Names that
//! begin with a row, such as `h7_` or `t16_`, belong to the list of imitated behaviors, which
//! `docs/embedding.md` explains.

mod cluster;
mod data;
mod events;
mod life;

use std::path::Path;
use std::time::{Duration, Instant};

use remex::{Builder, Entry, Limits, MemberRole, Store};

/// Generous: a test that needs it all is about to fail anyway.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node with a tiny log and tiny buffers: whoever misses a little of it needs a snapshot.
fn builder(directory: &Path) -> Builder {
    Store::builder(directory)
        .limits(Limits { request_bytes_max: 64 * 1024, ..Limits::default() })
        .timeout(PATIENCE)
        .config(|config| {
            config.limits.batch_writes_max = 64;
            config.segment_bytes = 1024 * 1024;
            config.log_keep_bytes = 0;
            config.buffer_bytes = 256 * 1024;
        })
}

async fn alone(directory: &Path) -> Store {
    builder(directory).open().await.expect("the node opens")
}

/// Nodes of one cluster, `n1` the first, in folders of their names.
async fn cluster(folder: &Path, nodes: usize) -> Vec<Store> {
    let first = builder(&folder.join("n1")).name("n1").open().await.expect("the node opens");
    let mut stores = vec![first];
    for number in 2..=nodes {
        let name = format!("n{number}");
        let store = builder(&folder.join(&name)).name(&name).wait().open().await;
        let store = store.expect("the node opens");
        stores[0].join(store.peer_address().to_string()).await.expect("it is taken in");
        stores.push(store);
    }
    stores
}

fn text(entry: Option<Entry>) -> Option<String> {
    entry.map(|entry| entry.text().expect("text was written").to_owned())
}

/// The position of the node that leads, once every one knows it.
async fn leader(stores: &[Store]) -> usize {
    until("a leader that all know", || {
        let known: Vec<_> =
            stores.iter().map(|store| store.status().leader().map(str::to_owned)).collect();
        let first = known[0].clone()?;
        let all = known.iter().all(|leader| leader.as_ref() == Some(&first));
        let is_leader = |store: &Store| store.status().node.name == first;
        if all { stores.iter().position(is_leader) } else { None }
    })
    .await
}

/// Waits until exactly these are the members, all voters, as a node sees it.
async fn until_voters(store: &Store, names: &[&str]) {
    until(&format!("voters {names:?}"), || {
        let members = store.status().cluster.members;
        let all_vote = members.iter().all(|member| member.role == MemberRole::Voter);
        let seen: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        (seen == names && all_vote).then_some(())
    })
    .await;
}

/// Waits until something is there.
async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "never {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Writes enough for the log to be trimmed over all that came before, even if it is held for members
/// that have just fetched a snapshot.
async fn write_much(store: &Store) {
    let value = "v".repeat(15_000);
    for number in 0..600 {
        store.put(format!("much/{number:04}"), &value).await.expect("a write");
    }
    until("a trimmed log", || (store.status().state.log.first_index.get() > 100).then_some(()))
        .await;
}
