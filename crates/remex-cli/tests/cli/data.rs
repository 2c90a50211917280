//! The data and cluster commands against a scripted server.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::fake::{Fake, Step, reply};
use crate::{remex, run, run_with_input};

const WRITTEN: &str = "{\"key\":\"a\",\"revision\":42,\"create_revision\":2,\"version\":9}\n";
const MISSING: &str = r#"{"code":"key_not_found","detail":"the key `a` does not exist",
    "outcome":"not_applied"}"#;
const NO_LEADER: &str = r#"{"code":"no_leader","detail":"n2 knows no leader",
    "hint":"Run: remex status","outcome":"not_applied","retryable":true}"#;

#[test]
fn get_writes_exactly_the_bytes() {
    let fake = Fake::start(vec![reply("200 OK", "{ \"n\": 1.50 }")]);
    run(&["get", "a/b", "-e", &fake.url]).expect(0, "{ \"n\": 1.50 }");
    assert!(fake.seen()[0].starts_with("GET /v1/kv/a/b HTTP/1.1\r\n"));
}

#[test]
fn get_takes_revision_consistency_and_meta() {
    let object = "{\"key\":\"a\",\"value\":1}\n";
    let fake = Fake::start(vec![reply("200 OK", object), reply("200 OK", object)]);
    let arguments = ["get", "a", "--rev", "7", "--consistency", "stale", "-e", &fake.url];
    run(&[&arguments[..], &["-o", "json"]].concat()).expect(0, object);
    // Nobody looks at a table in a pipe.
    run(&["get", "a", "--meta", "-e", &fake.url]).expect(0, object);
    let seen = fake.seen();
    assert!(seen[0].starts_with("GET /v1/kv/a?consistency=stale&rev=7&meta HTTP"), "{}", seen[0]);
    assert!(seen[1].starts_with("GET /v1/kv/a?meta HTTP"), "{}", seen[1]);
}

#[test]
fn a_missing_key_is_3_with_nothing_on_standard_output() {
    let fake = Fake::start(vec![reply("404 Not Found", MISSING)]);
    let ran = run(&["get", "a", "-e", &fake.url]);
    ran.expect(3, "");
    assert_eq!(ran.stderr, "error: the key `a` does not exist\n");
}

#[test]
fn put_takes_its_value_from_argument_file_and_input() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("value");
    std::fs::write(&file, "from a file").unwrap();
    let at_file = format!("@{}", file.display());
    let written = || reply("200 OK", WRITTEN);
    let fake = Fake::start(vec![written(), written(), written(), written()]);
    run(&["put", "a", "-5", "-e", &fake.url]).expect(0, "revision 42\n");
    run(&["put", "a", &at_file, "-e", &fake.url, "--if-rev", "41"]).expect(0, "revision 42\n");
    let piped = run_with_input(&["put", "a", "-", "-e", &fake.url, "--if-absent"], b"piped\n");
    piped.expect(0, "revision 42\n");
    run(&["put", "a", "1", "--raw", "-o", "json", "-e", &fake.url]).expect(0, WRITTEN);

    let seen = fake.seen();
    assert!(seen[0].starts_with("PUT /v1/kv/a ") && seen[0].ends_with("\r\n\r\n-5"));
    assert!(seen[1].contains("if-match: \"41\"\r\n") && seen[1].ends_with("from a file"));
    assert!(seen[2].contains("if-none-match: *\r\n") && seen[2].ends_with("piped\n"));
    assert!(seen[3].contains("content-type: application/octet-stream\r\n"));
    assert!(seen.iter().all(|request| request.contains("idempotency-key: rx-")));
}

#[test]
fn a_file_that_cannot_be_read_is_a_usage_error() {
    let ran = run(&["put", "a", "@/nonexistent/file"]);
    ran.expect(2, "");
    assert!(ran.stderr.contains("/nonexistent/file"), "{}", ran.stderr);
}

#[test]
fn a_condition_that_does_not_hold_is_4() {
    let body = r#"{"code":"revision_mismatch","detail":"at 41, not 40","hint":"read again"}"#;
    let fake = Fake::start(vec![reply("412 Precondition Failed\r\netag: \"41\"", body)]);
    let ran = run(&["put", "a", "1", "--if-rev", "40", "-e", &fake.url]);
    ran.expect(4, "");
    assert_eq!(ran.stderr, "error: at 41, not 40\nhint: read again\n");
}

