//! The StatefulSet's pods, and what happens to them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use yaml_rust2::{Yaml, YamlLoader};

use super::Manifest;
use super::names::Names;
use super::network::{Network, run};
use super::pod::Image;

/// The namespace of Kubernetes in which all of it is.
pub(super) const NAMESPACE: &str = "rehearsal";
/// The network namespace of the client.
pub(super) const CLIENT: &str = "client";
const CLIENT_PORT: u16 = 7480;
/// Time for anything to come about.
const PATIENCE: Duration = Duration::from_secs(90);
/// Pause between two looks. Kubernetes looks every two seconds.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug)]
struct Pod {
    process: Child,
    network: String,
}

/// Addresses of the pods that run and are not being stopped.
type Endpoints = Arc<Mutex<BTreeMap<String, Ipv4Addr>>>;

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) manifest: Manifest,
    pub(super) image: Arc<Image>,
    pub(super) names: Names,
    network: Network,
    folder: PathBuf,
    pods: BTreeMap<u64, Pod>,
    endpoints: Endpoints,
}

fn lock(endpoints: &Endpoints) -> MutexGuard<'_, BTreeMap<String, Ipv4Addr>> {
    endpoints.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Network, image and names; no pod yet, and no name is answered.
    pub(super) fn prepare(root: &Path, program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let manifest = Manifest::read(&root.join("deploy/kubernetes"))?;
        let mut network = Network::build()?;
        let names = Names::start(Network::name_server())?;
        let image = folder.join("image");
        let image = Image::build(image, program, manifest.user, &manifest.volume_path, NAMESPACE)?;
        network.connect(CLIENT)?;
        let endpoints = Endpoints::default();
        let (names_too, endpoints_too) = (names.clone(), Arc::clone(&endpoints));
        let service = manifest.name.clone();
        thread::spawn(move || watch_readiness(&names_too, &endpoints_too, &service));
        Ok(Self {
            manifest,
            image: Arc::new(image),
            names,
            network,
            folder: folder.to_owned(),
            pods: BTreeMap::new(),
            endpoints,
        })
    }

    pub(super) fn pod_name(&self, pod: u64) -> String {
        format!("{}-{pod}", self.manifest.name)
    }

    fn volume(&self, pod: u64) -> PathBuf {
        self.folder.join(format!("volume-{pod}"))
    }

    /// The pod's name below that of the headless service.
    fn host(&self, pod: u64) -> String {
        format!("{}.{}.{NAMESPACE}", self.pod_name(pod), self.manifest.peers)
    }

    /// The pod's URL as it advertises it.
    pub(super) fn url(&self, pod: u64) -> String {
        format!("http://{}.svc:{CLIENT_PORT}", self.host(pod))
    }

    /// Starts a pod with an address that no pod had before.
    pub(super) fn start(&mut self, pod: u64) -> anyhow::Result<()> {
        let name = self.pod_name(pod);
        let address = self.network.connect(&name)?;
        let volume = self.volume(pod);
        if !volume.exists() {
            self.image.make_volume(&volume)?;
        }
        let environment = self.manifest.environment(&name, NAMESPACE);
        let (log, arguments) = (self.folder.join(format!("{name}.log")), &self.manifest.arguments);
        let process = self.image.start(&name, &volume, &environment, arguments, &log)?;
        self.names.set(&self.host(pod), vec![address]);
        lock(&self.endpoints).insert(name.clone(), address);
        self.pods.insert(pod, Pod { process, network: name });
        Ok(())
    }

    /// Deletes a pod as Kubernetes does: out of the services, `preStop`, SIGTERM, and SIGKILL if the
    /// time is over, which counts as a failure. Returns the exit code.
    pub(super) fn terminate(&mut self, pod: u64) -> anyhow::Result<Option<i32>> {
        lock(&self.endpoints).remove(&self.pod_name(pod));
        thread::sleep(Duration::from_secs(self.manifest.pre_stop_s));
        self.signal(pod, "-TERM")?;
        let rest = self.manifest.grace_s - self.manifest.pre_stop_s;
        self.ended(pod, Duration::from_secs(rest))
    }

    /// Ends a pod like the machine's power.
    pub(super) fn kill(&mut self, pod: u64) -> anyhow::Result<()> {
        lock(&self.endpoints).remove(&self.pod_name(pod));
        self.signal(pod, "-KILL")?;
        self.ended(pod, PATIENCE).map(|_| ())
    }

    fn signal(&self, pod: u64, signal: &str) -> anyhow::Result<()> {
        let pod = self.pods.get(&pod).context("no such pod")?;
        run("kill", &[signal, &pod.process.id().to_string()])
    }

    /// Waits until a pod has ended, and takes it away. Returns its exit code.
    pub(super) fn ended(&mut self, pod: u64, limit: Duration) -> anyhow::Result<Option<i32>> {
        let mut gone = self.pods.remove(&pod).context("no such pod")?;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = gone.process.try_wait()? {
                break status;
            }
            if begun.elapsed() > limit {
                gone.process.kill()?;
                gone.process.wait()?;
                bail!("{} does not end", gone.network);
            }
            thread::sleep(Duration::from_millis(20));
        };
        lock(&self.endpoints).remove(&gone.network);
        self.names.set(&self.host(pod), Vec::new());
        Network::disconnect(&gone.network)?;
        Ok(status.code())
    }

    /// Deletes the volume of a pod that does not run.
    pub(super) fn lose_volume(&self, pod: u64) -> anyhow::Result<()> {
        fs::remove_dir_all(self.volume(pod)).context("deleting a volume")
    }

    /// Waits until these pods are ready, and the members are just these, all of them voters.
    /// Returns how long that took.
    pub(super) fn settle(&self, pods: &[u64]) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut want: Vec<String> = pods.iter().map(|&pod| self.pod_name(pod)).collect();
        want.sort();
        loop {
            let addresses = lock(&self.endpoints).clone();
            let is_ready = |name: &String| addresses.get(name).is_some_and(|&at| is_ready(at));
            let found = match want.iter().all(is_ready) {
                true => self.voters(pods[0])?,
                false => Vec::new(),
            };
            if found == want {
                return Ok(begun.elapsed());
            }
            ensure!(begun.elapsed() < PATIENCE, "{want:?} did not settle; voters: {found:?}");
            thread::sleep(LOOK_PAUSE);
        }
    }

    /// The members as a pod knows them; none if it does not answer.
    fn members(&self, pod: u64) -> anyhow::Result<Vec<Yaml>> {
        let table = self.ask(&["cluster", "members", "-o", "json", "-e", &self.url(pod)])?;
        // JSON is YAML, too.
        let documents = YamlLoader::load_from_str(&table)?;
        let members = documents.first().and_then(|table| table["members"].as_vec());
        Ok(members.cloned().unwrap_or_default())
    }

    /// The names of the voters as a pod knows them.
    fn voters(&self, pod: u64) -> anyhow::Result<Vec<String>> {
        let members = self.members(pod)?;
        let voters = members.iter().filter(|member| member["role"].as_str() == Some("voter"));
        let mut names: Vec<String> =
            voters.filter_map(|member| member["name"].as_str().map(str::to_owned)).collect();
        names.sort();
        // Others than voters are members, too: then it is not settled yet.
        Ok(if names.len() == members.len() { names } else { Vec::new() })
    }

    /// The pod that leads, as the first one knows it.
    pub(super) fn leader(&self) -> anyhow::Result<u64> {
        let begun = Instant::now();
        loop {
            let members = self.members(0)?;
            let leader = members.iter().find(|member| member["leader"].as_bool() == Some(true));
            let name = leader.and_then(|leader| leader["name"].as_str());
            if let Some(&pod) =
                self.pods.keys().find(|&&pod| name == Some(self.pod_name(pod).as_str()))
            {
                return Ok(pod);
            }
            ensure!(begun.elapsed() < PATIENCE, "nobody leads");
            thread::sleep(LOOK_PAUSE);
        }
    }

    /// Asks as a client; what came on standard output, whatever the exit code.
    pub(super) fn ask(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.image.ask(CLIENT, None, arguments)?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command as a client that must succeed.
    pub(super) fn must(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.image.ask(CLIENT, None, arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "remex {}: {said}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Fetches a backup through a pod.
    pub(super) fn back_up(&self, pod: u64) -> anyhow::Result<Vec<u8>> {
        let arguments = ["snapshot", "save", "-", "-e", &self.url(pod)];
        let output = self.image.ask(CLIENT, None, &arguments)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// Makes a new volume for a pod that does not run, and restores a backup into it.
    pub(super) fn restore(&self, pod: u64, backup: &[u8]) -> anyhow::Result<()> {
        let (volume, name) = (self.volume(pod), self.pod_name(pod));
        self.image.make_volume(&volume)?;
        fs::write(volume.join("FILE"), backup)?;
        let file = format!("{}/FILE", self.manifest.volume_path);
        let environment = self.manifest.environment(&name, NAMESPACE);
        let data_dir = environment.get("REMEX_DATA_DIR").context("no data directory")?;
        let arguments = ["snapshot", "restore", &file, "--data-dir", data_dir, "--name", &name];
        let output = self.image.ask(CLIENT, Some(&volume), &arguments)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// The last lines that each pod has logged.
    pub(super) fn logs(&self) -> String {
        let mut text = String::new();
        for pod in 0..9 {
            let name = self.pod_name(pod);
            let log = fs::read_to_string(self.folder.join(format!("{name}.log")));
            let log = log.unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            for line in lines.into_iter().rev() {
                text.push_str(&format!("{name}: {line}\n"));
            }
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for pod in self.pods.values_mut() {
            // It ends with this process in any case.
            pod.process.kill().ok();
            pod.process.wait().ok();
        }
    }
}

/// Keeps the name of the client service at the pods that are ready.
fn watch_readiness(names: &Names, endpoints: &Endpoints, service: &str) {
    loop {
        let addresses: Vec<Ipv4Addr> = lock(endpoints).values().copied().collect();
        let ready = addresses.into_iter().filter(|&address| is_ready(address)).collect();
        names.set(&format!("{service}.{NAMESPACE}"), ready);
        thread::sleep(LOOK_PAUSE);
    }
}

/// The readiness probe.
fn is_ready(address: Ipv4Addr) -> bool {
    let probe = || -> std::io::Result<bool> {
        let limit = Duration::from_secs(2);
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from((address, CLIENT_PORT)), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b" 200"))
    };
    probe().unwrap_or(false)
}
