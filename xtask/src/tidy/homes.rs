//! Libraries stay where they may be named, and some stay out altogether.

use super::manifests::Manifest;
use super::{Finding, Tree, manifests};

/// A library that only some crates may depend on.
struct Home {
    library: &'static str,
    crates: &'static [&'static str],
    /// Whether tests of other crates may use it.
    free_for_tests: bool,
    reason: &'static str,
}

const CONSENSUS: &[&str] = &["remex-consensus"];
const RAFT_REASON: &str = "the Raft library is known to remex-consensus alone";
const SURFACES: &[&str] = &["remex-http", "remex-etcd"];

const HOMES: &[Home] = &[
    Home { library: "raft", crates: CONSENSUS, free_for_tests: false, reason: RAFT_REASON },
    Home { library: "raft-proto", crates: CONSENSUS, free_for_tests: false, reason: RAFT_REASON },
    Home { library: "slog", crates: CONSENSUS, free_for_tests: false, reason: RAFT_REASON },
    Home { library: "protobuf", crates: CONSENSUS, free_for_tests: false, reason: RAFT_REASON },
    Home {
        library: "lsm-tree",
        crates: &["remex-engine"],
        free_for_tests: false,
        reason: "the storage library is known to remex-engine alone",
    },
    Home {
        library: "tokio",
        crates: &["remex", "remex-http", "remex-etcd", "remex-client", "remex-cli"],
        free_for_tests: true,
        reason: "log, state, engine and consensus are synchronous, so that they can be simulated",
    },
    Home {
        library: "axum",
        crates: SURFACES,
        free_for_tests: true,
        reason: "the node knows nothing of HTTP",
    },
    Home {
        library: "anyhow",
        crates: &["remex-cli", "remex-sim", "remex-testkit", "xtask"],
        free_for_tests: true,
        reason: "a library has an error type of its own, matched exhaustively",
    },
];

/// Libraries that must not come in through any dependency: they need more than a C compiler to
/// build, or a second copy of what `ring` and `rustls` do.
const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"];

/// The only place that dependencies come from.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    // What cannot be read was found by the check of the edges.
    let (manifests, _) = manifests::read(tree);
    let mut findings = Vec::new();
    for (name, manifest) in &manifests {
        let path = &manifest.path;
        if !manifest.inherits_lints {
            findings.push(format!("{path}: it must say `lints.workspace = true`"));
        }
        for home in HOMES.iter().filter(|home| is_astray(home, name, manifest)) {
            findings.push(format!("{path}: depends on {}, but {}", home.library, home.reason));
        }
    }
    findings.extend(check_lock_file(tree));
    findings
}

fn is_astray(home: &Home, name: &str, manifest: &Manifest) -> bool {
    let named = manifest.normal.contains(home.library)
        || (manifest.dev.contains(home.library) && !home.free_for_tests);
    named && !home.crates.contains(&name)
}

fn check_lock_file(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text("Cargo.lock") else {
        return vec!["Cargo.lock: it is missing; it belongs to the repository".to_owned()];
    };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("Cargo.lock: {error}")],
    };
    let packages = table.get("package").and_then(toml::Value::as_array);
    let mut findings = Vec::new();
    for package in packages.into_iter().flatten() {
        let field = |name: &str| package.get(name).and_then(toml::Value::as_str);
        let name = field("name").unwrap_or_default();
        if BANNED.contains(&name) {
            findings.push(format!("Cargo.lock: {name} is banned; find who brings it in with `cargo tree -i {name}` and turn that feature off"));
        }
        if field("source").is_some_and(|source| source != SOURCE) {
            findings.push(format!("Cargo.lock: {name} does not come from crates.io"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, rest: &str, lock: &str) -> Vec<Finding> {
        let manifest = format!("[package]\nname = \"{name}\"\n{rest}");
        let path = format!("crates/{name}/Cargo.toml");
        check(&Tree::of(&[(&path, &manifest), ("Cargo.lock", lock)]))
    }

    const LINTS: &str = "[lints]\nworkspace = true\n";

    #[test]
    fn a_library_outside_its_home_is_found() {
        let raft = format!("{LINTS}[dependencies]\nraft.workspace = true");
        assert_eq!(findings("remex-consensus", &raft, ""), Vec::<Finding>::new());
        assert_eq!(findings("remex", &raft, "").len(), 1);
        let dev = format!("{LINTS}[dev-dependencies]\nraft = \"1\"\ntokio = \"1\"");
        assert_eq!(findings("remex-state", &dev, "").len(), 1);
        let tokio = format!("{LINTS}[dependencies]\ntokio = \"1\"");
        assert_eq!(findings("remex-state", &tokio, "").len(), 1);
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(findings("remex", "", "").len(), 1);
        assert_eq!(findings("remex", "[lints]\nworkspace = false", "").len(), 1);
        assert_eq!(findings("remex", "lints.workspace = true", "").len(), 1);
    }

    #[test]
    fn the_lock_file_holds_nothing_banned_and_nothing_from_elsewhere() {
        let package = |name: &str, source: &str| {
            let lock = format!("[[package]]\nname = \"{name}\"\nsource = \"{source}\"\n");
            findings("remex", LINTS, &lock).len()
        };
        assert_eq!(package("bytes", SOURCE), 0);
        assert_eq!(package("openssl-sys", SOURCE), 1);
        assert_eq!(package("bytes", "registry+https://mirror.example/index"), 1);
        assert_eq!(package("bytes", "git+https://example.com/bytes"), 1);
    }
}
