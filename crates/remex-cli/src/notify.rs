//! What a service manager is told (systemd's `Type=notify`): that the node listens, in words what
//! it does or waits for, and that it stops.
//!
//! A node counts as ready for the service manager once it listens, not once its cluster has a
//! leader: nodes wait for each other, and a unit that held up the boot of its machine until the
//! others are there could hold up all of them. `STATUS=` says what is still missing.
//!
//! Without `NOTIFY_SOCKET` nothing is sent. Missing: sockets in the abstract namespace.

use std::sync::Arc;
use std::time::Duration;

use remex_model::{Admin, Check, NodeRole, Term};
use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The environment variable that names the service manager's socket.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";

/// Pause between two looks at the node.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the service manager's line on the node true for as long as it lives.
#[derive(Debug)]
pub(crate) struct Notifier {
    watching: Option<JoinHandle<()>>,
}

impl Notifier {
    /// Says that the node listens, and from now on what it does. Must be called within a runtime.
    pub(crate) fn ready(admin: Arc<dyn Admin>) -> Self {
        if std::env::var_os(SOCKET_VARIABLE).is_none() {
            return Self { watching: None };
        }
        let text = sentence(&*admin);
        send(&[NotifyState::Ready, NotifyState::Status(&text)]);
        Self { watching: Some(tokio::spawn(watch(admin, text))) }
    }

    /// Says that the node stops, and nothing after that.
    pub(crate) fn stopping(self) {
        if let Some(watching) = &self.watching {
            watching.abort();
            send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

async fn watch(admin: Arc<dyn Admin>, mut said: String) {
    loop {
        sleep(LOOK_PAUSE).await;
        let text = sentence(&*admin);
        if text != said {
            send(&[NotifyState::Status(&text)]);
            said = text;
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

fn sentence(admin: &dyn Admin) -> String {
    let (status, checks) = (admin.status(), admin.readiness());
    describe(status.role, status.term, &checks)
}

/// One line: the role and its term, or what keeps the node from taking requests.
fn describe(role: NodeRole, term: Term, checks: &[Check]) -> String {
    let missing: Vec<&str> =
        checks.iter().filter(|check| !check.ok).map(|check| check.detail.as_str()).collect();
    let text = match (missing.is_empty(), role) {
        (true, _) => format!("{} in term {term}", role.as_str()),
        (false, NodeRole::Waiting | NodeRole::Repairing) => missing.join("; "),
        (false, _) => format!("{}, not ready: {}", role.as_str(), missing.join("; ")),
    };
    // A line break would begin another variable of the protocol.
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ok: bool, detail: &str) -> Check {
        Check { name: "x", ok, detail: detail.to_owned() }
    }

    #[test]
    fn the_line_says_the_role_or_what_is_missing() {
        let good = [check(true, "n1 leads")];
        assert_eq!(describe(NodeRole::Leader, Term(7), &good), "leader in term 7");
        let bad = [check(true, "n1 leads"), check(false, "no leader is known"), check(false, "x")];
        assert_eq!(
            describe(NodeRole::Follower, Term(7), &bad),
            "follower, not ready: no leader is known; x"
        );
        let waits = [check(false, "waits for\nother nodes")];
        assert_eq!(describe(NodeRole::Waiting, Term(0), &waits), "waits for other nodes");
    }
}
