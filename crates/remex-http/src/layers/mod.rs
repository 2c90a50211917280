//! What every request passes through, whichever dialect it speaks.
//!
//! - `envelope`: the outermost layer. It gives every answer its `request-id`,
//!   `remex-served-by` and `remex-leader`, turns a [`Problem`] into its body, replaces error
//!   bodies that are not ours, makes the answer to HEAD from the one to GET, and counts it.
//! - `request_id`: the client's id if it is usable, else a cheap one of our own.
//! - `deadline`: calls the ports, and stops waiting for one that forgets its deadline.
//! - `body`: reads a body up to a bound.
//! - `served_by`: which node answered, and which leads.
//! - `problem`: an error on its way out. `spoken`: an answer that says itself all there is to say.
//! - `guard`: which requests are refused for where they come from.
//! - `pretty`: indents JSON without touching its text.
//! - `plain`: answers of text and JSON as servers written in Go make them.
//! - `percent`, `address`, `key`, `parameter`, `text`: parts of requests and answers that several
//!   dialects have.
//! - `newcomer`: takes a node into the cluster.
//!
//! Invariant: nothing here knows a path, a parameter or a status of one dialect alone.

mod address;
mod body;
mod deadline;
mod envelope;
mod guard;
mod key;
mod newcomer;
mod parameter;
mod percent;
mod plain;
mod pretty;
mod problem;
mod request_id;
mod served_by;
mod spoken;
mod text;

pub(crate) use address::peer_address;
pub(crate) use body::read;
pub(crate) use deadline::{call, get, within, write, write_all};
pub(crate) use envelope::{seal, wrap};
pub(crate) use guard::{guard, guard_post, was_asked_at};
pub(crate) use key::key_text;
pub(crate) use newcomer::take_in;
pub(crate) use parameter::{consistency, parameter};
pub(crate) use percent::{Plus, decode};
pub(crate) use plain::{plain_error, plain_json, plain_status};
pub(crate) use pretty::indent;
pub(crate) use problem::{Problem, retry_after};
pub(crate) use request_id::RequestIds;
pub(crate) use served_by::ServedBy;
pub(crate) use spoken::{Spoken, in_words, spoken, spoken_error, status_of};
pub(crate) use text::{shown, shown_text};
