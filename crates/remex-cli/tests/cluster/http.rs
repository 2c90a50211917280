//! The API as `curl` sees it: every node answers everything, and says so honestly when it cannot.

use remex_testkit::http::HttpClient;

use crate::{ask, get, start, text_at};

/// JSON that a careless server would change: white space, order of members, digits.
const JSON: &str = "{ \"replicas\": 3,  \"big\": 12345678901234567890, \"a\": 1.50 }";

fn put_json(client: &mut HttpClient, key: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let headers = [headers, &[("Content-Type", "application/x-www-form-urlencoded")]].concat();
    let target = format!("/v1/kv/{key}");
    let reply = client.request("PUT", &target, &headers, JSON.as_bytes()).unwrap();
    (reply.status, reply.text())
}

#[test]
fn what_is_put_on_one_node_is_read_verbatim_on_every_other() {
    let cluster = start(3);
    for (number, node) in cluster.nodes().iter().enumerate() {
        let key = format!("app/config/{number}");
        // As `curl -d` sends it.
        let (status, text) = put_json(&mut node.client(), &key, &[]);
        assert_eq!(status, 201, "{text}");
        for other in cluster.nodes() {
            let reply = other.look(&format!("/v1/kv/{key}")).unwrap();
            assert_eq!((reply.status, reply.text().as_str()), (200, JSON));
            assert_eq!(reply.header("content-type"), Some("application/json"));
            let revision = reply.header("etag").unwrap().trim_matches('"').to_owned();
            assert_eq!(reply.header("remex-create-revision"), Some(revision.as_str()));
            assert_eq!(reply.header("remex-version"), Some("1"));
            let head = ask(&mut other.client(), "HEAD", &format!("/v1/kv/{key}"), &[]);
            assert_eq!((head.status, head.header("etag")), (200, reply.header("etag")));
            let same = [("If-None-Match", reply.header("etag").unwrap())];
            let same = ask(&mut other.client(), "GET", &format!("/v1/kv/{key}"), &same);
            assert_eq!((same.status, same.body.len()), (304, 0));
        }
    }
}

#[test]
fn conditions_deletes_and_lists_work_through_every_node() {
    let cluster = start(3);
    let mut clients: Vec<HttpClient> = cluster.nodes().iter().map(|node| node.client()).collect();
    let [first, second, third] = clients.as_mut_slice() else { panic!("three nodes") };
    assert_eq!(put_json(first, "lists/a", &[("If-None-Match", "*")]).0, 201);
    let (status, text) = put_json(second, "lists/a", &[("If-None-Match", "*")]);
    assert_eq!(status, 412);
    assert!(text.contains("\"already_exists\"") && text.contains("\"not_applied\""), "{text}");
    let tag = third.get("/v1/kv/lists/a").unwrap().header("etag").unwrap().to_owned();
    assert_eq!(put_json(third, "lists/a", &[("If-Match", &tag)]).0, 200);
    let (status, text) = put_json(first, "lists/a", &[("If-Match", &tag)]);
    assert_eq!(status, 412);
    assert!(text.contains("\"revision_mismatch\""), "{text}");

    let batch = br#"[{"put":{"key":"lists/b","value":1}},{"put":{"key":"lists/c","value":"x"}}]"#;
    let reply = second.request("POST", "/v1/batch", &[], batch).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let page = third.get("/v1/kv?prefix=lists/&limit=2").unwrap().json().unwrap();
    let keys = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&page), ["lists/a", "lists/b"]);
    let next = format!("/v1/kv?prefix=lists/&limit=2&cursor={}", page["next"].as_str().unwrap());
    let rest = first.get(&next).unwrap().json().unwrap();
    assert_eq!(keys(&rest), ["lists/c"]);
    assert_eq!(rest["revision"], page["revision"]);

    let gone = ask(first, "DELETE", "/v1/kv/lists/b", &[]).json().unwrap();
    assert_eq!(gone["deleted"], 1);
    let nothing = ask(second, "DELETE", "/v1/kv/lists/b", &[]).json().unwrap();
    assert_eq!(nothing["deleted"], 0);
    assert_eq!(nothing["revision"], gone["revision"], "a delete of nothing takes no revision");
    assert_eq!(ask(third, "DELETE", "/v1/kv?prefix=lists/", &[]).json().unwrap()["deleted"], 2);
    let reply = first.get("/v1/kv/lists/a").unwrap();
    assert_eq!((reply.status, text_at(&reply, "/code").as_str()), (404, "key_not_found"));
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let cluster = start(1);
    let mut client = cluster.nodes()[0].client();
    let not_allowed = ask(&mut client, "POST", "/v1/kv/color", &[]);
    assert_eq!(not_allowed.status, 405);
    let allow = not_allowed.header("allow").unwrap();
    assert!(["GET", "HEAD", "PUT", "DELETE"].iter().all(|verb| allow.contains(verb)), "{allow}");
    let long_key = format!("/v1/kv/{}", "k".repeat(129));
    let long_value = format!("\"{}\"", "v".repeat(16 * 1024));
    let cases = [
        ("GET", "/v1/kv/color?colour=1", "", 400, "unknown_parameter"),
        ("PUT", "/v1/kv/color", "{", 400, "invalid_json"),
        ("PUT", &long_key, "\"x\"", 400, "key_too_long"),
        ("PUT", "/v1/kv/color", &long_value, 413, "value_too_large"),
        ("GET", "/v1/nothing", "", 404, "not_found"),
        ("DELETE", "/v1/kv?prefix=", "", 400, "bad_request"),
    ];
    let json = [("Content-Type", "application/json")];
    for (method, target, body, status, code) in cases {
        let reply = client.request(method, target, &json, body.as_bytes()).unwrap();
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert_eq!(text_at(&reply, "/code"), code, "{method} {target}");
        assert_eq!(text_at(&reply, "/outcome"), "not_applied");
        let id = text_at(&reply, "/request_id");
        assert_eq!(reply.header("request-id"), Some(id.as_str()));
    }
    for path in ["/v1/node", "/v1/status", "/v1/cluster", "/livez", "/readyz", "/version"] {
        let reply = client.get(path).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json().unwrap();
    }
}

