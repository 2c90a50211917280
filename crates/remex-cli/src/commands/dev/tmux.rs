//! The cluster in a tmux session: one pane a node.

use std::io::{self, IsTerminal};
use std::process::{Command, Output, Stdio};

use super::directory::Directory;
use super::launch;
use super::layout::{Layout, Member};
use crate::exit::{Exit, Failure};
use crate::output;

/// Size of the session until a terminal attaches: nine panes have room in it.
const SIZE: [&str; 4] = ["-x", "240", "-y", "72"];

/// A session by its name. tmux gives `.` and `:` a meaning of their own in names.
pub(super) struct Session {
    name: String,
}

impl Session {
    /// The session of a cluster. Clusters whose nodes are called otherwise have others.
    pub(super) fn of(layout: &Layout) -> Self {
        Self { name: session_name(&layout.members()[0].name) }
    }

    /// Checks that tmux is there and the session is not.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let found = tmux(&["has-session", "-t", &self.exactly()])?;
        if found.status.success() {
            let (name, attach, end) = (&self.name, self.attach(), self.end());
            let message = format!("there is a tmux session {name} already");
            return Err(Failure::new(Exit::Failure, message)
                .remedy(format!("attach to it ({attach}), or end it ({end})")));
        }
        Ok(())
    }

    /// Starts the nodes.
    pub(super) fn start(
        &self,
        layout: &Layout,
        directory: &Directory,
        log_level: Option<&str>,
    ) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(failed)?.display().to_string();
        let command = |member: &Member| -> Vec<String> {
            let variables = launch::variables_of_nodes();
            let by = if variables.is_empty() { Vec::new() } else { vec!["env".to_owned()] };
            let arguments = launch::arguments(member, layout, directory, log_level);
            [by, variables, vec![program.clone()], arguments].concat()
        };
        let script = self.script(layout, command);
        let script: Vec<&str> = script.iter().map(String::as_str).collect();
        let started = tmux(&script)?;
        if started.status.success() {
            return Ok(());
        }
        // Some of the panes may be there. If none is, there is nothing to end.
        tmux(&["kill-session", "-t", &self.exactly()])?;
        let why = String::from_utf8_lossy(&started.stderr);
        Err(Failure::new(Exit::Failure, format!("tmux cannot start the session: {}", why.trim()))
            .remedy("use remex dev without --tmux, or --dry-run and terminals of your own"))
    }

    /// All of it is one command line of tmux, so that a node which ends at once cannot take its
    /// pane with it before that is told to stay.
    fn script(&self, layout: &Layout, command: impl Fn(&Member) -> Vec<String>) -> Vec<String> {
        let window = format!("{}:", self.exactly());
        let mut script: Vec<String> = Vec::new();
        let mut run = |words: &[&str], command: Vec<String>| {
            if !script.is_empty() {
                script.push(";".to_owned());
            }
            script.extend(words.iter().map(|word| (*word).to_owned()));
            script.extend(command.into_iter().map(unseparated));
        };
        for (at, member) in layout.members().iter().enumerate() {
            if at == 0 {
                let new = ["new-session", "-d", "-s", &self.name, "-n", "remex"];
                run(&[&new[..], &SIZE, &["--"]].concat(), command(member));
                run(&["set-option", "-w", "-t", &window, "remain-on-exit", "on"], Vec::new());
                run(&["set-option", "-w", "-t", &window, "pane-border-status", "top"], Vec::new());
                let titles = ["pane-border-format", " #{pane_title} "];
                run(&[&["set-option", "-w", "-t", &window], &titles[..]].concat(), Vec::new());
            } else {
                run(&["split-window", "-t", &window, "--"], command(member));
            }
            run(&["select-pane", "-t", &window, "-T", &member.name], Vec::new());
            run(&["select-layout", "-t", &window, "tiled"], Vec::new());
        }
        script
    }

    /// Says what can be done with the session, and shows it if somebody is there to see it.
    pub(super) fn show(&self, layout: &Layout, directory: &Directory) -> Result<(), Failure> {
        let mut text = format!("The cluster runs in the tmux session {}:\n", self.name);
        for member in layout.members() {
            text.push_str(&format!("  {}  {}\n", member.name, member.url()));
        }
        text.push_str(&format!(
            "Data: {} (kept)\nAttach: {}\nEnd it: {}\n\
             In it: Ctrl-C stops a node, Ctrl-b :respawn-pane starts it again, Ctrl-b d detaches.\n",
            directory.as_str(),
            self.attach(),
            self.end(),
        ));
        output::write(text.as_bytes())?;
        let is_inside = std::env::var_os("TMUX").is_some();
        if is_inside || !io::stdin().is_terminal() || !output::is_terminal() {
            return Ok(());
        }
        let attached =
            Command::new("tmux").args(["attach-session", "-t", &self.exactly()]).status();
        match attached.map_err(failed)?.success() {
            true => Ok(()),
            false => Err(Failure::new(Exit::Failure, "the tmux session cannot be shown")
                .remedy(format!("it runs: {}", self.attach()))),
        }
    }

    /// The name in a form that does not match other names that begin with it.
    fn exactly(&self) -> String {
        format!("={}", self.name)
    }

    fn attach(&self) -> String {
        let is_inside = std::env::var_os("TMUX").is_some();
        let verb = if is_inside { "switch-client" } else { "attach" };
        format!("tmux {verb} -t {}", self.name)
    }

    fn end(&self) -> String {
        format!("tmux kill-session -t {}", self.name)
    }
}

/// What a node's name begins with tells clusters apart.
fn session_name(node: &str) -> String {
    let prefix =
        node.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_', '.', ':']);
    match prefix.replace(['.', ':'], "-").as_str() {
        "" | "n" => "remex-dev".to_owned(),
        prefix => format!("remex-dev-{prefix}"),
    }
}

/// tmux takes a word that ends in a semicolon for the end of a command.
fn unseparated(word: String) -> String {
    match word.strip_suffix(';') {
        Some(rest) => format!("{rest}\\;"),
        None => word,
    }
}

fn tmux(arguments: &[&str]) -> Result<Output, Failure> {
    Command::new("tmux").args(arguments).stdin(Stdio::null()).output().map_err(failed)
}

fn failed(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::new(Exit::Failure, "tmux is not installed, or not on the PATH").remedy(
            "install the package tmux, or use remex dev without --tmux, or --dry-run and \
             terminals of your own",
        );
    }
    Failure::new(Exit::Failure, format!("cannot run tmux: {error}"))
        .remedy("use remex dev without --tmux, or --dry-run and terminals of your own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_different_prefixes_do_not_meet() {
        assert_eq!(session_name("n1"), "remex-dev");
        assert_eq!(session_name("node-1"), "remex-dev-node");
        assert_eq!(session_name("a.b:3"), "remex-dev-a-b");
        assert_eq!(session_name("a2-1"), "remex-dev-a2");
        assert_eq!(session_name("1"), "remex-dev");
    }

    #[test]
    fn a_word_never_ends_a_command_of_tmux() {
        assert_eq!(unseparated("a;".to_owned()), "a\\;");
        assert_eq!(unseparated("a;b".to_owned()), "a;b");
    }
}
