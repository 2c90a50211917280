//! Getting what the disk has lost from the other members.
//!
//! A damaged **engine** is replaced by a member's snapshot, from which this node's own log goes on:
//! what it promised is in there, so it stays who it is.
//!
//! With a damaged **log**, or an older disk than the one that it last wrote to, a node cannot know
//! what it has voted and acknowledged. It becomes another: it gives its identity up and asks to be
//! taken in anew. That is for ever, and a cluster in which a majority did so would have lost
//! everything that was acknowledged. So it is done only once the leader has said that the others are
//! a majority without this node. Until then the node waits and changes nothing: nodes that are
//! damaged at the same time cannot all leave, and what is still on their disks is there to be
//! recovered.

use std::sync::Arc;
use std::time::Duration;

use remex_log::{FileDisk, Log};
use remex_model::{ClusterId, ErrorCode, Index, Term};

use crate::board::Stage;
use crate::ending::{Damage, Damaged};
use crate::folders::holds_anything;
use crate::house::House;
use crate::parts::{self, Sizes};
use crate::peer::ask::ask;
use crate::peer::hello::{Hello, Position, Purpose, Refusal, RefusalCode};
use crate::peer::question::{Question, Reply};
use crate::recollection::Recollection;
use crate::supervisor::removed;
use crate::{Fatal, OpenError, random, snapshots};

/// Pause between two rounds of asking the other members. The first question comes after one, too: by
/// then they have noticed that the connections of this node, and of others like it, have ended.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a question is passed on to another node that is said to lead.
const HOPS_MAX: usize = 4;

/// Fetches what the disk has lost from the other members. For a node without others there is nobody
/// to ask: it stops.
pub(crate) async fn repair(house: &Arc<House>, damage: &Damage) -> Result<(), Fatal> {
    let Some(cluster) = house.former.cluster() else {
        return Err(Fatal::Failed(damage.to_string()));
    };
    let mut addresses = Recollection::read(&house.directory).addresses(house.former.me().id);
    for address in &house.config.join {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    if addresses.is_empty() {
        let text = parts::unrecovered(&damage.to_string()).to_string();
        return Err(Fatal::Failed(text));
    }
    house.board.set_stage(Stage::Repairing);
    house.meters.repairs(damage.part).add();
    tracing::error!(
        cause = damage.part.as_str(), damage = %damage,
        "this node's data is damaged; it fetches what it needs from the other members"
    );
    if damage.part == Damaged::Engine && fetch_engine(house, cluster, &addresses).await? {
        return Ok(());
    }
    until_spared(house, &addresses).await?;
    let lost = house.former.lose(cluster, addresses);
    lost.map_err(|error| Fatal::Failed(error.to_string()))
}

/// Fetches a snapshot that the log of this node goes on from; false if the log is lost as well.
async fn fetch_engine(
    house: &Arc<House>,
    cluster: ClusterId,
    addresses: &[String],
) -> Result<bool, Fatal> {
    let failed = |error: OpenError| Fatal::Failed(error.to_string());
    let Some((at_least, position)) = log_span(house, cluster).map_err(failed)? else {
        tracing::error!("this node's log is damaged as well");
        return Ok(false);
    };
    let session = random::identity().map_err(failed)?;
    let hello = Hello { purpose: Purpose::Fetch, session, position, ..house.former.hello() };
    let mut complaint = String::new();
    loop {
        for address in addresses {
            let error = match snapshots::fetch(address, &hello, at_least, &house.shelf).await {
                Ok(index) => {
                    tracing::info!(%address, %index, "fetched the state from another member");
                    // What is damaged may look whole, and newer than the snapshot.
                    return house.directory.remove_engine().map(|()| true).map_err(failed);
                }
                Err(error) => error,
            };
            let refusal = error.get_ref().and_then(|error| error.downcast_ref::<Refusal>());
            match refusal.map(|refusal| refusal.code) {
                Some(RefusalCode::Removed) => return Err(removed(house, &error.to_string())),
                Some(RefusalCode::RolledBack(_)) => {
                    tracing::error!(reason = %error, "this node's log is an old one");
                    return Ok(false);
                }
                _ => complain(&mut complaint, &format!("{address}: {error}")),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The entry that a state must hold at least for the log to go on from, and where the log ends.
/// `None` if the log cannot be read, or is gone.
fn log_span(house: &House, cluster: ClusterId) -> Result<Option<(Index, Position)>, OpenError> {
    let (directory, path) = (&house.directory, house.directory.log());
    if !holds_anything(&path) {
        return Ok(None);
    }
    let sizes = Sizes::of(&house.config, directory)?;
    let disk = FileDisk::open(&path)
        .map_err(|source| OpenError::DataDir { path: path.clone(), source })?;
    let (me, seed) = (house.former.me().id, random::identity()?);
    let options = parts::log_options(cluster, me, sizes.segment_bytes, seed);
    match Log::open(disk, options) {
        Ok((log, _)) => {
            let term = Term(log.hard_state().term);
            let position = Position { term, last_index: Index(log.last_index()) };
            Ok(Some((Index(log.first_index().saturating_sub(1)), position)))
        }
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(parts::unrecovered(&format!("the log in {}: {error}", path.display()))),
    }
}

/// Waits until the leader says that the cluster can do without this node.
async fn until_spared(house: &House, addresses: &[String]) -> Result<(), Fatal> {
    let mut complaint = String::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        let mut reasons = Vec::new();
        for address in addresses {
            match ask_to_be_spared(house, address).await? {
                None => return Ok(()),
                Some(reason) => reasons.push(format!("{address}: {reason}")),
            }
        }
        complain(&mut complaint, &reasons.join("; "));
    }
}

/// Asks at an address, and where the leader is said to be. Answers why not.
async fn ask_to_be_spared(house: &House, address: &str) -> Result<Option<String>, Fatal> {
    let mut address = address.to_owned();
    for _ in 0..HOPS_MAX {
        let (hello, limit) = (house.former.hello(), house.former.patience.question);
        let asked = ask(&hello, &address, None, &Question::Spare, limit).await;
        match asked.map(|(_, reply)| reply) {
            Ok(Reply::Accepted) => return Ok(None),
            Ok(Reply::Elsewhere { address: leader }) => address = leader,
            Ok(Reply::Denied(error)) if error.code == ErrorCode::MemberNotFound => {
                return Err(removed(house, &error.detail));
            }
            Ok(Reply::Denied(error)) => return Ok(Some(error.detail)),
            Ok(other) => return Ok(Some(format!("it answered with {other:?}"))),
            Err(no_answer) => return Ok(Some(no_answer.to_string())),
        }
    }
    Ok(Some("the members do not agree on who leads".to_owned()))
}

/// Says why it takes longer; the same is not repeated.
fn complain(before: &mut String, text: &str) {
    if text != before {
        tracing::warn!(reason = %text, "cannot repair this node's data yet; keeps asking");
        text.clone_into(before);
    }
}
