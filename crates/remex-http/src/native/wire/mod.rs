//! The shapes of bodies: the only types of this dialect that derive serialization. They are
//! converted by hand, never shared with another dialect, and never stored.

mod cluster;
mod data;

pub(crate) use cluster::{ClusterBody, HealthBody, NodeBody, StatusBody, VersionBody};
pub(crate) use data::{
    BatchBody, BatchOperation, BatchPut, BatchResult, DeleteBody, KeyBody, PageBody, PutBody,
    RecordBody,
};
