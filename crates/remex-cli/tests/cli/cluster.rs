//! The commands about members, health and snapshots against a scripted server.

use std::fs;

use crate::fake::{Fake, Step, reply};
use crate::run;

const SHA256: &str = "9a52e4ccaaf7a745b59b003104fb6bb298a808579ca0b77cf0a1ff83d72e9a66";
const SNAPSHOT: &str = "200 OK\r\nremex-revision: 42\r\nrepr-digest: \
    sha-256=:mlLkzKr3p0W1mwAxBPtrspioCFecoLd88KH/g9cummY=:\r\n\
    content-disposition: attachment; filename=\"remex-c1-9.snapshot\"";
const BYTES: &str = "all there is";
const MEMBER: &str = r#"{"id":"04","name":"n4","role":"learner","leader":false,"client_url":"",
"peer_address":"h:2","version":null,"match_index":null,"lag":null,"last_contact_ms":null,"disk":null}
"#;

fn refusal(code: &str) -> String {
    format!(r#"{{"code":"{code}","detail":"told to","hint":"do that","outcome":"not_applied"}}"#)
}

#[test]
fn members_are_changed_by_name() {
    let ok = || reply("200 OK", MEMBER);
    let node = r#"{"id":"04","name":"n4","peer_address":"10.0.0.4:7481"}"#;
    let fake = Fake::start(vec![
        reply("202 Accepted", MEMBER),
        ok(),
        ok(),
        ok(),
        reply("200 OK", r#"{"leader":"02","name":"n2","term":8}"#),
        reply("200 OK", node),
        reply("202 Accepted", MEMBER),
    ]);
    let cluster = |arguments: &[&str]| run(&[&["cluster"], arguments, &["-e", &fake.url]].concat());
    let added = cluster(&["add", "10.0.0.4:7481", "--name", "n4"]);
    added.expect(0, "n4 04 learner\n");
    assert!(added.stderr.contains("becomes a voter"), "{}", added.stderr);
    cluster(&["promote", "n4", "-o", "json"]).expect(0, MEMBER);
    cluster(&["demote", "n4", "--force"]).expect(0, "n4 04 learner\n");
    cluster(&["remove", "n4", "-q"]).expect(0, "n4 04 learner\n");
    cluster(&["transfer", "n2"]).expect(0, "n2 leads in term 8\n");
    // The node is asked for its peer address.
    cluster(&["add", &fake.url, "--learner"]).expect(0, "n4 04 learner\n");
    let seen = fake.seen();
    for (request, start) in seen.iter().zip([
        "POST /v1/cluster/members HTTP",
        "POST /v1/cluster/members/n4/promote HTTP",
        "POST /v1/cluster/members/n4/demote?force=true HTTP",
        "DELETE /v1/cluster/members/n4 HTTP",
        "POST /v1/cluster/leader/transfer HTTP",
        "GET /v1/node HTTP",
        "POST /v1/cluster/members HTTP",
    ]) {
        assert!(request.starts_with(start), "{request}");
    }
    assert!(seen[0].ends_with(r#"{"name":"n4","peer_url":"10.0.0.4:7481"}"#), "{}", seen[0]);
    assert!(seen[6].ends_with(r#"{"peer_url":"10.0.0.4:7481","role":"learner"}"#), "{}", seen[6]);
}

#[test]
fn what_is_refused_has_its_exit_code() {
    for (status, code, exit) in [
        ("404 Not Found", "member_not_found", 3),
        ("409 Conflict", "would_lose_quorum", 9),
        ("409 Conflict", "change_in_progress", 1),
    ] {
        let fake = Fake::start(vec![Step::Reply(status, refusal(code))]);
        let ran = run(&["cluster", "remove", "n4", "-e", &fake.url]);
        ran.expect(exit, "");
        assert_eq!(ran.stderr, "error: told to\nhint: do that\n");
        fake.seen();
    }
    // A removal is not repeated: by then the name may be that of another node.
    let fake = Fake::start(vec![Step::HangUp]);
    run(&["cluster", "remove", "n4", "-e", &fake.url]).expect(7, "");
    assert_eq!(fake.seen().len(), 1);
}

#[test]
fn members_are_listed() {
    let list = format!("{{\"changing\":false,\"members\":[{MEMBER}]}}\n");
    let fake = Fake::start(vec![reply("200 OK", &list), reply("200 OK", &list)]);
    run(&["cluster", "members", "-e", &fake.url]).expect(0, &list);
    let ran = run(&["cluster", "members", "-o", "table", "-e", &fake.url]);
    assert!(ran.stdout().contains("\nn4      04  learner  -        h:2"), "{}", ran.stdout());
    fake.seen();
}

#[test]
fn recovery_of_what_is_no_node_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let ran = run(&["cluster", "recover", "--data-dir", path, "--yes"]);
    ran.expect(9, "");
    assert!(ran.stderr.contains(path), "{}", ran.stderr);
    assert_eq!(fs::read_dir(path).unwrap().count(), 0);
}

#[test]
fn health_is_0_or_8_and_waits_if_asked_to() {
    let bad = r#"{"code":"not_ready","detail":"leader: none for 3 s","outcome":"not_applied"}"#;
    let ready = || reply("200 OK", "{\"status\":\"ok\"}\n");
    let not_ready = || reply("503 Service Unavailable\r\nretry-after: 1", bad);
    let fake = Fake::start(vec![ready(), not_ready(), not_ready(), not_ready(), ready()]);
    run(&["health", "-e", &fake.url]).expect(0, &format!("{} ready\n", fake.url));
    let ran = run(&["health", "-e", &fake.url]);
    ran.expect(8, &format!("{} not ready leader: none for 3 s\n", fake.url));
    assert!(ran.stderr.contains("1 of 1 nodes not ready"), "{}", ran.stderr);
    let ran = run(&["health", "--wait", "-o", "json", "-e", &fake.url]);
    let report = format!("[{{\"endpoint\":\"{}\",\"ready\":true,\"detail\":\"\"}}]\n", fake.url);
    ran.expect(0, &report);
    let gone = fake.url.clone();
    fake.seen();
    let ran = run(&["health", "-e", &gone]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.stdout().starts_with(&format!("{gone} not ready cannot reach ")), "{ran:?}");
}

#[test]
fn a_snapshot_is_saved_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.snapshot");
    let path = file.to_str().unwrap();
    let fake = Fake::start(vec![
        reply(SNAPSHOT, BYTES),
        reply(SNAPSHOT, "something else"),
        reply("507 Insufficient Storage", &refusal("no_space")),
        reply(SNAPSHOT, BYTES),
        reply(SNAPSHOT, BYTES),
    ]);
    let ran = run(&["snapshot", "save", path, "-e", &fake.url]);
    ran.expect(0, &format!("{SHA256}  {path}\n"));
    assert!(ran.stderr.contains("revision 42") && ran.stderr.contains("12 B"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), BYTES);

    // What does not have its digest never takes the place of a good file.
    let ran = run(&["snapshot", "save", path, "-e", &fake.url]);
    ran.expect(1, "");
    assert!(ran.stderr.contains("digest"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), BYTES);
    run(&["snapshot", "save", path, "-e", &fake.url]).expect(1, "");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");

    // A directory takes the name that the node proposes; a dash means standard output.
    let parent = directory.path().to_str().unwrap();
    let ran = run(&["snapshot", "save", parent, "-o", "json", "-e", &fake.url]);
    let told: serde_json::Value = serde_json::from_str(ran.stdout()).unwrap();
    assert_eq!((&told["revision"], &told["sha256"]), (&42.into(), &SHA256.into()));
    let proposed = directory.path().join("remex-c1-9.snapshot");
    assert_eq!(fs::read_to_string(proposed).unwrap(), BYTES);
    let ran = run(&["snapshot", "save", "-", "-e", &fake.url]);
    ran.expect(0, BYTES);
    assert!(ran.stderr.contains(SHA256), "{}", ran.stderr);
    fake.seen();
}

#[test]
fn a_file_that_is_no_snapshot_is_8_and_nothing_is_made_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.snapshot");
    fs::write(&file, "no snapshot at all").unwrap();
    let (path, data) = (file.to_str().unwrap(), directory.path().join("data"));
    run(&["snapshot", "verify", path]).expect(8, "");
    run(&["snapshot", "restore", path, "--data-dir", data.to_str().unwrap()]).expect(8, "");
    assert!(!data.exists());
}

#[test]
fn a_bench_ends_with_the_first_request_that_is_refused_as_wrong() {
    let fake = Fake::start(vec![Step::Reply("413 Too Large", refusal("value_too_large"))]);
    let arguments = ["bench", "put", "--clients", "1", "--duration", "1h", "--warmup", "0"];
    let ran = run(&[&arguments[..], &["-e", &fake.url]].concat());
    ran.expect(1, "");
    assert!(ran.stderr.contains("told to") && ran.stderr.contains("hint: do that"), "{ran:?}");
    fake.seen();
}
