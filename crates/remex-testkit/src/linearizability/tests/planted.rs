//! Mistakes planted by hand, and their innocent neighbors.

use super::super::{check, check_revisions};
use super::*;

/// The history must fail, and the report must name the key and mark what does not fit.
fn caught(history: &[Event]) -> String {
    let violation = check(history).expect_err("the history is impossible");
    let report = violation.to_string();
    assert!(report.starts_with("key \"k\" is not linearizable"), "{report}");
    assert!(report.contains("<- does not fit"), "{report}");
    report
}

fn legal(history: &[Event]) {
    if let Err(violation) = check(history) {
        panic!("{violation}");
    }
}

#[test]
fn a_stale_read_is_caught() {
    let history = [
        event(1, (0, 1), put("a"), ACKED),
        event(1, (2, 3), put("b"), ACKED),
        event(2, (4, 5), Op::Get, found("a")),
    ];
    caught(&history);
    // While the second write was under way, either answer was right.
    let mut overlapping = history;
    overlapping[1].return_at = Some(5);
    legal(&overlapping);
}

#[test]
fn reads_that_go_back_in_time_are_caught() {
    let history = [
        event(1, (0, 1), put("a"), ACKED),
        event(1, (2, 9), put("b"), ACKED),
        event(2, (3, 4), Op::Get, found("b")),
        event(3, (5, 6), Op::Get, found("a")),
    ];
    caught(&history);
}

#[test]
fn a_lost_write_is_caught() {
    caught(&[event(1, (0, 1), put("a"), ACKED), event(2, (2, 3), Op::Get, ABSENT)]);
    // A write that nobody acknowledged may be lost.
    legal(&[event(1, (0, 1), put("a"), Outcome::Unknown), event(2, (2, 3), Op::Get, ABSENT)]);
}

#[test]
fn a_write_applied_twice_is_caught() {
    let twice = [
        event(1, (0, 1), put("a"), ACKED),
        event(2, (2, 3), put("b"), ACKED),
        event(3, (4, 5), Op::Get, found("b")),
        event(3, (6, 7), Op::Get, found("a")),
    ];
    caught(&twice);
    let mut unknown_once = twice;
    unknown_once[0].result = Outcome::Unknown;
    legal(&unknown_once);
    let seen_twice = [
        event(1, (0, 1), put("a"), Outcome::Unknown),
        event(3, (2, 3), Op::Get, found("a")),
        event(2, (4, 5), put("b"), ACKED),
        event(3, (6, 7), Op::Get, found("a")),
    ];
    caught(&seen_twice);
}

#[test]
fn a_value_that_nobody_wrote_is_caught() {
    let report =
        caught(&[event(1, (0, 1), put("a"), ACKED), event(2, (2, 3), Op::Get, found("x"))]);
    assert!(report.contains("nothing can have written \"x\""), "{report}");
}

#[test]
fn a_value_from_the_future_is_caught() {
    caught(&[event(2, (0, 1), Op::Get, found("a")), event(1, (2, 3), put("a"), ACKED)]);
}

#[test]
fn an_unknown_write_may_show_up_late_or_never() {
    let late = [
        event(1, (0, 1), put("a"), Outcome::Unknown),
        event(2, (2, 3), put("b"), ACKED),
        event(2, (4, 5), Op::Get, found("b")),
        event(2, (6, 7), Op::Get, found("a")),
    ];
    legal(&late);
    let mut too_early = late;
    too_early[0].call_at = 8;
    too_early[0].return_at = None;
    caught(&too_early);
}

#[test]
fn a_failed_write_must_never_show_up() {
    let history =
        [event(1, (0, 1), put("a"), Outcome::Failed), event(2, (2, 3), Op::Get, found("a"))];
    let report = caught(&history);
    assert!(report.contains("failed"), "{report}");
    legal(&[event(1, (0, 1), put("a"), Outcome::Failed), event(2, (2, 3), Op::Get, ABSENT)]);
}

