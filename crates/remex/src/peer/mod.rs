//! Talking to peers.
//!
//! Each node dials every other and sends on the connection that it dialed: one long-lived TCP
//! connection per direction ([`link`], [`links`], [`listener`]). The first frame each way is a
//! [`hello::Hello`], from which both sides tell whether the other belongs to the same cluster, is a
//! member of it, is who it says it is, and still has the disk that it had ([`admit`]). A stranger
//! gets a refusal that names both sides, and nothing else. Once a second members tell each other
//! how they are ([`vitals`]).
//!
//! Short connections of the same kind carry one question and its answer ([`ask`], [`question`]):
//! this is how nodes find each other, found clusters, join them ([`form`]), and pass on to their
//! leader what people want of the cluster. Snapshots have connections of their own.
//!
//! Connections come from the node's own listener, or, if peers and clients share a port, from
//! whoever listens there ([`port`]).
//!
//! Frames are a length, a checksum and a payload ([`frame`]). Anything may be lost when a
//! connection breaks: the protocol above repeats what matters. Everything that comes from outside
//! is bounded in length and in time.

pub(crate) mod admit;
pub(crate) mod ask;
pub(crate) mod form;
pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod listener;
pub(crate) mod patience;
pub(crate) mod port;
pub(crate) mod question;
pub(crate) mod remote;
pub(crate) mod vitals;
