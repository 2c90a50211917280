//! `remex serve --join http://…`: asks nodes at their URLs for clients where peers reach them.

use std::time::Duration;

use remex::{Config, offline};
use remex_client::Endpoint;
use tokio::time::sleep;

use crate::session::peer_address;

/// Time for one question.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between two rounds of questions.
const ASK_PAUSE: Duration = Duration::from_secs(1);

/// Adds the peer addresses of these nodes to those to join.
///
/// A node that is no member yet asks until one answers: without an address to join it would found a
/// cluster of its own. A member needs no answer, and its cluster may even wait for it; it asks once.
pub(crate) async fn resolve(config: &mut Config, urls: &[Endpoint]) {
    if urls.is_empty() {
        return;
    }
    let is_member = offline::is_member(&config.data_dir);
    loop {
        for url in urls {
            match peer_address(url, ASK_TIMEOUT).await {
                Ok(peer) => config.join.push(peer),
                Err(failure) => tracing::warn!(node = %url, "cannot ask it: {}", failure.message),
            }
        }
        if is_member || !config.join.is_empty() {
            return;
        }
        tracing::warn!("no node to join answers; asking again until one does");
        sleep(ASK_PAUSE).await;
    }
}
