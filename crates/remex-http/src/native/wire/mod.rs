//! The shapes of bodies: the only types of this dialect that derive serialization. They are
//! converted by hand, never shared with another dialect, and never stored.

mod cluster;
mod data;
mod members;

pub(crate) use cluster::{ClusterBody, HealthBody, MemberBody, NodeBody, StatusBody, VersionBody};
pub(crate) use data::{
    BatchBody, BatchOperation, BatchPut, BatchResult, DeleteBody, KeyBody, PageBody, PutBody,
    RecordBody,
};
pub(crate) use members::{
    AddMemberBody, LeaderBody, LogLevelBody, MembersBody, SetLogLevelBody, TransferBody,
};