#[test]
fn without_a_quorum_nothing_but_a_stale_read_is_answered() {
    let mut cluster = start(3);
    let leader = cluster.wait_leader().unwrap();
    let survivor = (leader + 1) % 3;
    crate::put(&cluster.nodes()[leader], "color", "blue");
    assert_eq!(get(&cluster.nodes()[survivor], "color"), "blue");
    for node in (0..3).filter(|node| *node != survivor) {
        cluster.node(node).kill().unwrap();
    }
    let mut client =
        HttpClient::new(cluster.nodes()[survivor].address(), remex_testkit::cluster::PATIENCE);
    let stale = client.get("/v1/kv/color?consistency=stale").unwrap();
    assert_eq!((stale.status, stale.text().as_str()), (200, "blue"));

    let read = client.get("/v1/kv/color").unwrap();
    assert_eq!(read.status, 503, "{}", read.text());
    assert_eq!(text_at(&read, "/code"), "no_leader");
    assert!(read.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    let write = client.request("PUT", "/v1/kv/color", &[], b"red").unwrap();
    assert_eq!(write.status, 503, "{}", write.text());
    assert_eq!(text_at(&write, "/outcome"), "not_applied");
    assert!(write.header("retry-after").is_some());
    let ready = client.get("/readyz").unwrap();
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert_eq!(client.get("/livez").unwrap().status, 200);

    cluster.node(leader).start().unwrap();
    cluster.node(survivor).wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[survivor], "color"), "blue");
}

#[test]
fn a_paused_leader_serves_no_stale_read_when_it_wakes() {
    let mut cluster = start(3);
    let old = cluster.wait_leader().unwrap();
    crate::put(&cluster.nodes()[old], "color", "blue");
    cluster.nodes()[old].pause().unwrap();
    let other = (old + 1) % 3;
    // Written while the old leader sleeps and believes that it leads.
    let mut client =
        HttpClient::new(cluster.nodes()[other].address(), remex_testkit::cluster::PATIENCE);
    let mut written = false;
    while !written {
        let reply = client.request("PUT", "/v1/kv/color", &[], b"red").unwrap();
        written = reply.status == 200;
        assert!(written || matches!(reply.status, 503 | 504), "{}", reply.text());
    }
    cluster.nodes()[old].resume().unwrap();
    let reply = cluster.nodes()[old].look("/v1/kv/color").unwrap();
    let honest = match reply.status {
        200 => reply.text() == "red",
        status => matches!(status, 503 | 504),
    };
    assert!(honest, "{}: {}", reply.status, reply.text());
    cluster.wait_ready().unwrap();
    assert_eq!(get(&cluster.nodes()[old], "color"), "red");
}
