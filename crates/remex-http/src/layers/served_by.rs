//! The headers that tell which node answered and which one leads.

use std::sync::{PoisonError, RwLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use remex_model::{Admin, NodeId, NodeInfo};

const SERVED_BY: HeaderName = HeaderName::from_static("remex-served-by");
const LEADER: HeaderName = HeaderName::from_static("remex-leader");

/// The two header values, made once: the node's own name never changes while it runs, and the
/// leader's is looked up again only when another node leads.
#[derive(Debug)]
pub(crate) struct ServedBy {
    name: String,
    value: HeaderValue,
    leader: RwLock<Option<Leader>>,
}

#[derive(Clone, Debug)]
struct Leader {
    id: NodeId,
    value: HeaderValue,
    /// Whether its name was known. If not, the next request asks again.
    named: bool,
}

impl ServedBy {
    pub(crate) fn new(node: &NodeInfo) -> Self {
        let name = if node.name.is_empty() { node.id.to_string() } else { node.name.clone() };
        Self { value: label(&node.name, node.id), name, leader: RwLock::new(None) }
    }

    /// The node's name, for bodies.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds the headers. Without a leader there is no `remex-leader`.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap, admin: &dyn Admin) {
        headers.insert(SERVED_BY, self.value.clone());
        if let Some(id) = admin.leader() {
            headers.insert(LEADER, self.leader_value(id, admin));
        }
    }

    fn leader_value(&self, id: NodeId, admin: &dyn Admin) -> HeaderValue {
        // The guarded value is replaced as a whole, so a poisoned lock holds a good one.
        let known = self.leader.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = &*known
            && leader.id == id
            && leader.named
        {
            return leader.value.clone();
        }
        drop(known);
        let view = admin.cluster();
        let name =
            view.members.iter().find(|member| member.id == id).map_or("", |member| &member.name);
        let value = label(name, id);
        let leader = Leader { id, value: value.clone(), named: !name.is_empty() };
        *self.leader.write().unwrap_or_else(PoisonError::into_inner) = Some(leader);
        value
    }
}

/// The name if it can stand in a header, else the id.
fn label(name: &str, id: NodeId) -> HeaderValue {
    match HeaderValue::from_str(name) {
        Ok(value) if !name.is_empty() => value,
        _ => HeaderValue::from_str(&id.to_string()).expect("an id is 16 hexadecimal digits"),
    }
}
