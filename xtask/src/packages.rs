//! `cargo xtask packages`: what is packaged, checked by the tools that are installed.
//!
//! Nothing here needs a network, a cluster or a container engine. What needs no tool either is
//! checked by [`crate::tidy`] at every change.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use yaml_rust2::{Yaml, YamlLoader, yaml::Hash};

/// What the chart says of itself beyond what the plain manifests say.
const CHART_LABELS: [&str; 3] =
    ["app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"];
/// Unusual values that the chart must take.
const VARIANT: &[&str] = &[
    "replicas=5",
    "dialects=[{\"name\":\"hraftd\",\"port\":11000}]",
    "settings={\"max-batch-ops\":1000000,\"log-format\":\"text\"}",
    "storage.storageClassName=\"fast\"",
    "listenHost=\"[::]\"",
];
/// Values that the chart must refuse.
const WRONG: &[&str] = &["replicas=0", "replica=3", "settings={\"name\":\"n1\"}"];

/// Runs every tool that is there, and says which are not.
///
/// # Errors
/// If a tool finds something, or the chart and the plain manifests differ in substance.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let plain = folder.path().join("kubernetes.yaml");
    let chart = folder.path().join("helm.yaml");
    let variant = folder.path().join("helm-variant.yaml");
    let has_plain = render(&plain, root, "kubectl", &["kustomize", "deploy/kubernetes"])?;
    let template = ["template", "remex", "deploy/helm/remex"];
    let has_chart = render(&chart, root, "helm", &template)?;
    if has_chart {
        let set = VARIANT.iter().flat_map(|value| ["--set-json", *value]);
        let arguments: Vec<&str> = template.into_iter().chain(set).collect();
        render(&variant, root, "helm", &arguments)?;
        for wrong in WRONG {
            let arguments = [&template[..], &["--set-json", wrong]].concat();
            ensure!(output(root, "helm", &arguments)?.is_some_and(|done| !done.0), "{wrong}");
        }
        tool(root, "helm", &["lint", "deploy/helm/remex"])?;
    }
    if has_plain && has_chart {
        compare(&fs::read_to_string(&plain)?, &fs::read_to_string(&chart)?)?;
        say("the chart renders to the plain manifests: ok")?;
    }
    let extra = ["backup.yaml", "restore.yaml"];
    let extra = extra.map(|file| root.join("deploy/kubernetes/extra").join(file));
    let all = [plain, chart, variant].into_iter().chain(extra);
    for rendered in all.filter(|path| path.exists()) {
        let path = rendered.display().to_string();
        tool(root, "kubeconform", &["-strict", &path])?;
        tool(root, "kubernetes-validate", &["--strict", "--quiet", &path])?;
    }
    tool(root, "hadolint", &["Dockerfile"])?;
    let compose = ["--builtin-schema", "vendor.compose-spec", "compose.yaml"];
    tool(root, "check-jsonschema", &[&["--default-filetype", "yaml"], &compose[..]].concat())?;
    let unit = unit(root, folder.path())?.display().to_string();
    tool(root, "systemd-analyze", &["verify", "--man=no", &unit])
}

/// The unit with a program that is there: the tool looks for it.
fn unit(root: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(root.join("deploy/systemd/remex.service"))?;
    let unit = folder.join("remex.service");
    fs::write(&unit, text.replace("ExecStart=/usr/local/bin/remex", "ExecStart=/bin/true"))?;
    Ok(unit)
}

/// Puts what a tool renders into a file. Whether the tool is installed.
fn render(file: &Path, root: &Path, tool: &str, arguments: &[&str]) -> anyhow::Result<bool> {
    let Some((good, text)) = output(root, tool, arguments)? else {
        say(&format!("{tool}: not installed, not run"))?;
        return Ok(false);
    };
    ensure!(good, "{tool} {}: failed", arguments.join(" "));
    fs::write(file, text)?;
    Ok(true)
}

/// Runs a tool that must find nothing, if it is installed.
fn tool(root: &Path, tool: &str, arguments: &[&str]) -> anyhow::Result<()> {
    match output(root, tool, arguments)? {
        None => say(&format!("{tool}: not installed, not run")),
        Some((true, _)) => say(&format!("{tool} {}: ok", arguments.join(" "))),
        Some((false, text)) => bail!("{tool} {}:\n{text}", arguments.join(" ")),
    }
}

