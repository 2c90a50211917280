//! `remex cluster recover`: a cluster of one node out of a survivor, when the majority is lost.

use std::path::PathBuf;

use clap::Args;
use remex::offline::{self, Founded, Survivor};

use crate::cli::Globals;
use crate::exit::Failure;
use crate::output::{self, Format};

/// Found a new cluster from a survivor, when the majority is lost for good
#[derive(Debug, Args)]
#[command(after_help = "\
Only if more than half of the voters can never come back. The node must be stopped. Its data
becomes a cluster of its own with a new cluster id; what it was is kept beside it. Writes that only
the lost members held are lost. Choose the survivor with the highest last entry; run this on one
member only. The other survivors join the new cluster with empty data directories.

Prints what may be lost, and asks. Exit code 9 if it was not confirmed, or if there is nothing to
recover.
Output: value (default): the new cluster's id; json.

Examples:
  remex cluster recover --data-dir /var/lib/remex
  remex cluster recover --data-dir /var/lib/remex --yes")]
pub(crate) struct Recover {
    /// Data directory of the survivor
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl Recover {
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        let format = output::choose(globals.output, &[Format::Value, Format::Json])?;
        match offline::inspect(&self.data_dir)? {
            Some(survivor) => ask(&survivor, globals)?,
            None => output::note("A recovery was cut short here; it is finished now."),
        }
        let founded = offline::recover(&self.data_dir)?;
        if format == Format::Json {
            return output::line(&crate::commands::founded_json(&founded));
        }
        output::line(&founded.cluster.to_string())?;
        if !globals.quiet {
            output::note(&next(&founded, &self.data_dir.display().to_string()));
        }
        Ok(())
    }
}

/// Says what is about to happen, and asks unless that is not wanted.
fn ask(survivor: &Survivor, globals: &Globals) -> Result<(), Failure> {
    for line in consequences(survivor) {
        output::note(&line);
    }
    if globals.yes {
        return Ok(());
    }
    let word = survivor.cluster.to_string();
    let question = format!("Type the id of the lost cluster ({word}) to go on: ");
    output::confirm(&question, &[&word], "nothing was changed")
}

/// What is about to happen.
fn consequences(survivor: &Survivor) -> Vec<String> {
    let Survivor { name, node, cluster, others, term, commit, last, revision } = survivor;
    let unsure = match last.get().saturating_sub(commit.get()) {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    vec![
        format!("Node {name} ({node}) of cluster {cluster} was last in term {term}."),
        format!("It holds the store at revision {revision}:"),
        format!("  kept  everything up to entry {commit}, which it knows to be committed"),
        format!("  kept  {unsure} behind that, which may never have been acknowledged"),
        "  LOST  acknowledged writes that only the other members hold".to_owned(),
        format!(
            "The other members ({others}) are no part of the new cluster. Never start them with \
             their old data again: they would serve the old cluster beside it."
        ),
    ]
}

fn next(founded: &Founded, data_dir: &str) -> String {
    let Founded { cluster, name, revision, .. } = founded;
    format!(
        "{name} is the only member of the new cluster {cluster}, at revision {revision}.\n\
         Start it: remex serve --name {name} --data-dir {data_dir}\n\
         Then let others join with empty data directories: remex serve --join ADDR"
    )
}

#[cfg(test)]
mod tests {
    use remex_model::{ClusterId, Index, NodeId, Revision, Term};

    use super::*;

    #[test]
    fn what_may_be_lost_is_said() {
        let survivor = Survivor {
            name: "n1".to_owned(),
            node: NodeId(1),
            cluster: ClusterId(0xc1),
            others: vec!["n2".to_owned(), "n3".to_owned()],
            term: Term(7),
            commit: Index(90),
            last: Index(95),
            revision: Revision(80),
        };
        let text = consequences(&survivor).join("\n");
        for part in
            ["00000000000000c1", "revision 80", "up to entry 90", "5 entries", "LOST", "n2, n3"]
        {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }
}
