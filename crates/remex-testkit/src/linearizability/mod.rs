//! Is this history linearizable? Could one copy of the data, serving one operation at a time,
//! have given every answer, each at some moment between its call and its return?
//!
//! [`check`] answers by search, key by key (linearizability is local: Herlihy and Wing 1990,
//! theorem 1), in the manner of Wing and Gong with Lowe's memory of configurations already
//! tried ("Testing for linearizability", 2017). [`check_revisions`] answers by the server's own
//! word: revisions are claimed to be a total order of all writes of all keys, so it only has to
//! check that claim, in one sweep over the sorted history. The two see different mistakes, so
//! run both.
//!
//! What an outcome means here:
//!
//! - an acknowledged write took effect between call and return;
//! - a refused compare-and-set found another value between call and return;
//! - [`Outcome::Unknown`] may take effect at any moment after its call, or never: the answer was
//!   lost, and the request may still be travelling;
//! - [`Outcome::Failed`] certainly has no effect, so a read that sees its value is a violation.
//!
//! Values must tell writes apart: let every write of a key carry a value of its own. Then a
//! compare-and-set by revision is one by value: name the value that had that revision.
//!
//! Missing: operations on several keys at once are judged by [`check_revisions`] alone.

mod event;
mod model;
mod report;
mod revisions;
mod search;
#[cfg(test)]
mod tests;

pub use event::{Event, Found, Op, Outcome};
pub use report::{Violation, check};
pub use revisions::{RevisionViolation, check_revisions};
