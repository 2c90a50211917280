//! Golden transcripts: requests and the whole answers to them, in `scripts/native/*.txt`.
//!
//! ```text
//! # a comment
//! ! a directive to the fake store
//! > PUT /v1/kv/a
//! > Content-Type: application/json
//! >
//! > {"a":1}
//! < HTTP/1.1 201 Created
//! < content-type: application/json
//! <
//! < {"key":"a",…}
//! ```
//!
//! Exchanges are separated by blank lines and run in order on one connection to a fresh server.
//! `Host` and `Content-Length` are added to requests. From answers the `date` is left out, and a
//! request id that the server made stands as `MADE`. Bytes that are not printable stand as `\xNN`,
//! in both directions. `cargo golden -p remex-http` rewrites the answers; then read the diff.
//!
//! Directives: `fail CODE [unknown] [after MS] [revision N]` lets the next call fail, `fail-admin`
//! with the same words the next change of the cluster or snapshot, `role NAME` (of this node),
//! `compact N`, `leader ID|none`, `check good|bad DETAIL`, and `bytes KEY VALUE` writes past the
//! surface.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use remex_model::{Command, Error, ErrorCode, Key, NodeId, NodeRole, Revision, Value};

use crate::codes;
use crate::fake::Fake;
use crate::server::Server;
use crate::wire::Answer;

#[tokio::test]
async fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/native");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the scripts are there")
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 8, "the scripts are there: {paths:?}");
    let mut failures = String::new();
    for path in paths {
        let expected = std::fs::read_to_string(&path).expect("a script is text");
        let found = play(&expected).await;
        if std::env::var_os("REMEX_GOLDEN").is_some() {
            std::fs::write(&path, found).expect("the script can be written");
        } else if found != expected {
            failures.push_str(&difference(&path, &expected, &found));
        }
    }
    assert!(failures.is_empty(), "{failures}\nif this is meant: cargo golden -p remex-http");
}

/// Plays a script and returns it with the answers that came.
async fn play(script: &str) -> String {
    let server = Server::start().await;
    let mut wire = server.connect().await;
    let mut out = String::new();
    let mut request: Vec<&str> = Vec::new();
    for line in script.lines().chain([""]) {
        if let Some(line) = line.strip_prefix('>') {
            request.push(line.strip_prefix(' ').unwrap_or(line));
        } else if !request.is_empty() {
            for line in &request {
                writeln!(out, "{}", format!("> {line}").trim_end()).expect("writing to memory");
            }
            let (head, body) = split(&request);
            let names_id = head.to_ascii_lowercase().contains("\nrequest-id:");
            let answer = wire.ask(&head, &body).await;
            if answer.header("connection") == Some("close") {
                wire = server.connect().await;
            }
            render(answer, names_id, &mut out);
            request.clear();
        }
        if let Some(directive) = line.strip_prefix("! ") {
            direct(&server.fake, directive);
        }
        if !line.starts_with(['>', '<']) {
            out.push_str(line);
            out.push('\n');
        }
    }
    // The blank line behind the last exchange was ours.
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn split(request: &[&str]) -> (String, Vec<u8>) {
    let blank = request.iter().position(|line| line.is_empty()).unwrap_or(request.len());
    let (head, body) = request.split_at(blank);
    let head: Vec<String> = head.iter().map(|line| (*line).to_owned()).collect();
    // The version goes without saying.
    let head = head.join("\n").replacen('\n', " HTTP/1.1\n", 1);
    let head = if head.contains(" HTTP/1.1") { head } else { format!("{head} HTTP/1.1") };
    (head, unescape(&body.get(1..).unwrap_or_default().join("\n")))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        out.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits behind \\x"));
        out.extend_from_slice(rest.as_bytes());
    }
    out
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() && character != '\n' {
                write!(out, "\\x{:02x}", u32::from(character)).expect("writing to memory");
            } else {
                out.push(character);
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("writing to memory");
        }
    }
    out
}

fn render(answer: Answer, names_id: bool, out: &mut String) {
    let made = answer.header("request-id").filter(|_| !names_id).map(str::to_owned);
    let mut text = answer.status_line.clone();
    for (name, value) in answer.headers.iter().filter(|(name, _)| name != "date") {
        write!(text, "\n{name}: {value}").expect("writing to memory");
    }
    if !answer.body.is_empty() {
        write!(text, "\n\n{}", escape(&answer.body)).expect("writing to memory");
    }
    if let Some(made) = made {
        text = text.replace(&made, "MADE");
    }
    for line in text.trim_end_matches('\n').split('\n') {
        writeln!(out, "{}", format!("< {line}").trim_end()).expect("writing to memory");
    }
}

fn direct(fake: &Fake, directive: &str) {
    let words: Vec<&str> = directive.split(' ').collect();
    match words[..] {
        ["fail", code, ref rest @ ..] => fake.fail(failure(code, rest)),
        ["fail-admin", code, ref rest @ ..] => {
            fake.state().cluster.failure = Some(failure(code, rest));
        }
        ["role", name] => fake.state().cluster.role = role(name),
        ["compact", revision] => fake.compact(Revision(number(revision))),
        ["leader", "none"] => fake.lead(None),
        ["leader", id] => fake.lead(Some(NodeId(number(id)))),
        ["check", state, ref detail @ ..] => fake.check(state == "good", &detail.join(" ")),
        ["bytes", key, value] => {
            let (key, value) = (Key::new(unescape(key)), Value::raw(unescape(value)));
            fake.write(Command::put(key, value));
        }
        _ => panic!("unknown directive: {directive}"),
    }
}

fn failure(code: &str, mut rest: &[&str]) -> Error {
    let code = codes::ALL.into_iter().find(|known| known.as_str() == code);
    let code: ErrorCode = code.expect("a directive names an error code");
    let mut error = Error::new(code, "the store was told to fail").hint("run: remex status");
    loop {
        rest = match *rest {
            [] => return error,
            ["unknown", ref rest @ ..] => {
                error = error.effect_unknown();
                rest
            }
            ["after", pause_ms, ref rest @ ..] => {
                error = error.retry_after(number(pause_ms));
                rest
            }
            ["revision", revision, ref rest @ ..] => {
                error = error.at_revision(Revision(number(revision)));
                rest
            }
            _ => panic!("unknown words in a directive: {rest:?}"),
        };
    }
}

fn role(name: &str) -> NodeRole {
    let roles = [
        NodeRole::Waiting,
        NodeRole::Follower,
        NodeRole::Learner,
        NodeRole::Repairing,
        NodeRole::Removed,
    ];
    let role = roles.into_iter().find(|role| role.as_str() == name);
    role.expect("a directive names a role")
}

fn number(text: &str) -> u64 {
    text.parse().expect("a directive has a number here")
}

fn difference(path: &Path, expected: &str, found: &str) -> String {
    let mut out = format!("{}:\n", path.display());
    let (mut left, mut right) = (expected.lines(), found.lines());
    let mut line_number = 0;
    loop {
        line_number += 1;
        match (left.next(), right.next()) {
            (None, None) => return out,
            (left, right) if left == right => {}
            (left, right) => {
                let (left, right) = (left.unwrap_or(""), right.unwrap_or(""));
                writeln!(out, "line {line_number}\n  expected {left}\n  found    {right}")
                    .expect("writing to memory");
            }
        }
    }
}
