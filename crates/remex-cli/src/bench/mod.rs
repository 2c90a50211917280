//! The measuring instrument behind `remex bench`.
//!
//! It shares two cores with the servers that it measures, so it must be small: one thread,
//! requests written by hand into one buffer, answers looked at just enough to know where they
//! end ([`response`]). A closed loop keeps a number of clients busy and measures each request
//! from its sending. An open loop sends at a rate, and measures from the moment at which the
//! request *should* have been sent: a server that stalls is charged for everything that it kept
//! waiting (no coordinated omission). Latencies go into HdrHistograms.

mod arrivals;
mod connection;
mod load;
mod plan;
mod recorder;
mod report;
mod response;

pub(crate) use load::run;
pub(crate) use plan::{Operation, Plan};
