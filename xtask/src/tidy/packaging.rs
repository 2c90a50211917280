//! What is packaged agrees with the program: versions, settings, and YAML that can be read.
//!
//! The templates of the chart are YAML only once they are rendered; `cargo xtask packages` does
//! that where Helm is installed.

use yaml_rust2::YamlLoader;

use super::{Finding, Tree};

/// Where variables and settings are named.
const PACKAGES: &[&str] = &["deploy/", "Dockerfile", "compose.yaml"];
/// Where the settings are listed.
const TABLE: &str = "crates/remex-cli/src/settings/table.rs";
/// Variables of the program that are not settings of a server.
const OTHER_VARIABLES: &[&str] = &["REMEX_CONFIG", "REMEX_ENDPOINTS", "REMEX_OUTPUT"];
/// What follows the version of the program where it is packaged.
const VERSIONS: &[(&str, &str)] = &[
    ("Dockerfile", "ARG VERSION="),
    ("compose.yaml", "image: remex:"),
    ("deploy/kubernetes/kustomization.yaml", "newTag: "),
    ("deploy/helm/remex/Chart.yaml", "appVersion: "),
    ("deploy/helm/remex/Chart.yaml", "version: "),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_versions(tree, &mut findings);
    let packaged = |path: &str| PACKAGES.iter().any(|package| path.starts_with(package));
    let settings = settings(tree);
    for (path, text) in tree.files().filter(|(path, _)| packaged(path)) {
        for (number, line) in text.lines().enumerate() {
            for name in variables(line).filter(|name| !is_known(name, &settings)) {
                findings.push(format!("{path}:{}: {name} is no setting", number + 1));
            }
        }
        let is_yaml = path.ends_with(".yaml") && !path.contains("/templates/");
        if let Some(error) = is_yaml.then(|| YamlLoader::load_from_str(text).err()).flatten() {
            findings.push(format!("{path}: {error}"));
        }
        if path.ends_with(".toml") {
            check_keys(path, text, &settings, &mut findings);
        }
    }
    findings
}

fn check_versions(tree: &Tree, findings: &mut Vec<Finding>) {
    let manifest = tree.text("Cargo.toml").unwrap_or_default();
    let field = |name: &str| {
        let begin = format!("{name} = \"");
        manifest.lines().find_map(|line| line.strip_prefix(&begin)?.strip_suffix('"'))
    };
    let expected = VERSIONS.iter().map(|&(path, begin)| (path, begin, field("version")));
    let rust = [("Dockerfile", "ARG RUST_VERSION=", field("rust-version"))];
    for (path, begin, version) in expected.chain(rust) {
        // A tree without packages has nothing to agree with.
        let (Some(text), Some(version)) = (tree.text(path), version) else { continue };
        let found = text.lines().find_map(|line| line.trim_start().strip_prefix(begin));
        if found != Some(version) {
            findings.push(format!("{path}: `{begin}` is not followed by {version}"));
        }
    }
}

/// The names of the settings: the second argument of each line of the table.
fn settings(tree: &Tree) -> Vec<&str> {
    let lines = tree.text(TABLE).unwrap_or_default().lines().map(str::trim_start);
    let entries = lines.filter_map(|line| {
        line.strip_prefix("setting(").or_else(|| line.strip_prefix("list(")).filter(|rest| {
            // A definition of these two functions has no text in it.
            rest.contains('"')
        })
    });
    entries.filter_map(|entry| entry.split('"').nth(1)).collect()
}

/// Words of a line that begin as the program's variables do.
fn variables(line: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let words = line.split(move |c: char| !is_part(c));
    words.filter(|word| word.starts_with("REMEX_") && word.len() > "REMEX_".len())
}

fn is_known(variable: &str, settings: &[&str]) -> bool {
    let name = variable.trim_start_matches("REMEX_").to_ascii_lowercase().replace('_', "-");
    // Kubernetes itself makes this one, which a comment says.
    let is_link = variable == "REMEX_PORT";
    is_link || OTHER_VARIABLES.contains(&variable) || settings.contains(&name.as_str())
}

fn check_keys(path: &str, text: &str, settings: &[&str], findings: &mut Vec<Finding>) {
    match text.parse::<toml::Table>() {
        Ok(table) => {
            let strangers = table.keys().filter(|key| !settings.contains(&key.as_str()));
            findings.extend(strangers.map(|key| format!("{path}: {key} is no setting")));
        }
        Err(error) => findings.push(format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: (&str, &str) = (
        TABLE,
        "const fn setting(\n  setting(NODE, \"data-dir\", \"DIR\", None, \"Where\"),\n list(C, \"join\", \"A\", \"x\"),",
    );

    fn found(path: &str, text: &str) -> Vec<Finding> {
        check(&Tree::of(&[LIST, (path, text)]))
    }

    #[test]
    fn variables_and_keys_are_settings() {
        assert_eq!(found("Dockerfile", "ENV REMEX_DATA_DIR=/x REMEX_JOIN=a"), [""; 0]);
        let findings = found("compose.yaml", "a: 1\nb: REMEX_DATADIR");
        assert_eq!(findings, ["compose.yaml:2: REMEX_DATADIR is no setting"]);
        let findings = found("deploy/systemd/remex.toml", "data-dir = 'x'\njoin = []\nlissten = 1");
        assert_eq!(findings, ["deploy/systemd/remex.toml: lissten is no setting"]);
        assert_eq!(found("deploy/a.yaml", "a: [").len(), 1);
        assert_eq!(found("deploy/helm/remex/templates/a.yaml", "a: [").len(), 0);
    }

    #[test]
    fn versions_are_those_of_the_workspace() {
        let manifest = ("Cargo.toml", "version = \"1.2.3\"\nrust-version = \"1.95\"\n");
        let check = |text| check(&Tree::of(&[LIST, manifest, ("Dockerfile", text)])).len();
        assert_eq!(check("ARG RUST_VERSION=1.95\nARG VERSION=1.2.3"), 0);
        assert_eq!(check("ARG RUST_VERSION=1.94\nARG VERSION=1.2.3"), 1);
        assert_eq!(check("ARG VERSION=1.2.4"), 2);
    }
}
