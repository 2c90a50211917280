//! Which dialects there are.

use std::fmt;
use std::str::FromStr;

use crate::dialect::{Place, Registration};

/// All dialects beside the native API, one line each.
pub(crate) const DIALECTS: &[Registration] = &[
    crate::tailfeather::REGISTRATION,
    crate::raft::REGISTRATION,
    crate::hraftd::REGISTRATION,
    crate::raft_example::REGISTRATION,
    crate::raftexample::REGISTRATION,
];

/// A dialect that has listeners of its own: the API of another store, alone on a port.
#[derive(Clone, Copy)]
pub struct Dialect(pub(crate) &'static Registration);

impl Dialect {
    /// All dialects that have listeners of their own.
    pub fn all() -> impl Iterator<Item = Self> {
        DIALECTS.iter().filter(|dialect| dialect.place == Place::OwnPort).map(Self)
    }

    /// Its name, as [`Dialect::from_str`] reads it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0.name
    }

    /// A request to try, as a line for a shell, for a listener at this URL.
    #[must_use]
    pub fn example(self, url: &str) -> String {
        (self.0.example)(url)
    }
}

impl FromStr for Dialect {
    type Err = String;

    /// # Errors
    /// Says which names there are, as the end of a sentence that names the text.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|dialect| dialect.as_str() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::as_str).collect();
            let names = names.join(", ");
            match DIALECTS.iter().any(|dialect| dialect.name == text) {
                true => format!("is spoken on the client port, always; with ports of their own there are {names}"),
                false => format!("is no dialect with a port of its own; there are {names}"),
            }
        })
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Dialect({})", self.as_str())
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Dialect {}