/// Whether a tool succeeded and what it wrote to standard output; `None` if it is not installed.
fn output(root: &Path, tool: &str, arguments: &[&str]) -> anyhow::Result<Option<(bool, String)>> {
    match Command::new(tool).args(arguments).current_dir(root).output() {
        Ok(output) => Ok(Some((output.status.success(), String::from_utf8(output.stdout)?))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("starting {tool}")),
    }
}

/// The chart with its defaults is the plain manifests, but for its own labels and its test.
fn compare(plain: &str, chart: &str) -> anyhow::Result<()> {
    let (plain, chart) = (objects(plain)?, objects(chart)?);
    for (name, object) in &plain {
        let other = chart.iter().find(|(other, _)| other == name);
        let (_, other) = other.with_context(|| format!("the chart has no {name}"))?;
        if let Some(place) = difference(object, other) {
            bail!("{name} differs at {place}");
        }
    }
    let more = chart.iter().find(|(name, _)| plain.iter().all(|(other, _)| other != name));
    if let Some((name, _)) = more {
        bail!("only the chart has {name}");
    }
    Ok(())
}

/// Kind and name of each object but hooks, without the labels of charts.
fn objects(text: &str) -> anyhow::Result<Vec<(String, Yaml)>> {
    let documents = YamlLoader::load_from_str(text)?.into_iter();
    let objects = documents.filter(|object| !object["kind"].is_badvalue());
    let kept =
        objects.filter(|object| object["metadata"]["annotations"]["helm.sh/hook"].is_badvalue());
    Ok(kept
        .map(|object| {
            let name = |value: &Yaml| value.as_str().unwrap_or("?").to_owned();
            let (kind, own) = (name(&object["kind"]), name(&object["metadata"]["name"]));
            (format!("{kind} {own}"), without_labels(object))
        })
        .collect())
}

fn without_labels(yaml: Yaml) -> Yaml {
    let is_label = |key: &Yaml| key.as_str().is_some_and(|key| CHART_LABELS.contains(&key));
    match yaml {
        Yaml::Hash(fields) => {
            let kept = fields.into_iter().filter(|(key, _)| !is_label(key));
            Yaml::Hash(kept.map(|(key, value)| (key, without_labels(value))).collect::<Hash>())
        }
        Yaml::Array(items) => Yaml::Array(items.into_iter().map(without_labels).collect()),
        other => other,
    }
}

/// Where two values differ; the order of fields means nothing.
fn difference(a: &Yaml, b: &Yaml) -> Option<String> {
    match (a, b) {
        (Yaml::Hash(a), Yaml::Hash(b)) => {
            let keys = a.keys().chain(b.keys());
            let differ = |key: &Yaml| match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) => difference(a, b),
                _ => Some(String::new()),
            };
            keys.filter_map(|key| Some((key, differ(key)?)))
                .map(|(key, inner)| format!(".{}{inner}", key.as_str().unwrap_or("?")))
                .next()
        }
        (Yaml::Array(a), Yaml::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .filter_map(|(index, (a, b))| Some(format!("[{index}]{}", difference(a, b)?)))
                .next()
        }
        (a, b) => (a != b).then(String::new),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{text}").context("writing to standard error")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "kind: Service\nmetadata: {name: a, labels: {x: y}}\nspec: {ports: [1, 2]}";

    #[test]
    fn order_and_labels_of_charts_mean_nothing() {
        let chart = "---\nspec: {ports: [1, 2]}\nmetadata:\n  labels: {helm.sh/chart: c, x: y}\n  \
                     name: a\nkind: Service\n---\nkind: Pod\nmetadata: {name: t, annotations: \
                     {helm.sh/hook: test}}";
        compare(PLAIN, chart).unwrap();
    }

    #[test]
    fn a_difference_is_named_with_its_place() {
        for (chart, want) in [
            (PLAIN.replace('2', "3"), "Service a differs at .spec.ports[1]"),
            (PLAIN.replace("x: y", "x: z"), "Service a differs at .metadata.labels.x"),
            (PLAIN.replace("name: a", "name: b"), "the chart has no Service a"),
            (format!("{PLAIN}\n---\nkind: Pod\nmetadata: {{name: p}}"), "only the chart has Pod p"),
        ] {
            assert_eq!(compare(PLAIN, &chart).unwrap_err().to_string(), want);
        }
    }
}
