//! Where the text of a setting comes from: flag, variable, file, cluster file, default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::table::Setting;
use super::{Flags, TABLE, cluster_file, file};
use crate::exit::Failure;

/// Variables that are not settings of a server: those of the other commands, and the file's.
const OTHER_VARIABLES: [&str; 3] = ["REMEX_CONFIG", "REMEX_ENDPOINTS", "REMEX_OUTPUT"];

/// Where a text came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag on the command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// The settings file.
    File(&'static str, String),
    /// The cluster file.
    ClusterFile(&'static str, String),
    /// Nobody said anything.
    Default(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(formatter, "--{name}"),
            Self::Variable(name) => write!(formatter, "{name}"),
            Self::File(name, path) | Self::ClusterFile(name, path) => {
                write!(formatter, "{name} in {path}")
            }
            Self::Default(name) => write!(formatter, "the default of {name}"),
        }
    }
}

/// All layers of settings.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    flags: Flags,
    variables: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    path: String,
    cluster: BTreeMap<&'static str, String>,
    cluster_path: String,
}

impl Layers {
    /// Takes the flags, the process's variables, and the file if there is one.
    pub(crate) fn read(flags: Flags, path: Option<&Path>) -> Result<Self, Failure> {
        let mut layers = Self::new(
            flags,
            std::env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            }),
        );
        if let Some(path) = path {
            layers.path = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("cannot read the settings file {}: {error}", layers.path))
                    .remedy("name a readable file with --config, or leave it out")
            })?;
            layers.file = file::parse(&text)
                .map_err(|error| Failure::usage(format!("{}: {error}", layers.path)))?;
        }
        layers.read_cluster_file()?;
        Ok(layers)
    }

    /// Takes what the cluster file says of this node, if there is one.
    fn read_cluster_file(&mut self) -> Result<(), Failure> {
        let Some((path, origin)) = self.text("cluster-file") else { return Ok(()) };
        let (path, origin) = (path.to_owned(), origin.to_string());
        let Some((name, _)) = self.text("name") else {
            return Err(Failure::usage(format!("{origin}: {path} is the file of all nodes"))
                .remedy("add --name with the node_id of this one"));
        };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!("{origin}: cannot read {path}: {error}"))
                .remedy("name a readable file, or leave it out")
        })?;
        let mut cluster = cluster_file::read(&text, name)
            .map_err(|error| Failure::usage(format!("{origin}: {path}: {error}")))?;
        // How many to expect belongs to whom to join, and who waits to be invited does neither.
        if ["join", "wait"].iter().any(|name| self.text(name).is_some()) {
            cluster.retain(|name, _| !["join", "expect"].contains(name));
        }
        // Whoever says where peers connect does not mean the port of the clients.
        if self.is_given("peer-listen") {
            cluster.remove("single-port");
        }
        (self.cluster, self.cluster_path) = (cluster, path);
        Ok(())
    }

    /// Whether anybody says something of this setting.
    pub(crate) fn is_given(&self, name: &'static str) -> bool {
        !matches!(self.text(name), None | Some((_, Origin::Default(_))))
    }

    fn new(flags: Flags, variables: impl Iterator<Item = (String, String)>) -> Self {
        let variables = variables.filter(|(name, _)| name.starts_with("REMEX_")).collect();
        Self { flags, variables, ..Self::default() }
    }

    /// A line for every variable that looks like a setting and is none: it is most likely misspelt,
    /// and would be ignored in silence.
    pub(crate) fn strangers(&self) -> Vec<String> {
        let is_known = |name: &str| {
            OTHER_VARIABLES.contains(&name)
                || TABLE.iter().any(|setting| setting.variable() == name)
        };
        let strangers = self.variables.keys().filter(|name| !is_known(name));
        strangers
            .map(|name| match file::nearest(name.trim_start_matches("REMEX_")) {
                Some(near) => {
                    let near = setting(near).variable();
                    format!("the variable {name} is no setting; did you mean {near}?")
                }
                None => format!("the variable {name} is no setting, and has no effect"),
            })
            .collect()
    }

    /// The text of a setting with its origin. An empty variable counts as not set, as is usual in
    /// scripts and containers.
    pub(crate) fn text(&self, name: &'static str) -> Option<(&str, Origin)> {
        let setting = setting(name);
        if let Some((_, text)) = self.flags.0.iter().find(|(flag, _)| *flag == name) {
            return Some((text, Origin::Flag(name)));
        }
        let variable = setting.variable();
        if let Some(text) = self.variables.get(&variable).filter(|text| !text.is_empty()) {
            return Some((text, Origin::Variable(variable)));
        }
        if let Some(text) = self.file.get(name) {
            return Some((text, Origin::File(name, self.path.clone())));
        }
        if let Some(text) = self.cluster.get(name) {
            return Some((text, Origin::ClusterFile(name, self.cluster_path.clone())));
        }
        setting.default.map(|text| (text, Origin::Default(name)))
    }

    /// Reads a setting that has no default.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let Some((text, origin)) = self.text(name) else {
            return Ok(None);
        };
        let value =
            read(text).map_err(|why| Failure::usage(format!("{origin}: '{text}' {why}")))?;
        Ok(Some(value))
    }

    /// Reads a setting that has a default.
    pub(crate) fn value<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        Ok(self.optional(name, read)?.expect("the setting has a default in the table"))
    }
}

