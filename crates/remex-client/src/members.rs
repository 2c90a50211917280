//! Who belongs to the cluster and who leads it, and changing that.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use crate::{Call, Client, Error, Member};

/// Time for a change if the client's own timeout is shorter: a little more than a node takes at
/// most.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(35);

/// An invitation to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AddMember {
    peer_url: String,
    name: Option<String>,
    learner: bool,
    force: bool,
}

impl AddMember {
    /// Invites the node at this peer address (`host:port`), to become a voter once it has caught
    /// up. Inviting a member again changes nothing.
    pub fn new(peer_address: impl Into<String>) -> Self {
        Self { peer_url: peer_address.into(), name: None, learner: false, force: false }
    }

    /// The name that the node must have; otherwise it is taken in under the name that it has.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// It stays a learner: it follows, and does not count for the quorum.
    pub fn learner(mut self) -> Self {
        self.learner = true;
        self
    }

    /// Does it even if no reachable majority is left.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// The request.
    pub fn call(&self) -> Call {
        let mut body = serde_json::json!({ "peer_url": self.peer_url });
        if let Some(name) = &self.name {
            body["name"] = name.as_str().into();
        }
        if self.learner {
            body["role"] = "learner".into();
        }
        let call = Call::write(Method::POST, "/v1/cluster/members").repeatable();
        forced(call, self.force).header("content-type", "application/json").body(body.to_string())
    }
}

/// A change of one member, which is named by its name or its id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ChangeMember {
    member: String,
    change: Change,
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Remove,
    Promote,
    Demote,
}

impl ChangeMember {
    /// Removes a member, for ever.
    pub fn remove(member: impl Into<String>) -> Self {
        Self { member: member.into(), change: Change::Remove, force: false }
    }

    /// Makes a learner a voter.
    pub fn promote(member: impl Into<String>) -> Self {
        Self { member: member.into(), change: Change::Promote, force: false }
    }

    /// Makes a voter a learner, for good.
    pub fn demote(member: impl Into<String>) -> Self {
        Self { member: member.into(), change: Change::Demote, force: false }
    }

    /// Does it even if no reachable majority is left.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// The request.
    pub fn call(&self) -> Call {
        let path = member_path(&self.member);
        let call = match self.change {
            // Not to be repeated blindly: by then the name may be that of another node.
            Change::Remove => Call::write(Method::DELETE, path),
            Change::Promote => Call::write(Method::POST, format!("{path}/promote")).repeatable(),
            Change::Demote => Call::write(Method::POST, format!("{path}/demote")).repeatable(),
        };
        forced(call, self.force)
    }
}

/// A change of who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Transfer {
    to: Option<String>,
}

impl Transfer {
    /// To the voter that is furthest ahead.
    pub fn new() -> Self {
        Self::default()
    }

    /// To this voter, named by its name or its id.
    pub fn to(mut self, member: impl Into<String>) -> Self {
        self.to = Some(member.into());
        self
    }

    /// The request.
    pub fn call(&self) -> Call {
        let call = Call::write(Method::POST, "/v1/cluster/leader/transfer")
            .header("content-type", "application/json");
        match &self.to {
            Some(to) => call.repeatable().body(serde_json::json!({ "to": to }).to_string()),
            None => call.body("{}"),
        }
    }
}

/// The members of the cluster, as one node sees them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Members {
    /// Whether a change is under way.
    #[serde(default)]
    pub changing: bool,
    /// The members, by name.
    pub members: Vec<Member>,
}

/// Who leads after a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Leader {
    /// Its identity.
    pub leader: String,
    /// Its label, if the node that answered knows it.
    #[serde(default)]
    pub name: Option<String>,
    /// The term in which it leads.
    pub term: u64,
}

impl Client {
    /// The members.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn members(&self) -> Result<Members, Error> {
        self.send(&Call::read("/v1/cluster/members")).await?.json()
    }

    /// One member, by its name or its id; `None` if there is none.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn member(&self, member: &str) -> Result<Option<Member>, Error> {
        match self.send(&Call::read(member_path(member))).await {
            Ok(answer) => answer.json().map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Invites a node. It is a learner first, and becomes a voter by itself: ask
    /// [`Client::member`] until it is one.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn add_member(&self, add: &AddMember) -> Result<Member, Error> {
        self.change(&add.call()).await?.json()
    }

    /// Removes, promotes or demotes a member. Answers with the member as it is afterwards, or was.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn change_member(&self, change: &ChangeMember) -> Result<Member, Error> {
        self.change(&change.call()).await?.json()
    }

    /// Hands leadership over, and waits until the other one leads.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn transfer(&self, transfer: &Transfer) -> Result<Leader, Error> {
        self.change(&transfer.call()).await?.json()
    }

    async fn change(&self, call: &Call) -> Result<crate::Answer, Error> {
        self.send_within(call, self.timeout().max(CHANGE_TIMEOUT)).await
    }
}

fn member_path(member: &str) -> String {
    format!("/v1/cluster/members/{}", Call::text(member))
}

fn forced(call: Call, force: bool) -> Call {
    if force { call.query("force", "true") } else { call }
}
