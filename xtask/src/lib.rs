//! Automation of this repository: `cargo xtask VERB`, the same on a developer's machine and in
//! CI, with nothing to install but Rust.
//!
//! [`verbs`] holds one function for each verb; [`tidy`] the checks of the repository that
//! neither compiler nor clippy makes, which are also a test of this crate, so that
//! `cargo test --workspace` holds them; [`packages`] and [`rehearse`] try what is below
//! `deploy`. `verify` never writes into the working tree; `fix-all`
//! and `golden` do.

pub mod packages;
pub mod rehearse;
pub mod tidy;
pub mod verbs;
