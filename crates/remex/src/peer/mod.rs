//! Talking to peers.
//!
//! Each node dials every other and sends on the connection that it dialed: one long-lived TCP
//! connection per direction. The first frame each way is a [`hello::Hello`], which proves that
//! both sides belong to the same cluster and are who the other expects; a stranger gets a
//! refusal that names both sides, and nothing else. Fresh nodes use short connections of the
//! same kind to find each other and found a cluster ([`form`]).
//!
//! Frames are a length, a checksum and a payload ([`frame`]). Anything may be lost when a
//! connection breaks: the protocol above repeats what matters.

pub(crate) mod form;
pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod link;
pub(crate) mod listener;