#[test]
fn unavailable_is_6_and_unknown_is_7() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ran = run(&["put", "a", "1", "--retries", "0", "-e", &nobody]);
    ran.expect(6, "");
    assert!(ran.stderr.starts_with(&format!("error: cannot reach http://{nobody}: ")));
    assert_eq!(ran.stderr.lines().count(), 2);

    let fake = Fake::start(vec![reply("503 Service Unavailable", NO_LEADER), Step::HangUp]);
    let ran = run(&["put", "a", "1", "--retries", "0", "-e", &fake.url]);
    ran.expect(6, "");
    assert_eq!(ran.stderr, "error: n2 knows no leader\nhint: Run: remex status\n");
    let ran = run(&["put", "a", "1", "--retries", "0", "-e", &fake.url]);
    ran.expect(7, "");
    assert!(ran.stderr.contains("hint: the write may have been applied"), "{}", ran.stderr);
    fake.seen();
}

#[test]
fn a_write_is_repeated_with_the_same_key_after_a_lost_answer() {
    let fake = Fake::start(vec![Step::HangUp, reply("200 OK", WRITTEN)]);
    run(&["put", "a", "1", "-e", &fake.url]).expect(0, "revision 42\n");
    let seen = fake.seen();
    let key = |request: &str| {
        request.lines().find(|line| line.starts_with("idempotency-key: ")).map(str::to_owned)
    };
    assert_eq!(key(&seen[0]), key(&seen[1]));
    assert!(key(&seen[0]).is_some());
}

#[test]
fn deleting_a_prefix_without_a_terminal_needs_yes() {
    let counted = "{\"deleted\":12,\"dry_run\":true,\"revision\":5}\n";
    let deleted = "{\"deleted\":12,\"revision\":6}\n";
    let fake = Fake::start(vec![reply("200 OK", counted), reply("200 OK", deleted)]);
    let ran = run(&["del", "--prefix", "app/", "-e", &fake.url]);
    ran.expect(9, "");
    assert!(ran.stderr.contains("12 keys under 'app/'") && ran.stderr.contains("--yes"));
    run(&["del", "--prefix", "", "--yes", "-e", &fake.url]).expect(0, "deleted 12\n");
    let seen = fake.seen();
    assert!(seen[0].starts_with("DELETE /v1/kv?prefix=app%2F&dry_run=true HTTP"), "{}", seen[0]);
    assert!(seen[1].starts_with("DELETE /v1/kv?prefix=&all=true HTTP"), "{}", seen[1]);
}

#[test]
fn del_says_how_many() {
    let fake = Fake::start(vec![reply("200 OK", "{\"deleted\":0,\"revision\":5}\n")]);
    run(&["del", "a", "--if-rev", "4", "-e", &fake.url]).expect(0, "deleted 0\n");
    assert!(fake.seen()[0].contains("if-match: \"4\"\r\n"));
}

const PAGE_1: &str = "{\"revision\":9,\"items\":[{\"key\":\"a\",\"value\":1.0,\"revision\":2,\
    \"version\":1}],\"count\":2,\"next\":\"C1\"}\n";
const PAGE_2: &str = "{\"revision\":9,\"items\":[{\"key\":\"b\",\"value\":\"x\",\"revision\":3,\
    \"version\":1}],\"count\":2,\"next\":null}\n";