fn setting(name: &str) -> &'static Setting {
    TABLE.iter().find(|setting| setting.name == name).expect("the setting is in the table")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::settings::units;

    fn layers(flags: &[(&'static str, &str)], variables: &[(&str, &str)], file: &str) -> Layers {
        let flags = flags.iter().map(|&(name, text)| (name, text.to_owned())).collect();
        let variables = variables.iter().map(|&(name, text)| (name.to_owned(), text.to_owned()));
        let mut layers = Layers::new(Flags(flags), variables);
        layers.file = file::parse(file).unwrap();
        layers.path = "remex.toml".to_owned();
        layers
    }

    #[test]
    fn the_nearest_origin_wins() {
        let (flags, variables) = ([("listen", "a:1")], [("REMEX_LISTEN", "b:1")]);
        let file = "listen = 'c:1'";
        let text = |layers: &Layers| layers.text("listen").unwrap().0.to_owned();
        assert_eq!(text(&layers(&flags, &variables, file)), "a:1");
        assert_eq!(text(&layers(&[], &variables, file)), "b:1");
        assert_eq!(text(&layers(&[], &[("REMEX_LISTEN", "")], file)), "c:1");
        assert_eq!(text(&layers(&[], &[], "")), "127.0.0.1:7480");
        assert_eq!(layers(&[], &[], "").text("join"), None);
    }

    #[test]
    fn the_cluster_file_stands_behind_all_that_is_said_of_this_node() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.json");
        let line = |n: u16| {
            format!(
                r#"{{"node_id":"n{n}","rpc_url":"localhost:{}","api_url":"localhost:{}"}}"#,
                6665 + n,
                7776 + n
            )
        };
        let lines: Vec<String> = (1..=3).map(line).collect();
        std::fs::write(&path, format!("[{}]", lines.join(","))).unwrap();
        let path = path.to_str().unwrap();
        let read = |more: &[(&'static str, &str)]| {
            let flags = [&[("cluster-file", path)], more].concat();
            let mut layers = layers(&flags, &[], "");
            layers.read_cluster_file().map(|()| layers)
        };
        let text = |layers: &Layers, name| layers.text(name).map(|(text, _)| text.to_owned());

        let n2 = read(&[("name", "n2"), ("listen", "0.0.0.0:1")]).unwrap();
        assert_eq!(text(&n2, "listen").unwrap(), "0.0.0.0:1", "the flag wins");
        assert_eq!(text(&n2, "peer-listen").unwrap(), "localhost:6667");
        assert_eq!(text(&n2, "expect").unwrap(), "2");
        let (_, origin) = n2.text("peer-listen").unwrap();
        assert_eq!(origin.to_string(), format!("peer-listen in {path}"));

        let waiting = read(&[("name", "n2"), ("wait", "true")]).unwrap();
        assert_eq!((text(&waiting, "join"), text(&waiting, "expect")), (None, None));
        let other = read(&[("name", "n2"), ("join", "a:1")]).unwrap();
        assert_eq!(text(&other, "expect"), None, "it belongs to the list of the file");

        let failure = read(&[]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("add --name"), "{}", failure.message);
        let failure = read(&[("name", "n4")]).unwrap_err();
        assert!(failure.message.contains("no node n4") && failure.message.contains(path));
        let gone = layers(&[("cluster-file", "nowhere"), ("name", "n1")], &[], "")
            .read_cluster_file()
            .unwrap_err();
        assert!(gone.message.contains("cannot read nowhere"), "{}", gone.message);
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_nearest_setting() {
        let variables = [
            ("REMEX_LISTN", "a:1"),
            ("REMEX_DATADIR", "x"),
            ("REMEX_ENDPOINTS", "x"),
            ("REMEX_LISTEN", "a:1"),
            ("REMEX_QQQQQQQQ", ""),
        ];
        assert_eq!(
            layers(&[], &variables, "").strangers(),
            [
                "the variable REMEX_DATADIR is no setting; did you mean REMEX_DATA_DIR?",
                "the variable REMEX_LISTN is no setting; did you mean REMEX_LISTEN?",
                "the variable REMEX_QQQQQQQQ is no setting, and has no effect",
            ]
        );
    }

    #[test]
    fn an_error_names_the_origin_and_the_text() {
        let read = |layers: &Layers| layers.value("request-timeout", units::duration).unwrap_err();
        let failure = read(&layers(&[("request-timeout", "5")], &[], ""));
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.starts_with("--request-timeout: '5' is not a duration"));
        let failure = read(&layers(&[], &[("REMEX_REQUEST_TIMEOUT", "x")], ""));
        assert!(failure.message.starts_with("REMEX_REQUEST_TIMEOUT: 'x' "));
        let failure = read(&layers(&[], &[], "request-timeout = 5"));
        assert!(failure.message.starts_with("request-timeout in remex.toml: '5' "));
    }
}
