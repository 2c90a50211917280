//! Which requests are refused for where they come from.
//!
//! A dialect that writes by GET can be made to write by any page that a person visits: an image
//! whose address is a write is enough. Browsers say where a request comes from; what they say is
//! believed, and everything else is taken. Two headers tell of another site's page
//! (`Sec-Fetch-Site`, `Origin`). The third, `Host`, tells of a page whose own name was pointed at
//! this machine, so that the browser takes the two for one site: only names are taken that a
//! stranger cannot own, or that somebody here has vouched for. Cookies are never looked at.
//!
//! A page can send a POST of plain text to anybody, too: browsers ask first only about other
//! methods and types. So every POST, of whatever dialect, has to pass the first two headers. The
//! third is not asked for there: a node may be served under any name.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use remex_model::{Error, ErrorCode};

use crate::surface::Shared;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Domains that nobody can register.
const PRIVATE_DOMAINS: [&str; 6] =
    [".localhost", ".local", ".internal", ".svc", ".test", ".home.arpa"];

/// Refuses a request that a page of another site may have made.
///
/// # Errors
/// [`ErrorCode::Denied`], which names what was found.
pub(crate) fn guard(shared: &Shared, parts: &Parts) -> Result<(), Error> {
    judge(parts, |name| is_known(shared, name))
}

/// Refuses a POST that a page of another site has made.
///
/// # Errors
/// [`ErrorCode::Denied`], which names what was found.
pub(crate) fn guard_post<B>(request: &Request<B>) -> Result<(), Error> {
    match *request.method() {
        Method::POST => judge_page(request.uri(), request.headers()).map(drop),
        _ => Ok(()),
    }
}

/// As [`guard`]; `is_known` says whether somebody has vouched for a name.
fn judge(parts: &Parts, is_known: impl Fn(&str) -> bool) -> Result<(), Error> {
    let hosts = judge_page(&parts.uri, &parts.headers)?;
    match hosts.into_iter().find(|host| !is_ours(host, &is_known)) {
        None => Ok(()),
        Some(host) => {
            let detail = format!("this node does not know itself as `{host}`");
            Err(denied(detail).hint("use a name of the node, or start it with --allow-host"))
        }
    }
}

/// Refuses what a page of another site has made; else gives the names by which this node was
/// asked.
fn judge_page<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Vec<&'a str>, Error> {
    if let Some(site @ ("cross-site" | "same-site")) =
        headers.get(SEC_FETCH_SITE).and_then(|site| site.to_str().ok())
    {
        let detail = format!("the request comes from a page of another site ({site})");
        return Err(denied(detail));
    }
    // HTTP/2, and HTTP/1.1 through a proxy, name the host in front of the path.
    let authority = uri.authority().map(Authority::as_str);
    let mut hosts = Vec::with_capacity(1);
    for host in headers.get_all(HOST) {
        hosts.push(text("Host", host)?);
    }
    hosts.extend(authority);
    for origin in headers.get_all(ORIGIN) {
        let origin = text("Origin", origin)?;
        if hosts.is_empty() || !hosts.iter().all(|host| is_of(origin, host)) {
            let detail = format!("the request comes from a page of another site, {origin}");
            return Err(denied(detail));
        }
    }
    Ok(hosts)
}

fn denied(detail: String) -> Error {
    Error::new(ErrorCode::Denied, detail)
        .hint("send it from a program, or open the address itself in the browser")
}

fn text<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, Error> {
    value.to_str().map_err(|_not_ascii| denied(format!("the header {name} is not readable")))
}

/// Whether a page of `origin` lies at `host`.
fn is_of(origin: &str, host: &str) -> bool {
    let page = origin.strip_prefix("http://").map(|page| (page, ":80"));
    let page = page.or_else(|| origin.strip_prefix("https://").map(|page| (page, ":443")));
    page.is_some_and(|(page, usual_port)| {
        let strip = |authority: &str| {
            authority.strip_suffix(usual_port).unwrap_or(authority).to_ascii_lowercase()
        };
        strip(page) == strip(host)
    })
}

/// Whether a request came in at the host and port of `url`.
pub(crate) fn was_asked_at(parts: &Parts, url: &str) -> bool {
    let url = url.trim_end_matches('/');
    let is_there = |host: &str| is_of(url, host);
    parts.uri.authority().map(Authority::as_str).is_some_and(is_there)
        || parts.headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(is_there)
}

/// Whether nobody but this node's own users can reach it under `host`, with or without a port.
fn is_ours(host: &str, is_known: impl Fn(&str) -> bool) -> bool {
    let Some(name) = name_of(host) else { return false };
    let is_address = name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok();
    let is_private =
        || !name.contains('.') || PRIVATE_DOMAINS.iter().any(|end| name.ends_with(end));
    is_address || is_private() || is_known(&name)
}

/// Whether this is a name of the machine, of a member of the cluster, or one that was allowed.
fn is_known(shared: &Shared, name: &str) -> bool {
    name == machine_name()
        || shared.options.allow_hosts.iter().any(|allowed| is_name(allowed, name))
        || is_at(&shared.admin.node().client_url, name)
        || shared.admin.cluster().members.iter().any(|member| is_at(&member.client_url, name))
}

