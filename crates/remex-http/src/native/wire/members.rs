//! The shapes of bodies that change the cluster.

use serde::{Deserialize, Serialize};

use super::cluster::MemberBody;

/// Answer to `GET /v1/cluster/members`.
#[derive(Debug, Serialize)]
pub(crate) struct MembersBody {
    pub(crate) changing: bool,
    pub(crate) members: Vec<MemberBody>,
}

/// Body of `POST /v1/cluster/members`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `peer_url`")]
pub(crate) struct AddMemberBody {
    pub(crate) name: Option<String>,
    pub(crate) peer_url: String,
    pub(crate) role: Option<String>,
}

/// Body of `POST /v1/cluster/leader/transfer`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `to`, or nothing")]
pub(crate) struct TransferBody {
    pub(crate) to: Option<String>,
}

/// Answer to `POST /v1/cluster/leader/transfer`.
#[derive(Debug, Serialize)]
pub(crate) struct LeaderBody {
    pub(crate) leader: String,
    pub(crate) name: Option<String>,
    pub(crate) term: u64,
}

/// Answer to `/v1/log-level`.
#[derive(Debug, Serialize)]
pub(crate) struct LogLevelBody {
    pub(crate) level: String,
}

/// Body of `PUT /v1/log-level` as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `level`")]
pub(crate) struct SetLogLevelBody {
    pub(crate) level: String,
}
