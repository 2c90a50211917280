//! An acknowledged write is in the applied state, with the outcome that its client was told (the
//! promise of the product).

use std::collections::BTreeMap;

use remex_model::{Index, NodeId, Outcome, ProposalId, Revision};

use crate::violation::Check;

const NAME: &str = "acknowledged";

/// What came of each proposal, as the first node that applied it had it.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(BTreeMap<ProposalId, (Index, bool, Revision)>);

impl Acknowledged {
    pub(crate) fn applied(&mut self, index: Index, outcomes: &[(ProposalId, Outcome)]) {
        for (id, outcome) in outcomes {
            let (written, revision) = summary(outcome);
            self.0.insert(*id, (index, written, revision));
        }
    }

    /// A node that has applied everything up to `applied` answers a client.
    pub(crate) fn check(
        &self,
        node: NodeId,
        id: ProposalId,
        outcome: &Outcome,
        applied: Index,
    ) -> Check {
        let Some(&(index, written, revision)) = self.0.get(&id) else {
            return Err((NAME, format!("node {node} acknowledges {id:?}, which nobody applied")));
        };
        if index > applied || (written, revision) != summary(outcome) {
            let detail = format!(
                "node {node} at entry {applied} answers {id:?} with {outcome:?}; entry {index} \
                 made it written: {written}, revision {revision}"
            );
            return Err((NAME, detail));
        }
        Ok(())
    }
}

fn summary(outcome: &Outcome) -> (bool, Revision) {
    match outcome {
        Outcome::Written(written) => (true, written.revision),
        Outcome::Refused(refusal) => (false, refusal.revision),
        Outcome::KeyReused { revision } => (false, *revision),
    }
}
