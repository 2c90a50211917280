//! One link for every peer, as peers come and go, and a word to each of them every second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use remex_model::NodeId;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::patience::Patience;
use super::{frame, link};
use crate::cluster::{Cluster, Peer};
use crate::inbox::Inbox;

/// Pause between two vitals. They are a peer's signs of life too: followers have nothing else to
/// say to each other.
const VITALS_PAUSE: Duration = Duration::from_secs(1);

/// The link tasks, by peer.
#[derive(Default)]
struct Links {
    tasks: JoinSet<()>,
    running: BTreeMap<NodeId, (Arc<Peer>, AbortHandle)>,
}

impl Links {
    /// Ends the links to those who are peers no more, and begins the missing ones.
    fn follow(&mut self, cluster: &Arc<Cluster>, inbox: &Arc<Inbox>, patience: Patience) {
        let peers = cluster.peers();
        self.running.retain(|id, (peer, task)| {
            let stays = peers.get(id).is_some_and(|now| Arc::ptr_eq(now, peer));
            if !stays {
                task.abort();
            }
            stays
        });
        for (&id, peer) in peers.iter() {
            self.running.entry(id).or_insert_with(|| {
                let (cluster, inbox) = (Arc::clone(cluster), Arc::clone(inbox));
                let task = self.tasks.spawn(link::run(cluster, Arc::clone(peer), inbox, patience));
                (Arc::clone(peer), task)
            });
        }
        // What has ended is forgotten.
        while self.tasks.try_join_next().is_some() {}
    }
}

/// Keeps the links to all peers up until it is dropped; they end with it.
pub(crate) async fn run(cluster: Arc<Cluster>, inbox: Arc<Inbox>, patience: Patience) {
    let mut links = Links::default();
    let mut beat = tokio::time::interval(VITALS_PAUSE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        links.follow(&cluster, &inbox, patience);
        tokio::select! {
            () = cluster.changed.notified() => {}
            () = cluster.vitals_due.notified() => tell(&cluster),
            _ = beat.tick() => {
                cluster.drop_provisional();
                tell(&cluster);
            }
        }
    }
}

/// Tells every peer how this node is.
fn tell(cluster: &Cluster) {
    for peer in cluster.peers().values() {
        let mut out = Vec::new();
        frame::append(&mut out, |out| cluster.vitals_for(peer).encode(out));
        peer.link.send(&out);
    }
}
