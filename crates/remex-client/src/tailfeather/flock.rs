//! What nodes say of their cluster.

use serde::Deserialize;

/// The cluster as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Flock {
    pub(crate) current_leader: Option<String>,
    pub(crate) commit_index: u64,
    all_voting_nodes: Vec<Node>,
    promotable_nodes: Vec<Node>,
    non_voting_nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    name: String,
    uri: Option<String>,
}

impl Flock {
    /// The URL of the leader, if it is known.
    pub(crate) fn leader(&self) -> Option<&str> {
        let leader = self.current_leader.as_deref()?;
        self.nodes().find(|node| node.name == leader).and_then(|node| node.uri.as_deref())
    }

    /// The URLs of all members.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.nodes().filter_map(|node| node.uri.as_deref())
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.all_voting_nodes.iter().chain(&self.promotable_nodes).chain(&self.non_voting_nodes)
    }
}

/// The one that knows most: the highest commit index, and of those one that names a leader.
pub(crate) fn believed<T>(flocks: Vec<(T, Flock)>) -> Option<(T, Flock)> {
    flocks.into_iter().max_by_key(|(_, flock)| (flock.commit_index, flock.leader().is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flock(leader: &str, commit_index: u64) -> Flock {
        let text = format!(
            r#"{{"CurrentLeader":{leader},"CommitIndex":{commit_index},"State":"Follower",
            "AllVotingNodes":[{{"Name":"One","Uri":"http://one:1","More":1}}],
            "PromotableNodes":[{{"Name":"Two","Uri":null}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_highest_commit_index_wins() {
        let flocks = vec![
            ("old", flock("\"One\"", 7)),
            ("lost", flock("null", 9)),
            ("new", flock("\"One\"", 9)),
            ("older", flock("null", 1)),
        ];
        let (node, believed) = believed(flocks).unwrap();
        assert_eq!((node, believed.leader()), ("new", Some("http://one:1")));
        assert_eq!(believed.urls().collect::<Vec<_>>(), ["http://one:1"]);
        assert!(super::believed::<()>(Vec::new()).is_none());
    }

    #[test]
    fn a_leader_without_a_url_is_none() {
        assert_eq!(flock("\"Two\"", 1).leader(), None);
        assert_eq!(flock("\"Three\"", 1).leader(), None);
        assert_eq!(flock("null", 1).leader(), None);
    }
}
