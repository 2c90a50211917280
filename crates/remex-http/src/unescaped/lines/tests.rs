use super::*;

const STARTS: &[&[u8]] = &[b"GET /tailfeather/"];

const LINE_BYTES_MAX: usize = 4 * 1024;

/// What comes out for input that arrives in pieces of these sizes, in turn.
fn through(input: &[u8], sizes: &[usize]) -> (Vec<u8>, Lines) {
    let mut lines = Lines::new(STARTS, LINE_BYTES_MAX);
    let mut out = Vec::new();
    let mut rest = input;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        rest = behind;
        lines.feed(piece);
        out.extend_from_slice(lines.ready());
        lines.consume(lines.ready().len());
    }
    (out, lines)
}

/// The same comes out however the input is cut.
#[track_caller]
fn check(input: &str, expected: &str) {
    for sizes in [&[usize::MAX][..], &[1], &[2, 3, 5, 7], &[17], &[18, 1]] {
        let (mut out, mut lines) = through(input.as_bytes(), sizes);
        lines.pass();
        out.extend_from_slice(lines.ready());
        assert_eq!(String::from_utf8_lossy(&out), expected, "{sizes:?}");
    }
}

#[test]
fn t7_the_line_of_the_document_is_escaped() {
    check(
        "GET /tailfeather/key-val/set?key=ravendb&val={ 'Url': 'http://live-test.ravendb.net', 'Database': 'Sample' } HTTP/1.1\r\nHost: a b {}\r\n\r\n",
        "GET /tailfeather/key-val/set?key=ravendb&val=%7B%20'Url':%20'http://live-test.ravendb.net',%20'Database':%20'Sample'%20%7D HTTP/1.1\r\nHost: a b {}\r\n\r\n",
    );
}

#[test]
fn every_byte_that_no_url_may_hold_is_escaped_and_no_other() {
    check(
        "GET /tailfeather/x?a=ü\"<>\\^`{|}#\t% %zz%20+&=[~]\u{7f} HTTP/1.1 HTTP/1.0\n\n",
        "GET /tailfeather/x?a=%C3%BC%22%3C%3E%5C%5E%60%7B%7C%7D%23%09%%20%zz%20+&=[~]%7F%20HTTP/1.1 HTTP/1.0\n\n",
    );
}

#[test]
fn requests_without_a_body_are_followed_one_after_the_other() {
    let head = "Host: h\r\nContent-Length: 0\r\ncontent-type: x\r\n\r\n";
    check(
        &format!(
            "\r\nGET /tailfeather/a b HTTP/1.1\r\n{head}GET /tailfeather/c d HTTP/1.1\r\n{head}\r\n\nGET /tailfeather/e f HTTP/1.1\r\n\r\n"
        ),
        &format!(
            "\r\nGET /tailfeather/a%20b HTTP/1.1\r\n{head}GET /tailfeather/c%20d HTTP/1.1\r\n{head}\r\n\nGET /tailfeather/e%20f HTTP/1.1\r\n\r\n"
        ),
    );
}

#[test]
fn behind_anything_else_everything_passes() {
    let later = "GET /tailfeather/a b HTTP/1.1\r\n\r\n";
    for first in [
        "GET /v1/kv/a HTTP/1.1\r\n\r\n",
        "POST /tailfeather/key-val/batch HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]",
        "get /tailfeather/a HTTP/1.1\r\n\r\n",
        "GET /tailfeather HTTP/1.1\r\n\r\n",
        "GET  /tailfeather/ HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /tailfeather/a b\r\n\r\n",
        "GET /tailfeather/a b HTTP/2.0\r\n\r\n",
        "\0\x01\x02",
        "GET /tailfeather/a HTTP/1.1\r\nContent-Length: 35\r\n\r\n",
        "GET /tailfeather/a HTTP/1.1\r\nCONTENT-LENGTH : 00\r\n\r\n",
        "GET /tailfeather/a HTTP/1.1\r\ncontent-length:\r\n 35\r\n\r\n",
        "GET /tailfeather/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /tailfeather/a HTTP/1.1\r\nX: y\r\nUpgrade: h2c\r\n\r\n",
    ] {
        let input = [first, later, later].concat();
        check(&input, &input);
    }
    // Only the first of these has no body.
    let body = "GET /tailfeather/b HTTP/1.1\r\nContent-Length: 31\r\n\r\nGET /tailfeather/a b HTTP/1.1\r\n\r\n";
    check(&[later, body].concat(), &["GET /tailfeather/a%20b HTTP/1.1\r\n\r\n", body].concat());
}

#[test]
fn other_connections_are_looked_at_once() {
    for first in ["P", "GET /v", "PUT /v1/kv/a HTTP/1.1\r\nHost: h\r\n", "GET /tailfeathers"] {
        let (out, lines) = through(first.as_bytes(), &[usize::MAX]);
        assert!(lines.is_passing(), "{first}");
        assert_eq!(out, first.as_bytes());
    }
}

#[test]
fn what_may_still_become_such_a_line_is_held_back_up_to_a_bound() {
    let (out, lines) = through(b"GET /tailf", &[1]);
    assert!(out.is_empty() && !lines.is_passing());
    let mut long = b"GET /tailfeather/".to_vec();
    long.resize(LINE_BYTES_MAX + 1, b' ');
    let (out, lines) = through(&long, &[4096]);
    assert!(lines.is_passing(), "the library refuses it");
    assert_eq!(out, long);
}

/// Random bytes of the pieces that matter: however they are cut the same comes out, and taking
/// the escapes back gives what went in.
#[test]
fn no_byte_is_lost_and_cuts_do_not_matter() {
    const PIECES: [&str; 18] = [
        "GET /tailfeather/",
        "GET /v1/",
        "GET ",
        "/tailfeather/",
        " ",
        "{",
        "ü",
        "#",
        "\r\n",
        "\n",
        "\r",
        " HTTP/1.1\r\n",
        " HTTP/1.0\n",
        "Content-Length: 0\r\n",
        "Content-Length: 3\r\n",
        "Host: h\r\n",
        "Transfer-Encoding",
        ":",
    ];
    let mut random = fastrand::Rng::with_seed(11);
    let mut followed = 0;
    for _ in 0..50_000 {
        let mut input = String::from(if random.bool() { "GET /tailfeather/" } else { "" });
        for _ in 0..random.usize(1..16) {
            input.push_str(random.choice(PIECES).unwrap());
        }
        let (mut whole, mut lines) = through(input.as_bytes(), &[usize::MAX]);
        followed += usize::from(!lines.is_passing());
        lines.pass();
        whole.extend_from_slice(lines.ready());
        let sizes: Vec<usize> = (0..4).map(|_| random.usize(1..40)).collect();
        let (mut cut, mut lines) = through(input.as_bytes(), &sizes);
        lines.pass();
        cut.extend_from_slice(lines.ready());
        assert_eq!(whole, cut, "{input:?} {sizes:?}");
        let mut back = String::from_utf8(whole).unwrap();
        for (escape, text) in
            [("%20", " "), ("%7B", "{"), ("%23", "#"), ("%C3%BC", "ü"), ("%0D", "\r")]
        {
            back = back.replace(escape, text);
        }
        assert_eq!(back, input);
    }
    assert!(followed > 5_000, "only {followed} were followed");
}
