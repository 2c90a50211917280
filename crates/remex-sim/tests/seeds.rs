//! Seeds that must be clean, seeds that must repeat themselves, and bugs that must be found.

use remex_sim::{Campaign, Plant, Summary, run};

const THREADS: usize = 2;

/// Seeds within which every planted bug must be found.
const FOUND_WITHIN: u64 = 1_000;

fn campaign(first: u64, seeds: u64, plant: Option<Plant>) -> Summary {
    Campaign { seeds: first..first + seeds, threads: THREADS, plant }.run(|_| {})
}

/// The shipped code breaks no invariant, becomes well again, and its histories are linearizable;
/// and every fault that is planned does happen.
#[test]
fn seeds_are_clean_and_meet_every_fault() {
    let summary = campaign(0, 1_000, None);
    if let Some(report) = &summary.failed {
        let violation = report.violation.as_ref().unwrap();
        panic!("seed {}: {violation}\nreplay: cargo xtask sim {0} --trace", report.seed);
    }
    for (name, count) in summary.coverage.counts() {
        assert!(count > 0, "`{name}` never happened; all counts:\n{}", summary.coverage);
    }
    assert!(summary.operations > 50_000, "only {} operations were checked", summary.operations);
}

/// One seed is one run, bit for bit; another seed is another.
#[test]
fn a_seed_replays_bit_for_bit() {
    let mut hashes = Vec::new();
    for seed in 1_000..1_040 {
        let (first, second) = (run(seed, None, None), run(seed, None, None));
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed} is two runs");
        assert_eq!(first.coverage, second.coverage, "seed {seed} is two runs");
        hashes.push(first.trace_hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 40, "different seeds are different runs");
}

/// A run that is read along is the same run.
#[test]
fn printing_changes_nothing() {
    let lines = Box::new(std::io::sink());
    assert_eq!(run(7, None, Some(lines)).trace_hash, run(7, None, None).trace_hash);
}

fn must_be_found(plant: Plant) {
    let summary = campaign(0, FOUND_WITHIN, Some(plant));
    assert!(summary.failed.is_some(), "{plant} was not found in {FOUND_WITHIN} seeds");
}

#[test]
fn a_follower_that_acknowledges_before_its_sync_is_found() {
    must_be_found(Plant::FollowerAcksUnsynced);
}

#[test]
fn a_leader_that_counts_itself_before_its_sync_is_found() {
    must_be_found(Plant::LeaderCountsUnsynced);
}

#[test]
fn a_vote_that_is_not_synced_is_found() {
    must_be_found(Plant::VoteNotSynced);
}

#[test]
fn a_read_without_a_quorum_is_found() {
    must_be_found(Plant::ReadWithoutQuorum);
}

#[test]
fn a_proposal_that_is_proposed_again_after_its_time_is_found() {
    must_be_found(Plant::ExpiredProposedAgain);
}

#[test]
fn a_client_that_is_wrongly_told_of_no_effect_is_found() {
    must_be_found(Plant::ExpiredToldNotApplied);
}

#[test]
fn an_answer_to_the_wrong_client_is_found() {
    must_be_found(Plant::SessionIgnored);
}

#[test]
fn a_recovery_that_cuts_too_much_is_found() {
    must_be_found(Plant::TailCutTooFar);
}

#[test]
fn a_session_that_is_used_twice_is_found() {
    must_be_found(Plant::SessionReused);
}

#[test]
fn a_log_that_is_trimmed_too_far_is_found() {
    must_be_found(Plant::TrimmedTooFar);
}

#[test]
fn a_learner_that_counts_for_the_majority_is_found() {
    must_be_found(Plant::LearnerCounts);
}

#[test]
fn a_commit_index_that_is_not_kept_is_found() {
    must_be_found(Plant::CommitNotKept);
}

#[test]
fn a_snapshot_without_request_keys_is_found() {
    must_be_found(Plant::RequestsLeftOut);
}

#[test]
fn a_snapshot_with_the_wrong_members_is_found() {
    must_be_found(Plant::SnapshotOfOtherMembers);
}

#[test]
fn a_snapshot_that_forgets_the_end_of_the_log_is_found() {
    must_be_found(Plant::SnapshotForgetsTail);
}

#[test]
fn an_older_disk_that_is_admitted_is_found() {
    must_be_found(Plant::OldDiskAdmitted);
}

#[test]
fn a_wiped_node_that_keeps_its_id_is_found() {
    must_be_found(Plant::WipedKeepsId);
}

#[test]
fn a_removed_node_that_is_not_told_is_found() {
    must_be_found(Plant::RemovedNotTold);
}
