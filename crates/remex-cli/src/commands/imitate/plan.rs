//! What a command line of an imitated program comes to.

use std::path::PathBuf;

use remex_client::Endpoint;

use crate::settings::{Flags, TABLE};
use crate::shell;

/// Settings of `remex serve`, and what happens besides.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// The settings, in the order in which they are shown.
    pub(super) settings: Vec<(&'static str, String)>,
    /// Folders that the imitated program keeps something in, and Remex does not.
    pub(super) folders: Vec<PathBuf>,
    /// Said once: what was taken and means nothing here.
    pub(super) remarks: Vec<String>,
    /// What is done with the settings.
    pub(super) course: Course,
}

/// What is done with the settings of a plan.
#[derive(Debug, PartialEq)]
pub(super) enum Course {
    /// A server runs until it is told to stop.
    Serve,
    /// A server runs until a line is typed, or it is told to stop; it says this when it is ready.
    ServeUntilEnter { ready: &'static str },
    /// A server runs, and asks to be taken in until it is a member.
    ServeAndAsk(Invitation),
    /// A cluster of one node is founded, unless the node is a member already; this is said.
    Found { done: &'static str },
}

/// How a node asks another one to take it in: a request to that one's API.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Invitation {
    /// Who is asked.
    pub(super) node: Endpoint,
    /// The path of the request.
    pub(super) path: &'static str,
    /// Its body, which is JSON.
    pub(super) body: String,
}

impl Plan {
    /// A plan to serve, without settings.
    pub(super) fn new() -> Self {
        Self {
            settings: Vec::new(),
            folders: Vec::new(),
            remarks: Vec::new(),
            course: Course::Serve,
        }
    }

    /// Adds a setting.
    pub(super) fn set(&mut self, name: &'static str, text: impl Into<String>) -> &mut Self {
        self.settings.push((name, text.into()));
        self
    }

    /// Adds a switch.
    pub(super) fn switch_on(&mut self, name: &'static str) -> &mut Self {
        self.set(name, "true")
    }

    /// Adds something to be said once.
    pub(super) fn remark(&mut self, text: impl Into<String>) -> &mut Self {
        self.remarks.push(text.into());
        self
    }

    /// The text of a setting.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| text.as_str())
    }

    /// The settings as flags.
    pub(super) fn flags(&self) -> Flags {
        Flags(self.settings.clone())
    }

    /// The command line of `remex serve` that means the same, as a line for a shell.
    pub(super) fn native(&self) -> String {
        format!("{} serve {}", shell::quoted(&shell::program()), self.arguments())
    }

    /// The arguments of that command line.
    pub(super) fn arguments(&self) -> String {
        let mut words = Vec::with_capacity(self.settings.len());
        for (name, text) in &self.settings {
            let text = shell::quoted(text);
            if TABLE.iter().any(|setting| setting.name == *name && setting.is_switch()) {
                words.push(format!("--{name}"));
            } else if text.starts_with('-') {
                words.push(format!("--{name}={text}"));
            } else {
                words.push(format!("--{name} {text}"));
            }
        }
        words.join(" ")
    }

    /// What is said on standard error before anything is done, a line each; where it is to be quiet,
    /// only what may come as a surprise.
    pub(super) fn announcement(&self, quiet: bool) -> Vec<String> {
        let remarks = self.remarks.iter().map(|remark| format!("note: {remark}"));
        if quiet {
            return remarks.collect();
        }
        let mut lines = vec![format!("native: {}", self.native())];
        if let Course::ServeAndAsk(invitation) = &self.course {
            let Invitation { node, path, body } = invitation;
            lines.push(format!("then: curl {node}{path} -d {}", shell::quoted(body)));
        }
        lines.extend(remarks);
        lines
    }
}
