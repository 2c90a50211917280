//! What is sent, what is sent twice, and what is made of the answers.

use std::time::Duration;

use http::Method;
use remex_client::{
    Batch, Call, Client, Code, Consistency, Delete, DeletePrefix, Endpoint, Get, Key, List,
    Options, Outcome, Put,
};

use crate::script::{Script, Step, header};
use crate::{client, nobody};

const WRITTEN: &str = r#"{"key":"a","revision":7,"create_revision":3,"version":2}"#;
const NO_LEADER: &str = r#"{"code":"no_leader","status":503,"detail":"n1 knows no leader",
    "hint":"Run: remex status","outcome":"not_applied","retryable":true,"request_id":"9f"}"#;
const TIMED_OUT: &str = r#"{"code":"timeout","detail":"late","outcome":"unknown"}"#;

#[tokio::test]
async fn put_sends_its_conditions_and_reads_the_answer() {
    let script =
        Script::start(vec![Step::Reply("200 OK", WRITTEN), Step::Reply("201 Created", WRITTEN)]);
    let client = client(&script.address, 0);
    let put = Put::new().if_revision(6).content_type("text/plain").idempotency_key("k1");
    let result = client.put("a/b c", "v1", &put).await.unwrap();
    assert_eq!((result.revision, result.create_revision, result.version), (7, 3, 2));
    client.put("a", "v2", &Put::new().if_absent()).await.unwrap();

    let seen = script.seen().await;
    assert!(seen[0].head.starts_with("PUT /v1/kv/a/b%20c HTTP/1.1\r\n"), "{}", seen[0].head);
    assert_eq!(header(&seen[0].head, "if-match"), Some("\"6\""));
    assert_eq!(header(&seen[0].head, "content-type"), Some("text/plain"));
    assert_eq!(header(&seen[0].head, "idempotency-key"), Some("k1"));
    assert_eq!(seen[0].body, "v1");
    assert_eq!(header(&seen[1].head, "if-none-match"), Some("*"));
    assert_eq!(header(&seen[1].head, "if-match"), None);
}