#[test]
fn a_refusal_that_had_to_succeed_is_caught() {
    let refused = [
        event(1, (0, 1), put("a"), ACKED),
        event(2, (2, 3), swap(Some("a"), Some("b")), Outcome::Refused),
    ];
    caught(&refused);
    caught(&[event(2, (2, 3), swap(None, Some("b")), Outcome::Refused)]);
    let mut with_reason = refused.to_vec();
    with_reason.push(event(3, (0, 9), put("c"), Outcome::Unknown));
    legal(&with_reason);
}

#[test]
fn a_success_that_had_to_be_refused_is_caught() {
    let two_winners = [
        event(1, (0, 5), swap(None, Some("a")), ACKED),
        event(2, (0, 5), swap(None, Some("b")), ACKED),
    ];
    caught(&two_winners);
    let mut with_removal = two_winners.to_vec();
    with_removal.push(event(3, (0, 5), Op::Delete, done(true)));
    legal(&with_removal);
}

#[test]
fn an_unknown_exchange_cannot_act_on_what_was_never_there() {
    let history = [
        event(1, (0, 1), put("a"), ACKED),
        event(2, (2, 3), swap(Some("z"), Some("b")), Outcome::Unknown),
        event(3, (4, 5), Op::Get, found("b")),
    ];
    caught(&history);
}

#[test]
fn what_a_write_tells_of_the_past_must_be_true() {
    let existed = [event(1, (0, 1), put("a"), done(true))];
    caught(&existed);
    let created_twice =
        [event(1, (0, 1), put("a"), done(false)), event(1, (2, 3), put("b"), done(false))];
    caught(&created_twice);
    let nothing_to_delete =
        [event(1, (0, 1), put("a"), done(false)), event(1, (2, 3), Op::Delete, done(false))];
    caught(&nothing_to_delete);
    let deleted_twice = [
        event(1, (0, 1), put("a"), done(false)),
        event(1, (2, 5), Op::Delete, done(true)),
        event(2, (2, 5), Op::Delete, done(true)),
    ];
    caught(&deleted_twice);
    let deleted_once = [
        event(1, (0, 1), put("a"), done(false)),
        event(1, (2, 5), Op::Delete, done(true)),
        event(2, (2, 5), Op::Delete, done(false)),
    ];
    legal(&deleted_once);
}

#[test]
fn keys_are_judged_apart() {
    let mut history =
        vec![event(1, (0, 1), put("a"), ACKED), event(2, (2, 3), Op::Get, found("a"))];
    let mut other = event(2, (2, 3), Op::Get, ABSENT);
    other.key = "other".to_owned();
    history.push(other);
    legal(&history);
}

#[test]
fn the_report_shows_only_what_matters() {
    let mut history = Vec::new();
    for n in 0..500 {
        let at = n * 10;
        history.push(event(1, (at, at + 1), put(&format!("v{n}")), ACKED));
        history.push(event(2, (at + 2, at + 3), Op::Get, found(&format!("v{n}"))));
    }
    history[601].result = found("v299");
    let violation = check(&history).expect_err("a stale read was planted");
    // The write whose effect was missed and the stale read say it all.
    assert!(violation.window.len() <= 2, "{violation}");
    assert!(violation.window.contains(&history[601]), "{violation}");
    assert_eq!(violation.window[violation.stuck[0]], history[601], "{violation}");
}

#[test]
#[should_panic(expected = "returns before it is called")]
fn a_history_that_was_recorded_wrongly_has_no_verdict() {
    assert!(check(&[event(1, (2, 1), put("a"), ACKED)]).is_ok());
}

fn at(revision: u64) -> Outcome {
    Outcome::written(revision)
}

fn seen(value: &str, revision: u64) -> Outcome {
    Outcome::found(value, Some(revision))
}

fn contradicts(history: &[Event], claim: &str) {
    let violation = check_revisions(history).expect_err("the history contradicts itself");
    assert!(violation.to_string().contains(claim), "{violation}");
}

