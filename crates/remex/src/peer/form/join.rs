//! Coming into a cluster that is there already: asking any of its members, or waiting to be
//! invited.

use std::io;
use std::time::{Duration, Instant};

use remex_model::{ClusterId, ErrorCode};

use super::{Former, Founded, found, was_removed};
use crate::OpenError;
use crate::identity::Phase;
use crate::peer::ask::{NoAnswer, ask};
use crate::peer::question::{Question, Reply};

/// Pause between two rounds of asking.
const PAUSE: Duration = Duration::from_millis(500);

/// Pause of a node that can only be invited: another node's question ends it.
const FOREVER: Duration = Duration::from_secs(3600);

/// Longest time for being taken in: the leader has to commit it.
const JOIN_LIMIT: Duration = Duration::from_secs(15);

/// How often a question is passed on to another node that is said to lead.
const HOPS_MAX: usize = 4;

/// How long a fresh node is told that a member of its name is alive before it believes it. A node
/// that has lost its disk is told so for some seconds, because of its old self.
const NAMESAKE: Duration = Duration::from_secs(10);

/// Why a node is not taken in.
#[derive(Debug)]
struct NotYet {
    reason: String,
    /// Whether a member of this node's name is alive.
    namesake: bool,
}

impl From<String> for NotYet {
    fn from(reason: String) -> Self {
        Self { reason, namesake: false }
    }
}

/// What a node that asks has been told so far.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The last complaint: the same is not repeated while it lasts.
    pub(super) complaint: String,
    /// Since when it has been told of a living member of its name.
    namesake: Option<Instant>,
}

impl Asked {
    /// Notes whether the node was told of a living member of its name. The error is final: if it
    /// went on asking, it would take that member's place the next time that one is away.
    fn note_namesake(&mut self, told: Option<&NotYet>) -> Result<(), OpenError> {
        let Some(told) = told else {
            self.namesake = None;
            return Ok(());
        };
        match self.namesake.get_or_insert_with(Instant::now).elapsed() > NAMESAKE {
            true => Err(OpenError::Identity(told.reason.clone())),
            false => Ok(()),
        }
    }
}

impl Former {
    /// Waits until this node belongs to a cluster. A node that has come so far already goes on as
    /// what it is, whatever the settings say. Otherwise it founds a cluster with the other nodes of
    /// the list if it is told how many to `expect`, or asks those to take it in; without a list it
    /// founds one of its own, or (with `wait`) waits to be invited.
    ///
    /// The node's parts must not run: an invitation for which they were stopped is followed here.
    pub(crate) async fn enter_cluster(
        &self,
        addresses: &[String],
        expect: Option<usize>,
        wait: bool,
    ) -> Result<Founded, OpenError> {
        self.follow_invitation()?;
        let mut asked = Asked::default();
        loop {
            let mut entered = self.entered.subscribe();
            let phase = self.phase();
            let pause = match &phase {
                Phase::Member { cluster, founders } => {
                    return Ok(Founded { cluster: *cluster, members: founders.clone() });
                }
                Phase::Removed { cluster } => {
                    let error = was_removed(&self.me().name, *cluster);
                    let hint = error.hint.unwrap_or_default();
                    return Err(OpenError::Removed(format!("{}; {hint}", error.detail)));
                }
                Phase::Returning { cluster, addresses: known } => {
                    let all = known.iter().chain(addresses);
                    self.ask_round(all, Some(*cluster), &phase, &mut asked).await?;
                    PAUSE
                }
                // Without a number it only finds out what became of the promise.
                Phase::Promised { .. } => {
                    let expect = expect.unwrap_or(usize::MAX);
                    self.found_round(addresses, expect, &mut asked).await?;
                    found::PAUSE
                }
                Phase::Fresh => match expect {
                    Some(expect) => {
                        self.found_round(addresses, expect, &mut asked).await?;
                        found::PAUSE
                    }
                    None if !addresses.is_empty() => {
                        self.ask_round(addresses.iter(), None, &phase, &mut asked).await?;
                        PAUSE
                    }
                    None if !wait => return self.found_alone(),
                    None => FOREVER,
                },
            };
            // An end before the pause is over means that a question of another node changed it.
            drop(tokio::time::timeout(pause, entered.changed()).await);
        }
    }

    /// Asks one after the other to be taken in, until one does. A fresh node gives up once it is
    /// certain that another node bears its name.
    pub(super) async fn ask_round(
        &self,
        addresses: impl Iterator<Item = &String>,
        only: Option<ClusterId>,
        phase: &Phase,
        asked: &mut Asked,
    ) -> Result<(), OpenError> {
        let mut refusals = Vec::new();
        for address in addresses.filter(|address| **address != self.peer_address) {
            match self.ask_in(address, only).await {
                Ok(cluster) => {
                    let member = Phase::Member { cluster, founders: Vec::new() };
                    if self.change(phase, member)? {
                        tracing::info!(%cluster, through = %address, "joined a cluster");
                    }
                    return Ok(());
                }
                Err(refusal) => {
                    let reason = format!("{address}: {}", refusal.reason);
                    refusals.push(NotYet { reason, ..refusal });
                }
            }
        }
        let reasons: Vec<&str> = refusals.iter().map(|refusal| &*refusal.reason).collect();
        let text = reasons.join("; ");
        if text != asked.complaint {
            tracing::warn!(reason = %text, "cannot join yet; keeps asking");
            asked.complaint = text;
        }
        if *phase != Phase::Fresh {
            return Ok(());
        }
        asked.note_namesake(refusals.iter().find(|refusal| refusal.namesake))
    }

    /// Asks to be taken in at an address; if the leader is elsewhere, there.
    async fn ask_in(&self, address: &str, only: Option<ClusterId>) -> Result<ClusterId, NotYet> {
        let mut address = address.to_owned();
        for _ in 0..HOPS_MAX {
            let question = Question::Join { member: self.me(), cluster: only };
            let asked = ask(&self.hello(), &address, None, &question, JOIN_LIMIT).await;
            let (_, reply) = asked.map_err(|error| why(&error))?;
            match reply {
                Reply::TakenIn { cluster } if only.is_none_or(|only| only == cluster) => {
                    return Ok(cluster);
                }
                Reply::Elsewhere { address: leader } => address = leader,
                Reply::Denied(error) => {
                    let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                    let reason = match error.code {
                        ErrorCode::NotReady => format!("{}{hint}", error.detail),
                        _ => format!("refused: {}{hint}", error.detail),
                    };
                    let namesake = error.code == ErrorCode::MemberExists;
                    return Err(NotYet { reason, namesake });
                }
                other => return Err(format!("it answered with {other:?}").into()),
            }
        }
        Err("the members do not agree on who leads".to_owned().into())
    }
}

fn why(error: &NoAnswer) -> String {
    match error.source.kind() {
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}