#[tokio::test]
async fn get_takes_metadata_from_the_headers() {
    let script = Script::start(vec![
        Step::Reply(
            "200 OK\r\netag: \"7\"\r\nremex-create-revision: 3\r\nremex-version: 2\r\n\
             content-type: application/json",
            "{ \"n\": 1.0 }",
        ),
        Step::Reply("404 Not Found", r#"{"code":"key_not_found","detail":"no key a"}"#),
        Step::Reply("404 Not Found", "<html>"),
    ]);
    let client = client(&script.address, 0);
    let get = Get::new().consistency(Consistency::Stale).at_revision(9).min_revision(8).meta();
    let entry = client.get_with("a", &get).await.unwrap().unwrap();
    assert_eq!(&entry.value[..], b"{ \"n\": 1.0 }");
    assert_eq!((entry.revision, entry.create_revision, entry.version), (7, 3, 2));
    assert!(entry.is_json());
    assert_eq!(client.get("a").await.unwrap(), None);
    // A 404 that is not Remex's must not pass for a missing key.
    assert_eq!(client.get("a").await.unwrap_err().code, Code::BAD_ANSWER);
    let first = &script.seen().await[0].head;
    assert!(first.starts_with("GET /v1/kv/a?consistency=stale&min_revision=8&rev=9 "), "{first}");
}

#[tokio::test]
async fn connections_are_kept_and_replaced_when_the_server_closes_them() {
    let script = Script::start(vec![
        Step::Reply("200 OK", WRITTEN),
        Step::ReplyAndClose("200 OK", WRITTEN),
        Step::Reply("200 OK", WRITTEN),
    ]);
    let client = client(&script.address, 0);
    for _ in 0..3 {
        client.put("a", "1", &Put::new()).await.unwrap();
    }
    assert_eq!(script.seen().await.len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_passed_over_and_the_good_one_remembered() {
    let script = Script::start(vec![Step::Reply("200 OK", WRITTEN)]);
    let client = client(&format!("{},{}", nobody(), script.address), 0);
    client.put("a", "1", &Put::new()).await.unwrap();
    let first = client.endpoints().next().unwrap().to_string();
    assert_eq!(first, format!("http://{}", script.address));
    assert_eq!(script.seen().await.len(), 1);
}

#[tokio::test]
async fn when_nobody_listens_nothing_was_applied() {
    let error = client(&nobody(), 1).put("a", "1", &Put::new()).await.unwrap_err();
    assert_eq!(error.code, Code::UNREACHABLE);
    assert_eq!(error.outcome, Outcome::NotApplied);
    assert_eq!(error.status, None);
}

#[tokio::test]
async fn a_write_that_was_certainly_not_applied_is_repeated() {
    let script = Script::start(vec![
        Step::Reply("503 Service Unavailable\r\nretry-after: 0", NO_LEADER),
        Step::Reply("200 OK", WRITTEN),
    ]);
    let result = client(&script.address, 1).put("a", "1", &Put::new()).await.unwrap();
    assert_eq!(result.revision, 7);
    assert_eq!(script.seen().await.len(), 2);
}

#[tokio::test]
async fn a_503_moves_on_to_the_next_endpoint_and_a_429_does_not() {
    let busy = Script::start(vec![
        Step::Reply("503 Service Unavailable", NO_LEADER),
        Step::Reply("429 Too Many", r#"{"code":"overloaded","outcome":"not_applied"}"#),
    ]);
    let good = Script::start(vec![Step::Reply("200 OK", WRITTEN)]);
    let endpoints = format!("{},{}", busy.address, good.address);
    client(&endpoints, 0).put("a", "1", &Put::new()).await.unwrap();
    let error = client(&endpoints, 0).put("a", "1", &Put::new()).await.unwrap_err();
    assert_eq!(error.code, "overloaded");
    assert_eq!(busy.seen().await.len(), 2);
    assert_eq!(good.seen().await.len(), 1);
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_not_repeated() {
    let steps: [fn() -> Step; 4] = [
        || Step::Hang,
        || Step::Reply("503 Service Unavailable", "<html>a proxy</html>"),
        || Step::Reply("504 Gateway Timeout", TIMED_OUT),
        || Step::Reply("503 Service Unavailable", r#"{"code":"draining","outcome":"unknown"}"#),
    ];
    for step in steps {
        let script = Script::start(vec![step()]);
        // Not one of the writes of data, which get a key.
        let call = Call::write(Method::POST, "/v1/anything").body("1");
        let error = client(&script.address, 5).send(&call).await.unwrap_err();
        assert_eq!(error.outcome, Outcome::Unknown, "{error}");
        assert_eq!(script.seen().await.len(), 1);
    }
}

#[tokio::test]
async fn a_write_with_an_idempotency_key_is_repeated_with_the_same_key() {
    let script = Script::start(vec![Step::Hang, Step::Reply("200 OK", WRITTEN)]);
    let put = Put::new().idempotency_key("once");
    client(&script.address, 1).put("a", "1", &put).await.unwrap();
    let seen = script.seen().await;
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|one| header(&one.head, "idempotency-key") == Some("once")));
}

#[tokio::test]
async fn every_write_gets_a_key_and_is_repeated_with_it() {
    let fresh = || vec![Step::Hang, Step::Reply("504 Gateway Timeout", TIMED_OUT)];
    let writes = [
        Put::new().call("a", "1").unwrap(),
        Delete::new().call("a").unwrap(),
        DeletePrefix::new().call("a"),
        Batch::new().put("a", 1).call(),
    ];
    let mut keys = Vec::new();
    for call in writes {
        let mut steps = fresh();
        steps.push(Step::Reply("200 OK", WRITTEN));
        let script = Script::start(steps);
        client(&script.address, 2).send(&call).await.unwrap();
        let seen = script.seen().await;
        let sent: Vec<_> = seen
            .iter()
            .map(|one| header(&one.head, "idempotency-key").unwrap().to_owned())
            .collect();
        assert_eq!(sent, vec![sent[0].clone(); 3]);
        keys.push(sent[0].clone());
    }
    // The same call sent again is another write.
    let script =
        Script::start(vec![Step::Reply("200 OK", WRITTEN), Step::Reply("200 OK", WRITTEN)]);
    let (client, call) = (client(&script.address, 1), Put::new().call("a", "1").unwrap());
    client.send(&call).await.unwrap();
    client.send(&call).await.unwrap();
    let seen = script.seen().await;
    keys.extend(seen.iter().map(|one| header(&one.head, "idempotency-key").unwrap().to_owned()));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 6, "{keys:?}");
}

#[tokio::test]
async fn a_write_that_cannot_be_repeated_needs_no_key() {
    let script = Script::start(vec![Step::Reply("200 OK", WRITTEN)]);
    client(&script.address, 0).put("a", "1", &Put::new()).await.unwrap();
    assert_eq!(header(&script.seen().await[0].head, "idempotency-key"), None);
}

#[tokio::test]
async fn an_endpoint_that_hangs_leaves_time_for_another() {
    let hung = Script::start(vec![Step::Silence]);
    let good = Script::start(vec![Step::Reply("200 OK", WRITTEN)]);
    let list = Endpoint::parse_list(&format!("{},{}", hung.address, good.address)).unwrap();
    let client = Client::new(list, Options { retries: 0, ..Options::default() }).unwrap();
    client.put("a", "1", &Put::new()).await.unwrap();
    drop(client);
    let (hung, good) = (hung.seen().await, good.seen().await);
    let key = |one: &crate::script::Seen| header(&one.head, "idempotency-key").map(str::to_owned);
    assert_eq!(key(&hung[0]), key(&good[0]));
}

#[tokio::test]
async fn an_earlier_unknown_outcome_is_not_forgotten() {
    let script = Script::start(vec![
        Step::Hang,
        Step::Reply("503 Service Unavailable\r\nretry-after: 0", NO_LEADER),
    ]);
    let put = Put::new().idempotency_key("once");
    let error = client(&script.address, 1).put("a", "1", &put).await.unwrap_err();
    assert_eq!(error.code, "no_leader");
    assert_eq!(error.outcome, Outcome::Unknown);
    assert_eq!(script.seen().await.len(), 2);
}

#[tokio::test]
async fn a_read_is_repeated_after_anything_that_may_pass() {
    let script = Script::start(vec![
        Step::Hang,
        Step::Reply("503 Service Unavailable", NO_LEADER),
        Step::Reply("404 Not Found", r#"{"code":"key_not_found"}"#),
    ]);
    assert_eq!(client(&script.address, 2).get("a").await.unwrap(), None);
    assert_eq!(script.seen().await.len(), 3);
}

#[tokio::test]
async fn what_cannot_pass_is_not_repeated() {
    let script = Script::start(vec![Step::Reply(
        "412 Precondition Failed\r\netag: \"41\"",
        r#"{"code":"revision_mismatch","detail":"at 41","outcome":"not_applied"}"#,
    )]);
    let put = Put::new().if_revision(40);
    let error = client(&script.address, 5).put("a", "1", &put).await.unwrap_err();
    assert!(error.is_condition_failed());
    assert_eq!(error.code, "revision_mismatch");
    assert_eq!(error.problem.current_revision, Some(41));
    assert_eq!(script.seen().await.len(), 1);
}

#[tokio::test]
async fn the_fields_of_a_problem_are_kept() {
    let script = Script::start(vec![Step::Reply("503 Unavailable\r\nretry-after: 2", NO_LEADER)]);
    let error = client(&script.address, 0).get("a").await.unwrap_err();
    assert_eq!(error.status, Some(503));
    let problem = &error.problem;
    assert_eq!(problem.detail, "n1 knows no leader");
    assert_eq!(problem.hint.as_deref(), Some("Run: remex status"));
    assert_eq!(problem.retry_after_s, Some(2));
    assert_eq!(problem.request_id.as_deref(), Some("9f"));
    assert_eq!(problem.endpoint, format!("http://{}", script.address));
    assert!(problem.retryable);
    script.seen().await;
}

#[tokio::test]
async fn a_late_answer_leaves_a_write_unknown_and_a_read_without_effect() {
    for (write, outcome) in [(true, Outcome::Unknown), (false, Outcome::NotApplied)] {
        let script = Script::start(vec![Step::Silence]);
        let options = Options { timeout: Duration::from_millis(50), ..Options::default() };
        let list = Endpoint::parse_list(&script.address).unwrap();
        let client = Client::new(list, options).unwrap();
        let error = if write {
            client.put("a", "1", &Put::new()).await.unwrap_err()
        } else {
            client.get("a").await.unwrap_err()
        };
        assert_eq!(error.code, Code::TIMEOUT);
        assert_eq!(error.outcome, outcome);
        drop(client);
        assert_eq!(script.seen().await.len(), 1);
    }
}

#[tokio::test]
async fn pages_follow_the_cursor_to_the_end() {
    let script = Script::start(vec![
        Step::Reply(
            "200 OK",
            r#"{"revision":9,"items":[{"key":"a","value":12345678901234567890.10,"revision":2}],
                "next":"c 1"}"#,
        ),
        Step::Reply(
            "200 OK",
            r#"{"revision":9,"items":[{"key":{"base64":"/w=="},"revision":3}],
                "next":null}"#,
        ),
    ]);
    let mut pages = client(&script.address, 0).pages("p/", List::new().limit(1));
    let first = pages.next().await.unwrap().unwrap();
    assert_eq!(first.items[0].value.as_ref().unwrap().get(), "12345678901234567890.10");
    let second = pages.next().await.unwrap().unwrap();
    assert_eq!(first.items[0].key, Key::Text("a".to_owned()));
    assert_eq!(second.items[0].key, Key::Bytes { base64: "/w==".to_owned() });
    assert_eq!(second.items[0].revision, 3);
    assert!(pages.next().await.unwrap().is_none());
    let seen = script.seen().await;
    assert!(seen[0].head.starts_with("GET /v1/kv?prefix=p%2F&limit=1 "), "{}", seen[0].head);
    assert!(seen[1].head.contains("&limit=1&cursor=c%201 "), "{}", seen[1].head);
}

#[tokio::test]
async fn deletes_and_batches_have_the_form_of_the_api() {
    let script = Script::start(vec![
        Step::Reply("200 OK", r#"{"deleted":1,"revision":5}"#),
        Step::Reply("200 OK", r#"{"deleted":3,"revision":5}"#),
        Step::Reply("200 OK", r#"{"deleted":3,"revision":6}"#),
        Step::Reply("200 OK", r#"{"revision":7,"results":[]}"#),
    ]);
    let client = client(&script.address, 0);
    assert_eq!(
        client
            .delete("a", &Delete::new().if_revision(4).idempotency_key("d"))
            .await
            .unwrap()
            .deleted,
        1
    );
    let counted = client.delete_prefix("p/", &DeletePrefix::new().dry_run()).await.unwrap();
    assert_eq!(counted.deleted, 3);
    client.delete_prefix("", &DeletePrefix::new().all()).await.unwrap();
    let batch = Batch::new().put("a", 1).put_text("c", "2").delete("b").idempotency_key("k");
    assert_eq!(client.batch(&batch).await.unwrap().revision, 7);

    let seen = script.seen().await;
    assert_eq!(header(&seen[0].head, "if-match"), Some("\"4\""));
    assert_eq!(header(&seen[0].head, "idempotency-key"), Some("d"));
    assert!(seen[1].head.starts_with("DELETE /v1/kv?prefix=p%2F&dry_run=true "));
    assert!(seen[2].head.starts_with("DELETE /v1/kv?prefix=&all=true "));
    assert!(seen[3].head.starts_with("POST /v1/batch "));
    assert_eq!(
        seen[3].body,
        r#"[{"put":{"key":"a","value":1}},{"put":{"key":"c","text":"2"}},{"delete":{"key":"b"}}]"#
    );
}