#[test]
fn ls_follows_the_pages() {
    for (arguments, want) in [
        (
            &[][..],
            "{\"key\":\"a\",\"value\":1.0,\"revision\":2,\"version\":1}\n\
            {\"key\":\"b\",\"value\":\"x\",\"revision\":3,\"version\":1}\n",
        ),
        (&["--keys"], "a\nb\n"),
        (&["-o", "value"], "a\nb\n"),
        (
            &["-o", "table"],
            "KEY  REVISION  VERSION  VALUE\na    2         1        1.0\n\
            b    3         1        \"x\"\n",
        ),
    ] {
        let fake = Fake::start(vec![reply("200 OK", PAGE_1), reply("200 OK", PAGE_2)]);
        run(&[&["ls", "p/", "-e", &fake.url], arguments].concat()).expect(0, want);
        let seen = fake.seen();
        assert!(seen[0].starts_with("GET /v1/kv?prefix=p%2F&limit=1000"), "{}", seen[0]);
        assert!(seen[1].contains("&cursor=C1 HTTP"), "{}", seen[1]);
    }
    let fake = Fake::start(vec![reply("200 OK", PAGE_1)]);
    run(&["ls", "-o", "json", "--limit", "1", "-e", &fake.url]).expect(0, PAGE_1);
    assert!(fake.seen()[0].starts_with("GET /v1/kv?prefix=&limit=1 HTTP"));
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    // More than a pipe holds, so that writing meets the closed end.
    let value = "x".repeat(1_000_000);
    let fake = Fake::start(vec![Step::Reply("200 OK", value)]);
    let mut command = remex(&["get", "a", "-e", &fake.url]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    child.wait().unwrap();
    assert_eq!(stderr, "");
    fake.seen();
}

#[test]
fn ctrl_c_is_130() {
    let fake = Fake::start(vec![Step::Silence]);
    let mut command = remex(&["get", "a", "-e", &fake.url, "--timeout", "1h"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    fake.wait_arrival();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    fake.seen();
}

#[test]
fn verbose_shows_the_request_as_curl() {
    let fake = Fake::start(vec![reply("200 OK", "1")]);
    let ran = run(&["-v", "get", "a b", "-e", &fake.url]);
    ran.expect(0, "1");
    assert_eq!(ran.stderr, format!("curl {}/v1/kv/a%20b\n", fake.url));
    fake.seen();
}

#[test]
fn endpoints_and_output_come_from_the_environment_unless_flags_say_otherwise() {
    let fake = Fake::start(vec![reply("200 OK", WRITTEN), reply("200 OK", WRITTEN)]);
    let mut command = remex(&["put", "a", "1"]);
    command.env("REMEX_ENDPOINTS", &fake.url).env("REMEX_OUTPUT", "json");
    assert_eq!(command.output().unwrap().stdout, WRITTEN.as_bytes());
    let mut command = remex(&["put", "a", "1", "-e", &fake.url, "-o", "value"]);
    command.env("REMEX_ENDPOINTS", "nonsense://").env("REMEX_OUTPUT", "json");
    assert_eq!(command.output().unwrap().stdout, b"revision 42\n");
    fake.seen();
}

fn cluster(reachable: usize, leader: bool, url: &str) -> String {
    let id = leader.then_some("a1");
    serde_json::json!({
        "id": "c1", "term": 7, "leader": id,
        "quorum": {"voters": 3, "reachable": reachable, "needed": 2, "margin": null},
        "members": [{"id": "a1", "name": "n1", "role": "voter", "leader": leader,
            "client_url": url, "peer_address": "h:2", "version": "0.1.0", "match_index": 9,
            "lag": 0, "last_contact_ms": 0}],
    })
    .to_string()
}

#[test]
fn status_asks_the_leader_and_says_what_may_fail() {
    let leader = Fake::start(vec![Step::Reply("200 OK", cluster(3, true, ""))]);
    let follower = Fake::start(vec![Step::Reply("200 OK", cluster(2, true, &leader.url))]);
    let ran = run(&["status", "-o", "table", "-e", &follower.url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout().contains("quorum   3 of 3 voters reachable; can lose 1 more\n"));
    assert!(ran.stdout().contains(&format!("seen by  {}\n", leader.url)), "{}", ran.stdout());
    leader.seen();
    follower.seen();
}

#[test]
fn status_without_a_quorum_is_8_and_still_prints_the_object() {
    let object = cluster(1, false, "");
    let fake = Fake::start(vec![Step::Reply("200 OK", object.clone())]);
    let ran = run(&["status", "-e", &fake.url]);
    ran.expect(8, &format!("{object}\n"));
    assert!(ran.stderr.contains("1 of 3 voters reachable, 2 needed"), "{}", ran.stderr);
    fake.seen();
}

#[test]
fn a_bench_of_nobody_measures_nothing_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap().to_string();
    drop(listener);
    let arguments = ["bench", "get", "--duration", "100ms", "--warmup", "0", "-e", &nobody];
    let ran = run(&arguments);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(ran.stdout()).unwrap();
    assert_eq!(report["ops"], 0);
    assert!(report["errors"]["unreachable"].as_u64().unwrap() > 0);
}
