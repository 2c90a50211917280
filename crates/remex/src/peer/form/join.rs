//! Coming into a cluster that is there already: asking any of its members, or waiting to be
//! invited.

use std::io;
use std::time::Duration;

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
        let mut complaint = String::new();
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
                    self.ask_round(all, Some(*cluster), &phase, &mut complaint).await?;
                    PAUSE
                }
                // Without a number it only finds out what became of the promise.
                Phase::Promised { .. } => {
                    let expect = expect.unwrap_or(usize::MAX);
                    self.found_round(addresses, expect, &mut complaint).await?;
                    found::PAUSE
                }
                Phase::Fresh => match expect {
                    Some(expect) => {
                        self.found_round(addresses, expect, &mut complaint).await?;
                        found::PAUSE
                    }
                    None if !addresses.is_empty() => {
                        self.ask_round(addresses.iter(), None, &phase, &mut complaint).await?;
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

    /// Asks one after the other to be taken in, until one does. The same complaint is not repeated
    /// while it lasts.
    pub(super) async fn ask_round(
        &self,
        addresses: impl Iterator<Item = &String>,
        only: Option<ClusterId>,
        phase: &Phase,
        complaint: &mut String,
    ) -> Result<(), OpenError> {
        let mut reasons = Vec::new();
        for address in addresses.filter(|address| **address != self.peer_address) {
            match self.ask_in(address, only).await {
                Ok(cluster) => {
                    let member = Phase::Member { cluster, founders: Vec::new() };
                    if self.change(phase, member)? {
                        tracing::info!(%cluster, through = %address, "joined a cluster");
                    }
                    return Ok(());
                }
                Err(reason) => reasons.push(format!("{address}: {reason}")),
            }
        }
        let text = reasons.join("; ");
        if text != *complaint {
            tracing::warn!(reason = %text, "cannot join yet; keeps asking");
            *complaint = text;
        }
        Ok(())
    }

    /// Asks to be taken in at an address; if the leader is elsewhere, there.
    async fn ask_in(&self, address: &str, only: Option<ClusterId>) -> Result<ClusterId, String> {
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
                    return Err(match error.code {
                        ErrorCode::NotReady => format!("{}{hint}", error.detail),
                        _ => format!("refused: {}{hint}", error.detail),
                    });
                }
                other => return Err(format!("it answered with {other:?}")),
            }
        }
        Err("the members do not agree on who leads".to_owned())
    }
}

fn why(error: &NoAnswer) -> String {
    match error.source.kind() {
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}
