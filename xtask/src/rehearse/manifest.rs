//! What the manifests of `deploy/kubernetes` say about a pod.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use yaml_rust2::{Yaml, YamlLoader};

/// The StatefulSet, as far as a rehearsal can follow it.
#[derive(Debug)]
pub struct Manifest {
    /// Name of the set; pods are called by it and a number.
    pub name: String,
    /// Name of the headless service.
    pub peers: String,
    /// Pods at first.
    pub replicas: u64,
    /// Seconds of the `sleep` before SIGTERM.
    pub pre_stop_s: u64,
    /// Seconds from the start of `preStop` to SIGKILL.
    pub grace_s: u64,
    /// Seconds that a pod must be ready before a rolling update goes on.
    pub min_ready_s: u64,
    /// User and group of the process.
    pub user: u64,
    /// Where the volume is mounted.
    pub volume_path: String,
    /// Arguments of the program.
    pub arguments: Vec<String>,
    env: Vec<(String, Source)>,
}

#[derive(Debug)]
enum Source {
    Text(String),
    PodName,
    Namespace,
}

impl Manifest {
    /// Reads the StatefulSet of a folder of manifests.
    ///
    /// # Errors
    /// If it cannot be read, or lacks what a rehearsal has to know.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("statefulset.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let documents = YamlLoader::load_from_str(text)?;
        let [set] = documents.as_slice() else { bail!("not one document") };
        ensure!(set["kind"].as_str() == Some("StatefulSet"), "not a StatefulSet");
        let (spec, pod) = (&set["spec"], &set["spec"]["template"]["spec"]);
        ensure!(
            spec["podManagementPolicy"].as_str() == Some("Parallel"),
            "pods are started one by one"
        );
        let [container] = pod["containers"].as_vec().map_or(&[][..], Vec::as_slice) else {
            bail!("not one container")
        };
        let [mount] = container["volumeMounts"].as_vec().map_or(&[][..], Vec::as_slice) else {
            bail!("not one volume")
        };
        let locked = &container["securityContext"]["readOnlyRootFilesystem"];
        ensure!(locked.as_bool() == Some(true), "the root file system can be written to");
        let arguments = container["args"].as_vec().context("no args")?.iter();
        let env = container["env"].as_vec().context("no env")?.iter().map(variable);
        Ok(Self {
            name: string(&set["metadata"]["name"], "metadata.name")?,
            peers: string(&spec["serviceName"], "serviceName")?,
            replicas: number(&spec["replicas"], "replicas")?,
            pre_stop_s: number(&container["lifecycle"]["preStop"]["sleep"]["seconds"], "preStop")?,
            grace_s: number(&pod["terminationGracePeriodSeconds"], "grace period")?,
            min_ready_s: number(&spec["minReadySeconds"], "minReadySeconds")?,
            user: number(&pod["securityContext"]["runAsUser"], "runAsUser")?,
            volume_path: string(&mount["mountPath"], "mountPath")?,
            arguments: arguments.map(|text| string(text, "args")).collect::<Result<_, _>>()?,
            env: env.collect::<Result<_, _>>()?,
        })
    }

    /// The environment of a pod: references to variables that come before are replaced, as the
    /// kubelet does.
    #[must_use]
    pub fn environment(&self, pod: &str, namespace: &str) -> BTreeMap<String, String> {
        let mut done = BTreeMap::new();
        for (name, source) in &self.env {
            let value = match source {
                Source::PodName => pod.to_owned(),
                Source::Namespace => namespace.to_owned(),
                Source::Text(text) => {
                    done.iter().fold(text.clone(), |text, (name, value): (&String, &String)| {
                        text.replace(&format!("$({name})"), value)
                    })
                }
            };
            done.insert(name.clone(), value);
        }
        done
    }
}

fn variable(entry: &Yaml) -> anyhow::Result<(String, Source)> {
    let name = string(&entry["name"], "the name of a variable")?;
    let field = &entry["valueFrom"]["fieldRef"]["fieldPath"];
    let source = match (entry["value"].as_str(), field.as_str()) {
        (Some(text), None) => Source::Text(text.to_owned()),
        (None, Some("metadata.name")) => Source::PodName,
        (None, Some("metadata.namespace")) => Source::Namespace,
        _ => bail!("the variable {name} is neither text nor a known field"),
    };
    Ok((name, source))
}

fn string(yaml: &Yaml, what: &str) -> anyhow::Result<String> {
    yaml.as_str().map(str::to_owned).with_context(|| format!("{what} is missing"))
}

fn number(yaml: &Yaml, what: &str) -> anyhow::Result<u64> {
    let number = yaml.as_i64().and_then(|number| u64::try_from(number).ok());
    number.with_context(|| format!("{what} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u15_a_pod_gets_its_names_and_the_list_is_the_same_for_all() {
        let folder = crate::verbs::root().join("deploy/kubernetes");
        let manifest = Manifest::read(&folder).unwrap();
        let pods = ["remex-1", "remex-4"].map(|pod| manifest.environment(pod, "ns"));
        let [first, second] = &pods;
        assert_eq!(first["REMEX_NAME"], "remex-1");
        assert_eq!(first["REMEX_PEER_ADVERTISE"], "remex-1.remex-peers.ns.svc:7481");
        assert_eq!(second["REMEX_ADVERTISE"], "http://remex-4.remex-peers.ns.svc:7480");
        assert_eq!(first["REMEX_JOIN"], second["REMEX_JOIN"]);
        let join: Vec<&str> = first["REMEX_JOIN"].split(',').collect();
        // A node leaves itself out of the list only if it is written as it advertises itself.
        assert_eq!(join[1], first["REMEX_PEER_ADVERTISE"]);
        assert_eq!(join.len().to_string(), first["REMEX_EXPECT"], "two halves cannot found two");
        assert_eq!(manifest.replicas.to_string(), first["REMEX_EXPECT"]);
        assert!(first.values().all(|value| !value.contains("$(")), "{first:?}");
        let data_dir = first["REMEX_DATA_DIR"].strip_prefix(&manifest.volume_path).unwrap();
        assert!(data_dir.len() > 1, "a volume may hold a lost+found, so it is a folder in it");
        assert!(manifest.pre_stop_s + 10 < manifest.grace_s, "SIGKILL would come first");
    }
}
