//! Settings of a server: one table, five origins.
//!
//! Every setting in [`TABLE`] is a flag (`--max-value-bytes`), a variable
//! (`REMEX_MAX_VALUE_BYTES`) and a key of the TOML file (`max-value-bytes`); the first of these
//! that is given wins, and otherwise the default holds. Between file and default stands what a
//! cluster file (`--cluster-file`) says of the node of this name. Whatever the origin, a value is a text
//! that the same function reads, so that an error can name where the text came from.

pub(crate) mod cluster_file;
mod file;
mod layers;
mod ports;
mod readers;
mod server;
mod table;
pub(crate) mod units;

pub(crate) use layers::Layers;
pub(crate) use readers::check_name;
pub(crate) use server::{LogFilter, LogFormat, Server};
pub(crate) use table::{Flags, TABLE};