/// The name in `host` or `host:port`, in lower case and without the dot of the root. `None` if it
/// is none.
fn name_of(host: &str) -> Option<String> {
    let name =
        if let Some((address, _port)) = host.strip_prefix('[').and_then(|h| h.split_once(']')) {
            address.parse::<Ipv6Addr>().ok()?;
            return Some(format!("[{address}]"));
        } else {
            host.split_once(':').map_or(host, |(name, _port)| name)
        };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

fn is_name(host: &str, name: &str) -> bool {
    name_of(host).is_some_and(|host| host == name)
}

/// Whether the URL is that of a host of this name.
fn is_at(url: &str, name: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_scheme, rest)| rest);
    is_name(authority.split('/').next().unwrap_or_default(), name)
}

/// The machine's own name, in lower case; empty where the system does not tell.
fn machine_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().to_ascii_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn judged(uri: &str, headers: &[(&str, &str)]) -> Result<(), Error> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        judge(&request.body(()).unwrap().into_parts().0, |name| name == "n1.example.com")
    }

    #[test]
    fn a_host_that_a_stranger_cannot_own_is_taken() {
        for host in [
            "127.0.0.1:7480",
            "203.0.113.9",
            "[::1]:7480",
            "localhost",
            "LOCALHOST:9079",
            "localhost.",
            "a.localhost",
            "kettle",
            "n1.local",
            "remex-0.remex.kv.svc.cluster.local:7480",
            "remex.kv.svc",
            "n.internal",
            "n.test",
            "n.home.arpa",
            "n1.example.com",
            "N1.Example.com:80",
        ] {
            assert_eq!(judged("/tailfeather/x", &[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(judged("/tailfeather/x", &[]), Ok(()), "HTTP/1.0 has no Host");
        assert_eq!(judged("http://kettle:1/x", &[]), Ok(()), "HTTP/2 names it before the path");
    }

    #[test]
    fn any_other_host_is_refused() {
        for host in [
            "evil.example",
            "n2.example.com",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "notlocal.com",
            "0x7f.1",
            "",
            ":80",
            "a b",
            "[::1",
            "[evil]",
            "localhost@evil.example",
        ] {
            let error = judged("/x", &[("host", host)]).unwrap_err();
            assert_eq!(error.code, ErrorCode::Denied, "{host}");
        }
        assert!(judged("http://evil.example/x", &[("host", "localhost")]).is_err());
        assert!(judged("/x", &[("host", "localhost"), ("host", "evil.example")]).is_err());
    }

    #[test]
    fn a_url_that_leads_here_again_is_known_by_the_host_that_was_asked() {
        let asked = |uri: &str, host: &str| {
            let request = Request::builder().uri(uri).header("host", host).body(()).unwrap();
            request.into_parts().0
        };
        assert!(was_asked_at(&asked("/x", "KV.example:80"), "http://kv.example/"));
        assert!(was_asked_at(&asked("http://n1:7480/x", "other"), "http://n1:7480"));
        assert!(!was_asked_at(&asked("/x", "n1:7480"), "http://n2:7480"));
        assert!(!was_asked_at(&asked("/x", "n1:7481"), "http://n1:7480"));
    }

    #[test]
    fn a_page_of_another_site_is_refused_and_its_own_page_is_not() {
        let host = ("host", "localhost:9079");
        for site in ["none", "same-origin"] {
            assert_eq!(judged("/x", &[host, ("sec-fetch-site", site)]), Ok(()));
        }
        for site in ["cross-site", "same-site"] {
            assert!(judged("/x", &[host, ("sec-fetch-site", site)]).is_err());
        }
        assert_eq!(judged("/x", &[host, ("origin", "http://localhost:9079")]), Ok(()));
        assert_eq!(judged("/x", &[("host", "a:80"), ("origin", "http://A")]), Ok(()));
        for origin in [
            "http://localhost",
            "http://localhost:9078",
            "https://evil.example",
            "null",
            "",
            "file://",
        ] {
            assert!(judged("/x", &[host, ("origin", origin)]).is_err(), "{origin}");
        }
        assert!(judged("/x", &[("origin", "http://localhost")]).is_err(), "no Host to compare");
    }

    #[test]
    fn a_post_is_taken_under_any_name_but_not_from_a_page_of_another_site() {
        let judged = |method: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri("/v1/data");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            guard_post(&request.body(()).unwrap())
        };
        let host = ("host", "kv.example.com");
        assert_eq!(judged("POST", &[]), Ok(()));
        assert_eq!(judged("POST", &[host]), Ok(()));
        assert_eq!(judged("POST", &[host, ("origin", "https://kv.example.com")]), Ok(()));
        for headers in [
            [host, ("origin", "http://evil.example")],
            [host, ("origin", "null")],
            [host, ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(judged("POST", &headers).unwrap_err().code, ErrorCode::Denied);
            assert_eq!(judged("PUT", &headers), Ok(()), "the browser has asked first");
        }
    }
}
