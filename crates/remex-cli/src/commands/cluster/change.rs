//! `remex cluster add|remove|promote|demote|transfer`: changes through the API.

use std::time::Duration;

use clap::Args;
use remex_client::{AddMember, Call, ChangeMember, Leader, Member, Transfer as TransferOptions};

use crate::cli::Globals;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::session::{self, Session};

/// Time for a change unless told otherwise: a little more than a node takes at most.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(35);

/// Invite a node
#[derive(Debug, Args)]
#[command(after_help = "\
The node must wait to be invited (remex serve --wait), or be all alone in a cluster that was never
written to. It is a learner first, and becomes a voter by itself when it has caught up. Inviting a
member again changes nothing. An address that begins with http:// is one for clients: the node is
asked there for its peer address.

Output: value (default): name, id and role; json (the API's object).

Examples:
  remex cluster add 10.0.0.4:7481
  remex cluster add http://10.0.0.4:7480
  remex cluster add 10.0.0.4:7481 --name n4
  remex cluster add 10.0.0.9:7481 --learner")]
pub(crate) struct Add {
    /// Peer address of the node (HOST:PORT), or the URL for its clients
    peer_addr: String,
    /// The name that the node must have
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Leave it a learner: it follows, and does not count for the quorum
    #[arg(long)]
    learner: bool,
    /// Do it even if no reachable majority is left
    #[arg(long)]
    force: bool,
}

impl Add {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let peer = match session::client_endpoint(&self.peer_addr)? {
            Some(endpoint) => session::peer_address(&endpoint, globals.timeout()).await?,
            None => self.peer_addr,
        };
        let mut add = AddMember::new(peer);
        if let Some(name) = self.name {
            add = add.name(name);
        }
        if self.learner {
            add = add.learner();
        }
        if self.force {
            add = add.force();
        }
        let member = carry_out(globals, &add.call()).await?;
        if let Some(member) = member.filter(|member| member.role == "learner" && !self.learner) {
            said(
                globals,
                &format!(
                    "{} follows as a learner and becomes a voter when it has caught up: \
                 remex cluster members",
                    member.name
                ),
            );
        }
        Ok(())
    }
}

/// Remove a member, for ever
#[derive(Debug, Args)]
#[command(after_help = "\
The node stops and cannot come back under this id; with an empty data directory it can be added
again. A leader hands leadership over first. Refused (exit code 9) if too few voters would be
reachable; --force does it all the same, and writes then stop until enough members are back.

Output: value (default): name, id and role that it had; json (the API's object).

Examples:
  remex cluster remove n3
  remex cluster remove 52b1c07a9e34d681
  remex cluster remove n3 --force")]
pub(crate) struct Remove {
    /// Name or id of the member
    name: String,
    /// Do it even if no reachable majority is left
    #[arg(long)]
    force: bool,
}

impl Remove {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let change = forced(ChangeMember::remove(self.name), self.force);
        if let Some(member) = carry_out(globals, &change.call()).await? {
            let name = member.name;
            said(
                globals,
                &match member.awaited {
                    true => format!("{name} is not awaited any more"),
                    false => format!("{name} is no member any more; its node stops"),
                },
            );
        }
        Ok(())
    }
}

/// Make a learner a voter
#[derive(Debug, Args)]
#[command(after_help = "\
Waits until it has caught up. A learner that was added without --learner is promoted by itself.

Output: value (default): name, id and role; json (the API's object).

Examples:
  remex cluster promote n4")]
pub(crate) struct Promote {
    /// Name or id of the member
    name: String,
    /// Do it even if no reachable majority is left
    #[arg(long)]
    force: bool,
}

impl Promote {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let change = forced(ChangeMember::promote(self.name), self.force);
        let promoted = carry_out(globals, &change.call()).await?;
        if promoted.is_some_and(|member| member.awaited) {
            said(globals, "it is awaited: it becomes a voter when its node has come and caught up");
        }
        Ok(())
    }
}

/// Make a voter a learner, for good
#[derive(Debug, Args)]
#[command(after_help = "\
It goes on to follow and to serve, and does not count for the quorum any more. A leader hands
leadership over first.

Output: value (default): name, id and role; json (the API's object).

Examples:
  remex cluster demote n3
  remex cluster demote n3 --force")]
pub(crate) struct Demote {
    /// Name or id of the member
    name: String,
    /// Do it even if no reachable majority is left
    #[arg(long)]
    force: bool,
}

impl Demote {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let change = forced(ChangeMember::demote(self.name), self.force);
        carry_out(globals, &change.call()).await.map(drop)
    }
}

/// Let another voter lead
#[derive(Debug, Args)]
#[command(after_help = "\
Without a name, to the voter that is furthest ahead. Waits until it leads. Requests under way are
finished; new ones wait for the new leader.

Output: value (default): name and term; json (the API's object).

Examples:
  remex cluster transfer
  remex cluster transfer n2")]
pub(crate) struct Transfer {
    /// Name or id of the voter
    name: Option<String>,
}

impl Transfer {
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Value, Format::Json])?;
        let mut transfer = TransferOptions::new();
        if let Some(name) = self.name {
            transfer = transfer.to(name);
        }
        let session = Session::open(globals)?;
        let timeout = globals.timeout_or(CHANGE_TIMEOUT);
        let answer = session.send_within(&transfer.call(), timeout).await?;
        if format == Format::Json {
            return output::document(&answer.body);
        }
        let Leader { leader, name, term } = answer.json()?;
        output::line(&format!("{} leads in term {term}", name.unwrap_or(leader)))
    }
}

fn forced(change: ChangeMember, force: bool) -> ChangeMember {
    if force { change.force() } else { change }
}

/// Sends a change and prints the member that it is about. Returns it, unless the API's object was
/// asked for.
async fn carry_out(globals: &Globals, call: &Call) -> Result<Option<Member>, Failure> {
    let format = output::choose(globals.output, &[Format::Value, Format::Json])?;
    let session = Session::open(globals)?;
    let answer = session.send_within(call, globals.timeout_or(CHANGE_TIMEOUT)).await?;
    if format == Format::Json {
        output::document(&answer.body)?;
        return Ok(None);
    }
    let member: Member = answer.json()?;
    let name = output::on_a_line(&member.name, 80);
    output::line(&format!("{name} {} {}", member.id, member.role))?;
    Ok(Some(member))
}

fn said(globals: &Globals, text: &str) {
    if !globals.quiet {
        output::note(text);
    }
}