#[test]
fn one_revision_for_two_commands_is_caught() {
    let mut history = [event(1, (0, 9), put("a"), at(2)), event(2, (0, 9), put("b"), at(2))];
    contradicts(&history, "two commands");
    // The parts of one batch share a revision.
    history[1].client = 1;
    history[1].key = "other".to_owned();
    assert!(check_revisions(&history).is_ok());
}

#[test]
fn revisions_against_the_order_of_time_are_caught() {
    let history = [event(1, (0, 1), put("a"), at(3)), event(2, (2, 3), put("b"), at(2))];
    contradicts(&history, "called after");
    let overlapping = [event(1, (0, 2), put("a"), at(3)), event(2, (2, 3), put("b"), at(2))];
    assert!(check_revisions(&overlapping).is_ok());
    let seen_before = [
        event(1, (0, 9), put("a"), at(7)),
        event(2, (1, 2), Op::Get, seen("a", 7)),
        event(3, (3, 4), put("b"), at(6)),
    ];
    contradicts(&seen_before, "called after");
}

#[test]
fn a_read_must_find_what_its_revision_wrote() {
    let history = [
        event(1, (0, 1), put("a"), at(2)),
        event(1, (2, 3), put("b"), at(3)),
        event(2, (4, 5), Op::Get, seen("a", 3)),
    ];
    contradicts(&history, "wrote something else");
    contradicts(&[event(2, (4, 5), Op::Get, seen("a", 3))], "nothing put it");
    // A write that was applied again after another, or alone.
    let twice = [event(1, (0, 1), put("a"), at(2)), event(2, (2, 3), Op::Get, seen("a", 3))];
    contradicts(&twice, "written at revision 2");
    let too_soon = [event(2, (0, 1), Op::Get, seen("a", 2)), event(1, (2, 3), put("a"), at(2))];
    contradicts(&too_soon, "before it was called");
}

#[test]
fn a_read_of_an_old_revision_is_caught() {
    let stale = [
        event(1, (0, 1), put("a"), at(2)),
        event(1, (2, 3), put("b"), at(3)),
        event(2, (4, 5), Op::Get, seen("a", 2)),
    ];
    contradicts(&stale, "although revision 3");
    let back = [
        event(1, (0, 1), put("a"), at(2)),
        event(1, (2, 9), put("b"), at(3)),
        event(2, (3, 4), Op::Get, seen("b", 3)),
        event(2, (5, 6), Op::Get, seen("a", 2)),
    ];
    contradicts(&back, "although revision 3");
}

#[test]
fn a_key_does_not_vanish_by_itself() {
    let history = [
        event(1, (0, 1), Op::Delete, done(false)),
        event(1, (2, 3), put("a"), at(2)),
        event(2, (4, 5), Op::Get, ABSENT),
    ];
    contradicts(&history, "nothing removed");
    let mut removed = history.to_vec();
    removed.push(event(3, (3, 9), Op::Delete, at(3)));
    assert!(check_revisions(&removed).is_ok());
    removed[3].result = Outcome::Unknown;
    assert!(check_revisions(&removed).is_ok());
    removed[3].call_at = 6;
    contradicts(&removed, "nothing removed");
}

#[test]
fn an_unknown_write_has_one_revision_once_it_is_seen() {
    let history = [
        event(1, (0, 1), put("a"), Outcome::Unknown),
        event(2, (2, 3), Op::Get, seen("a", 2)),
        event(2, (4, 5), Op::Get, seen("a", 2)),
    ];
    assert!(check_revisions(&history).is_ok());
    let mut twice = history.to_vec();
    twice[2].result = seen("a", 3);
    contradicts(&twice, "two revisions");
    let mut taken = history.to_vec();
    taken.push(event(3, (0, 1), put("b"), at(2)));
    taken[3].key = "other".to_owned();
    contradicts(&taken, "two commands");
}
