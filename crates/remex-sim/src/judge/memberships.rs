//! Who belongs to the cluster, entry by entry: every node takes the same for it, and no step is one
//! that joint consensus does not allow (Raft thesis §4.3: the old voters go on until old and new
//! ones have agreed to part).

use std::collections::BTreeMap;
use std::sync::Arc;

use remex_model::{Index, Membership, NodeId};

use crate::node::FOUNDING;
use crate::violation::Check;

const NAME: &str = "memberships";

/// The membership at every entry that may have changed it, as the first node that applied it had
/// it. Never empty.
#[derive(Debug)]
pub(crate) struct Memberships(BTreeMap<Index, Arc<Membership>>);

impl Memberships {
    pub(crate) fn new(founding: Membership) -> Self {
        Self([(FOUNDING.0, Arc::new(founding))].into())
    }

    /// The latest one.
    pub(crate) fn latest(&self) -> &Arc<Membership> {
        self.last().1
    }

    /// The entry from which on it holds.
    pub(crate) fn latest_index(&self) -> Index {
        self.last().0
    }

    fn last(&self) -> (Index, &Arc<Membership>) {
        let last = self.0.last_key_value().expect("there is a founding membership");
        (*last.0, last.1)
    }

    /// A node has applied this entry, and takes this for the membership from there on.
    pub(crate) fn applied(&mut self, node: NodeId, index: Index, now: &Arc<Membership>) -> Check {
        if let Some(known) = self.0.get(&index) {
            return match known == now {
                true => Ok(()),
                false => Err((NAME, format!("node {node} comes to {now:?} at entry {index}"))),
            };
        }
        check_step(self.latest(), now)
            .map_err(|reason| (NAME, format!("node {node}, entry {index}: {reason}: {now:?}")))?;
        self.0.insert(index, Arc::clone(now));
        Ok(())
    }

    /// A node has this membership at this entry, from wherever it has it.
    pub(crate) fn check(&self, node: NodeId, index: Index, found: &Membership) -> Check {
        let known = self.0.range(..=index).next_back().map(|(_, known)| known);
        if known.is_some_and(|known| **known == *found) {
            return Ok(());
        }
        Err((NAME, format!("node {node} has {found:?} at entry {index}, and not {known:?}")))
    }

    /// The last entry before the membership at `index` began.
    pub(crate) fn change_before(&self, index: Index) -> Index {
        let began = self.0.range(..=index).next_back().map_or(FOUNDING.0, |(&began, _)| began);
        Index(began.get() - 1)
    }

    /// Whether a node was the only voter at some entry from one to another.
    pub(crate) fn is_alone(&self, node: NodeId, from: Index, to: Index) -> bool {
        let mut memberships = self.between(from, to.next());
        memberships.any(|membership| membership.voters().eq([node]))
    }

    /// The membership at `from`, and all that follow before `to`.
    pub(crate) fn between(&self, from: Index, to: Index) -> impl Iterator<Item = &Arc<Membership>> {
        let first = self.0.range(..=from).next_back().map_or(FOUNDING.0, |(&index, _)| index);
        self.0.range(first..to.max(first.next())).map(|(_, membership)| membership)
    }
}

fn check_step(before: &Membership, now: &Membership) -> Result<(), &'static str> {
    let (voters, old) = (now.voters().collect::<Vec<_>>(), now.old_voters().collect::<Vec<_>>());
    let was: Vec<NodeId> = before.voters().collect();
    if voters.is_empty() {
        return Err("there are no voters");
    }
    if before.is_joint() && *before != *now {
        return match !now.is_joint() && voters == was {
            true => Ok(()),
            false => Err("a joint membership can only be left"),
        };
    }
    match old == was {
        true => Ok(()),
        false => Err("the old voters are not those that there were"),
    }
}

/// Whether a majority of the voters, and of the old voters too if they are others, is so.
pub(crate) fn majority(membership: &Membership, is: impl Fn(NodeId) -> bool) -> bool {
    let most = |voters: Vec<NodeId>| {
        let all = voters.len();
        voters.into_iter().filter(|&id| is(id)).count() * 2 > all
    };
    most(membership.voters().collect()) && most(membership.old_voters().collect())
}
