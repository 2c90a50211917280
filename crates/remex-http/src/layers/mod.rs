//! What every request passes through, whichever dialect it speaks.
//!
//! - `envelope`: the outermost layer. It gives every answer its `request-id`,
//!   `remex-served-by` and `remex-leader`, turns a [`Problem`] into its body, replaces error
//!   bodies that are not ours, makes the answer to HEAD from the one to GET, and counts it.
//! - `request_id`: the client's id if it is usable, else a cheap one of our own.
//! - `deadline`: calls the ports, and stops waiting for one that forgets its deadline.
//! - `body`: reads a body up to a bound.
//! - `served_by`: which node answered, and which leads.
//! - `problem`: an error on its way out.
//!
//! Invariant: nothing here knows a path, a parameter or a status of any dialect.

mod body;
mod deadline;
mod envelope;
mod problem;
mod request_id;
mod served_by;

pub(crate) use body::{BodyError, read};
pub(crate) use deadline::{call, within};
pub(crate) use envelope::{seal, wrap};
pub(crate) use problem::Problem;
pub(crate) use request_id::RequestIds;
pub(crate) use served_by::ServedBy;
