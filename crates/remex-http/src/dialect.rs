//! What a dialect is to the rest of the surface: a name, routes, and where they are served.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;

use crate::dispatch::DIALECTS;
use crate::surface::Shared;
use crate::traffic::Route;

/// Where a dialect is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beside the native API, always: its paths belong to nobody else.
    ClientPort,
    /// On listeners of its own, for those who ask for one.
    OwnPort,
}

/// What a dialect's folder says of itself; its one line in [`DIALECTS`] registers it.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The name in settings and documents.
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    /// Adds its routes to a router.
    pub(crate) register: fn(Router, &Arc<Shared>) -> Router,
    /// What a request to this path is about; `None` if the path is not the dialect's.
    pub(crate) route_of: fn(&str) -> Option<Route>,
    /// How its request lines begin, if their targets may hold what no URL may.
    pub(crate) unescaped: Option<&'static [u8]>,
    /// A request to try, for a listener at this URL.
    pub(crate) example: fn(&str) -> String,
}

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
            format!("is no dialect with a port of its own; there are {}", names.join(", "))
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
