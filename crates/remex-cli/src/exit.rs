//! How a command ends: exit codes, and failures with what to do about them.

use std::fmt;
use std::process::ExitCode;

use remex::OpenError;
use remex_client::{Code, Error, Outcome};

/// The exit codes. Scripts depend on them: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Any failure that has no code of its own.
    Failure = 1,
    /// The command line or a setting is wrong.
    Usage = 2,
    /// The key or revision does not exist.
    NotFound = 3,
    /// A condition on a key did not hold.
    ConditionFailed = 4,
    /// Not authenticated, or not allowed.
    Denied = 5,
    /// The cluster could not be asked; certainly nothing was applied.
    Unavailable = 6,
    /// A write may have been applied.
    Unknown = 7,
    /// A check found something bad.
    CheckFailed = 8,
    /// Refused, to protect data.
    Protected = 9,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The code that the process ends with.
    pub(crate) exit: Exit,
    /// One line; empty if everything has been said already.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: one_line(&message.to_string()), hint: None }
    }

    /// Ends with a code without a further word.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { exit, message: String::new(), hint: None }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do about it to the message itself: what keeps a server from starting is said
    /// in one line, as it ends up in the log of whatever started it.
    pub(crate) fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.message = format!("{}; {}", self.message, one_line(&remedy.to_string()));
        self
    }

    /// Adds what to do about it, as a line of its own.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(one_line(&hint.to_string()));
        self
    }
}

/// What is printed as one line must be one, whatever the server put into its message.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut failure = Self::new(exit_of(&error), &error.problem.detail);
        failure.hint = error.problem.hint.as_deref().map(one_line);
        if failure.hint.is_none() && error.outcome == Outcome::Unknown {
            let hint = "the write may have been applied: read the key before you repeat it";
            failure.hint = Some(hint.to_owned());
        }
        failure
    }
}

impl From<OpenError> for Failure {
    /// For commands that work on a data directory which no node runs in.
    fn from(error: OpenError) -> Self {
        let exit = match error {
            OpenError::Locked { .. } | OpenError::Identity(_) | OpenError::Removed(_) => {
                Exit::Protected
            }
            OpenError::Config(_)
            | OpenError::DataDir { .. }
            | OpenError::Listen { .. }
            | OpenError::Recovery(_)
            | OpenError::Full(_) => Exit::Failure,
        };
        Self::new(exit, error)
    }
}

fn exit_of(error: &Error) -> Exit {
    let code = error.code.as_str();
    match error.status {
        Some(412) => return Exit::ConditionFailed,
        Some(401 | 403) => return Exit::Denied,
        _ => {}
    }
    if matches!(code, "key_not_found" | "member_not_found" | "compacted" | "future_revision") {
        return Exit::NotFound;
    }
    if code == "would_lose_quorum" {
        return Exit::Protected;
    }
    if error.outcome == Outcome::Unknown {
        return Exit::Unknown;
    }
    if error.status.is_none() && error.code == Code::BAD_REQUEST {
        return Exit::Usage;
    }
    let unavailable = [Code::UNREACHABLE, Code::CONNECTION_LOST, Code::TIMEOUT];
    if unavailable.contains(&error.code) || matches!(error.status, Some(429 | 503 | 504)) {
        return Exit::Unavailable;
    }
    Exit::Failure
}
