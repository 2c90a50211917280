//! Why a generation of a node's parts ends, and what the node does then.

use std::fmt;

use crate::Fatal;

/// Why a generation ended. See [`crate::node`] for what follows.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// It was told to stop.
    Stopped,
    /// The node cannot go on at all.
    Failed(Fatal),
    /// A snapshot that was fetched is to be installed.
    Install,
    /// The node, alone in a cluster that was never written to, was invited into another.
    Invited,
    /// It is no member any more.
    Removed(String),
    /// Its disk does not hold what it once promised or applied.
    Damaged(Damage),
}

/// What a node's disk has lost, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) part: Damaged,
    /// Names file and offset, where there are some.
    pub(crate) detail: String,
}

/// Which part of the data is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damaged {
    /// The state: a snapshot of another member takes its place. What the node promised is in
    /// its log, so it stays who it is.
    Engine,
    /// The log, with votes and acknowledgements in it: whoever has forgotten them must not vote or
    /// acknowledge again, so the node starts anew under another id.
    Log,
    /// All of it: the disk is an older one than the one that the node last wrote to.
    RolledBack,
}

impl Damaged {
    /// The cause, in messages and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Log => "log",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

impl From<Fatal> for Ending {
    fn from(fatal: Fatal) -> Self {
        Self::Failed(fatal)
    }
}

impl Ending {
    /// The end that an error of the state machine means.
    pub(crate) fn of_state(what: &str, error: &remex_state::Fatal) -> Self {
        let detail = format!("{what}: {error}");
        if error.is_damage() {
            return Self::Damaged(Damage { part: Damaged::Engine, detail });
        }
        Self::Failed(Fatal::Failed(detail))
    }

    /// The end that an error of the log means.
    pub(crate) fn of_log(what: &str, error: &remex_log::LogError) -> Self {
        let detail = format!("{what}: {error}");
        if error.is_damage() {
            return Self::Damaged(Damage { part: Damaged::Log, detail });
        }
        Self::Failed(Fatal::Failed(detail))
    }
}
